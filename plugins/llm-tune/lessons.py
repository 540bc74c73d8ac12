"""Examples as tokens, and what had to be cut or left out of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chat_templates import template_of
from dataset import Example, Problem
from rendering import Rendered, render, render_plain
from rows import Conversation, Preference
from tokens import Sample, Tokenize, encode


@dataclass(frozen=True)
class Lesson:
    """What is learned at once: a text, or the chosen and the rejected one."""

    samples: tuple[Sample, ...]

    @property
    def length(self) -> int:
        return max(len(sample.ids) for sample in self.samples)

    @property
    def learned_tokens(self) -> int:
        return sum(sample.learned_tokens for sample in self.samples)


@dataclass(frozen=True)
class Lessons:
    """All lessons, and what became of the examples on the way."""

    kept: tuple[Lesson, ...]
    problems: tuple[Problem, ...]
    """Examples that the chat template cannot write."""
    cut: int = 0
    """Texts that were longer than was chosen, and lost their end."""
    lost: int = 0
    """Those of which no answer was left, so that they are left out."""

    @property
    def lengths(self) -> list[int]:
        return [lesson.length for lesson in self.kept]


class Writer:
    """Writes conversations as tokens, with one tokenizer."""

    def __init__(self, tokenizer: Any, longest: int, plain: bool) -> None:
        self._tokenizer = tokenizer
        self._longest = longest
        self._plain = plain
        self._begin = _begin_of_text(tokenizer)

    def write_all(self, examples: Sequence[Example]) -> Lessons:
        kept, problems = [], []
        cut = lost = 0
        for example in examples:
            try:
                found = self._lessons(example.lesson)
            except ValueError as error:
                problems.append(Problem(example.place, str(error)))
                continue
            for lesson in found:
                cut += any(sample.length > len(sample.ids) for sample in lesson.samples)
                if all(any(sample.learned[1:]) for sample in lesson.samples):
                    kept.append(lesson)
                else:
                    lost += 1
        return Lessons(tuple(kept), tuple(problems), cut, lost)

    def question(self, messages: Sequence[Any]) -> str:
        """The text after which the model is to answer."""
        if self._plain:
            return f"{self._begin}{messages[-1]['content']}"
        talk = Conversation(tuple(messages), (False,) * len(messages))
        return template_of(self._tokenizer, talk)(messages, True)

    def _lessons(self, lesson: Conversation | Preference) -> list[Lesson]:
        if isinstance(lesson, Conversation):
            return [Lesson((self._sample(text),)) for text in self._rendered(lesson)]
        # Only the last answer differs; the ones before it belong to the question.
        chosen, rejected = (self._rendered(each)[-1] for each in (lesson.chosen, lesson.rejected))
        return [Lesson((self._sample(chosen), self._sample(rejected)))]

    def _rendered(self, talk: Conversation) -> list[Rendered]:
        if self._plain and talk.plain:
            prompt, completion = (str(message["content"]) for message in talk.messages)
            return [render_plain(prompt, completion, self._begin, self._tokenizer.eos_token)]
        return render(talk, template_of(self._tokenizer, talk))

    def _sample(self, text: Rendered) -> Sample:
        return encode(text, self.tokenize, self._longest)

    @property
    def tokenize(self) -> Tokenize:
        def split(text: str) -> tuple[Sequence[int], Sequence[tuple[int, int]]]:
            # The template has written every mark already.
            found = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
            return found["input_ids"], found["offset_mapping"]

        return split


def told(lessons: Lessons, longest: int) -> list[str]:
    """What the person must know about what was cut, in words."""
    words = []
    if lessons.cut:
        words.append(
            f"{lessons.cut:,} of {len(lessons.kept) + lessons.lost:,} texts are longer than"
            f" {longest:,} tokens and lose their end (--sequence)."
        )
    if lessons.lost:
        words.append(f"{lessons.lost:,} of them have no answer left and are left out.")
    return words


def _begin_of_text(tokenizer: Any) -> str:
    """The mark that the tokenizer itself puts before a text, or nothing."""
    first = tokenizer("a").input_ids[:1]
    return tokenizer.bos_token if first == [tokenizer.bos_token_id] else ""
