"""A conversation as the text that the model sees, and where in it the assistant speaks.

Where an answer begins and ends is found by what the chat template itself writes: the text up to
the assistant's turn, and the text with it. So it holds for any template, whatever its markers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rows import Conversation, Message

Template = Callable[[Sequence[Message], bool], str]
"""Messages to text; the second says whether the assistant's turn is opened at the end."""


@dataclass(frozen=True)
class Rendered:
    """A text and its learned parts, as [begin, end) of its characters, in order."""

    text: str
    answers: tuple[tuple[int, int], ...]


def render(talk: Conversation, template: Template) -> list[Rendered]:
    """One text, or one for each answer where the template rewrites what was said before.

    An answer reaches from where the model would begin to write to the mark with which the template
    ends its turn, that mark included: it is how the model learns to stop. Raises ValueError if the
    template cannot write this talk, or hides the answer.
    """
    single = [
        _answer(talk.messages, at, template) for at, learned in enumerate(talk.learned) if learned
    ]
    last = single[-1]
    if all(last.text.startswith(each.text) for each in single):
        return [Rendered(last.text, tuple(span for each in single for span in each.answers))]
    return single


def render_plain(prompt: str, completion: str, begin: str, end: str) -> Rendered:
    """A prompt and its completion without a chat template, between the tokenizer's own marks."""
    start = len(begin) + len(prompt)
    text = f"{begin}{prompt}{completion}{end}"
    return Rendered(text, ((start, len(text)),))


def _answer(messages: Sequence[Message], at: int, template: Template) -> Rendered:
    """The talk up to the answer `at`, with that answer alone learned."""
    asked = _written(messages[:at], True, template)
    whole = _written(messages[: at + 1], False, template)
    content = str(messages[at]["content"]).strip()
    if whole.startswith(asked):
        begin = len(asked)
        found = whole.find(content, begin)
    else:
        # The turn is opened with more than is kept of it, such as the begin of a thought.
        before = _written(messages[:at], False, template)
        if not whole.startswith(before):
            raise ValueError(
                "the chat template writes what was said before an answer in another way once it is"
                " given, so that nobody can tell where it begins"
            )
        shared = _shared(asked, whole)
        # The answer may itself begin as that thought does, by as much as it is long.
        begin = found = whole.find(content, max(len(before), shared - len(content)))
    if found < 0:
        raise ValueError(
            "the chat template does not write this answer out after its question, so that it cannot"
            " be learned"
        )
    end = max(found + len(content), len(whole.rstrip()))
    return Rendered(whole, ((begin, end),))


def _written(messages: Sequence[Message], opened: bool, template: Template) -> str:
    try:
        return template(messages, opened)
    except Exception as error:  # a template is a program, and raises what it likes
        raise ValueError(f"the chat template refuses it: {error}") from None


def _shared(first: str, second: str) -> int:
    """How many characters both begin with."""
    count = 0
    while first[count : count + 1] and first[count : count + 1] == second[count : count + 1]:
        count += 1
    return count
