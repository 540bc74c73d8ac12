"""The loss is taken on just what the assistant says, whatever template and tokenizer write it.

Templates and tokenizers are small ones made here; test_tune_training.py has real ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

Modules = Callable[[str], Any]
Messages = Sequence[dict[str, Any]]


def chatml(messages: Messages, opened: bool) -> str:
    said = [f"<|im_start|>{each['role']}\n{each['content']}<|im_end|>\n" for each in messages]
    return "".join(said) + ("<|im_start|>assistant\n" if opened else "")


def trimming(messages: Messages, opened: bool) -> str:
    """As Llama 3: contents are stripped, and each text begins with a mark."""
    said = [f"<h>{each['role']}</h>\n\n{each['content'].strip()}<eot>" for each in messages]
    return "<bos>" + "".join(said) + ("<h>assistant</h>\n\n" if opened else "")


def bracketed(messages: Messages, opened: bool) -> str:
    """As Mistral: nothing stands before an answer but the end of the question."""
    said = [
        f"{each['content']}</s>"
        if each["role"] == "assistant"
        else f"[INST] {each['content']} [/INST]"
        for each in messages
    ]
    return "<s>" + "".join(said)


def thinking(messages: Messages, opened: bool) -> str:
    """Opens the answer with a thought that it leaves out of what was said before."""
    return chatml(messages, opened) + ("<think>\n" if opened else "")


def forgetful(messages: Messages, opened: bool) -> str:
    """As Qwen 3: shortens answers before the last question, so that texts begin differently."""
    last = max((at for at, each in enumerate(messages) if each["role"] == "user"), default=-1)
    kept = [
        {**each, "content": each["content"][:1]}
        if each["role"] == "assistant" and at < last
        else each
        for at, each in enumerate(messages)
    ]
    return chatml(kept, opened)


def letters(text: str) -> tuple[list[int], list[tuple[int, int]]]:
    return [ord(letter) for letter in text], [(at, at + 1) for at in range(len(text))]


def threes(text: str) -> tuple[list[int], list[tuple[int, int]]]:
    """Tokens of three characters, that lie across everything."""
    spans = [(at, min(at + 3, len(text))) for at in range(0, len(text), 3)]
    return [hash(text[begin:end]) % 1000 for begin, end in spans], spans


def words(text: str) -> tuple[list[int], list[tuple[int, int]]]:
    """Words with the space before them, as a byte-level tokenizer has them."""
    spans = [found.span() for found in re.finditer(r"<[^>]*>|\s?\w+|\s+|.", text, re.DOTALL)]
    return [hash(text[begin:end]) % 1000 for begin, end in spans], spans


TEMPLATES = (chatml, trimming, bracketed, thinking, forgetful)
TOKENIZERS = (letters, threes, words)
SAID = st.text(min_size=1, max_size=12).filter(lambda text: bool(text.strip()))
TALKS = st.lists(st.tuples(SAID, SAID, st.booleans()), min_size=1, max_size=4)


def conversation(modules: Modules, talk: list[tuple[str, str, bool]]) -> Any:
    messages: list[dict[str, Any]] = []
    for question, answer, learned in talk:
        messages += [
            {"role": "user", "content": question},
            {"role": "assistant", "content": answer, "weight": int(learned)},
        ]
    messages[-1]["weight"] = 1
    return modules("rows").read_row({"messages": messages}, preferences=False)


@pytest.mark.parametrize("template", TEMPLATES)
@given(talk=TALKS)
def test_answers_are_found_from_where_the_model_begins_to_where_it_stops(
    tune_module: Modules, template: Any, talk: list[tuple[str, str, bool]]
) -> None:
    talked = conversation(tune_module, talk)
    texts = tune_module("rendering").render(talked, template)
    found = [text.text[begin:end] for text in texts for begin, end in text.answers]
    wanted = [
        str(message["content"])
        for message, learned in zip(talked.messages, talked.learned, strict=True)
        if learned
    ]
    assert len(found) == len(wanted)
    for said, content in zip(found, wanted, strict=True):
        assert said.startswith(content.strip() if template in (trimming, thinking) else content)
        mark = said[said.index(content.strip()) + len(content.strip()) :].strip()
        assert mark in {chatml: ("<|im_end|>",), trimming: ("<eot>",), bracketed: ("</s>",)}.get(
            template, ("<|im_end|>",)
        )


@pytest.mark.parametrize("tokenize", TOKENIZERS)
@pytest.mark.parametrize("template", TEMPLATES)
@given(talk=TALKS, longest=st.integers(1, 400))
def test_the_learned_tokens_are_exactly_the_answers(
    tune_module: Modules,
    template: Any,
    tokenize: Any,
    talk: list[tuple[str, str, bool]],
    longest: int,
) -> None:
    for text in tune_module("rendering").render(conversation(tune_module, talk), template):
        pieces: list[str] = []

        def remembering(part: str, pieces: list[str] = pieces) -> Any:
            ids, spans = tokenize(part)
            pieces[:] = [] if part == text.text else pieces  # noqa: B023 - used within this turn
            pieces.extend(part[begin:end] for begin, end in spans)
            return ids, spans

        sample = tune_module("tokens").encode(text, remembering, longest)
        if sample.length != len(pieces):  # the whole was tried first, and then the parts
            pieces = pieces[-sample.length :]
        learned = "".join(
            piece for piece, kept in zip(pieces, sample.learned, strict=False) if kept
        )
        wanted = "".join(text.text[begin:end] for begin, end in text.answers)
        assert len(sample.ids) == len(sample.learned) == min(longest, sample.length)
        assert wanted.startswith(learned)
        if sample.length <= longest:
            assert learned == wanted
            assert "".join(pieces) == text.text


@given(prompt=SAID, completion=SAID)
def test_a_plain_completion_is_learned_with_the_end_of_the_text(
    tune_module: Modules, prompt: str, completion: str
) -> None:
    text = tune_module("rendering").render_plain(prompt, completion, "<s>", "</s>")
    ((begin, end),) = text.answers
    assert text.text[:begin] == f"<s>{prompt}"
    assert text.text[begin:end] == f"{completion}</s>"


def test_a_template_that_refuses_a_talk_is_told_with_its_reason(tune_module: Modules) -> None:
    def strict(messages: Messages, opened: bool) -> str:
        raise RuntimeError("roles must alternate")

    talk = conversation(tune_module, [("a", "b", True)])
    with pytest.raises(ValueError, match="the chat template refuses it: roles must alternate"):
        tune_module("rendering").render(talk, strict)


def test_a_template_that_rewrites_the_question_with_the_answer_is_refused(
    tune_module: Modules,
) -> None:
    def shy(messages: Messages, opened: bool) -> str:
        return chatml(messages if opened else messages[-2:], opened)

    talk = conversation(tune_module, [("a", "b", True), ("c", "d", True)])
    with pytest.raises(ValueError, match="nobody can tell where it begins"):
        tune_module("rendering").render(talk, shy)


def test_a_template_that_hides_the_answer_is_refused(tune_module: Modules) -> None:
    def mute(messages: Messages, opened: bool) -> str:
        return "".join(each["content"] for each in messages if each["role"] == "user")

    talk = conversation(tune_module, [("a", "b", True)])
    with pytest.raises(ValueError, match="does not write this answer"):
        tune_module("rendering").render(talk, mute)
