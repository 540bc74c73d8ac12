"""What the model answers to some questions, before and after: the best way to see what it learned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from dataset import Example
from lessons import Writer
from rows import Conversation, Message
from scoring import causal_of
from tokens import Sample

COLUMNS = ("question", "before", "after")
SEPARATOR = "|"


@dataclass(frozen=True)
class Asked:
    """One question, and what was answered to it."""

    question: str
    """As it is shown: the person's last words."""
    messages: tuple[Message, ...]
    before: str | None = None
    after: str | None = None


def questions(wanted: str, examples: Sequence[Example], count: int) -> list[Asked]:
    """Those of `wanted`, separated by |; else the first `count` different ones of the examples."""
    given = [text.strip() for text in wanted.split(SEPARATOR) if text.strip()]
    if given:
        return [Asked(text, ({"role": "user", "content": text},)) for text in given]
    found: dict[str, Asked] = {}
    for example in examples:
        if len(found) == count:
            break
        lesson = example.lesson
        talk = lesson if isinstance(lesson, Conversation) else lesson.chosen
        messages = talk.messages[: talk.learned.index(True)]
        said = [str(each["content"]) for each in messages if each["role"] == "user"]
        if said:
            found.setdefault(said[-1], Asked(said[-1], messages))
    return list(found.values())


def answered(
    asked: Sequence[Asked],
    when: str,
    model: Any,
    tokenizer: Any,
    writer: Writer,
    stops: Sequence[int],
    most_tokens: int,
    autocast: Callable[[], Any],
) -> list[Asked]:
    """The same questions with what the model answers now, its likeliest token each time.

    `when` is before or after. A question that the chat template refuses is answered by its reason.
    """
    known = []
    was_training = model.training
    model.eval()
    for each in asked:
        try:
            text = _answer(
                model, tokenizer, writer.question(each.messages), stops, most_tokens, autocast
            )
        except ValueError as error:
            text = f"({error})"
        known.append(replace(each, **{when: text}))
    model.train(was_training)
    return known


def rows(asked: Sequence[Asked]) -> list[tuple[str, str | None, str | None]]:
    """As the table shows them: a cell has one line."""

    def line(text: str | None) -> str | None:
        return None if text is None else " ".join(text.split())

    return [(each.question, line(each.before), line(each.after)) for each in asked]


def own_stops(model: Any, tokenizer: Any) -> list[int]:
    """Tokens at which whoever serves the model as it is stops."""
    told = getattr(causal_of(model).generation_config, "eos_token_id", None)
    several = told if isinstance(told, list) else [told]
    return [tokenizer.eos_token_id, *(each for each in several if each is not None)]


def learned_stop(sample: Sample, tokenizer: Any) -> list[int]:
    """The mark with which the chat template ends an answer, if it is one token."""
    last = max(at for at, learned in enumerate(sample.learned) if learned)
    return [sample.ids[last]] if sample.ids[last] in tokenizer.all_special_ids else []


@torch.no_grad()
def _answer(
    model: Any,
    tokenizer: Any,
    question: str,
    stops: Sequence[int],
    most_tokens: int,
    autocast: Callable[[], Any],
) -> str:
    given = tokenizer(question, add_special_tokens=False, return_tensors="pt").to(model.device)
    causal = causal_of(model)
    # Recomputing activations, which training may do, and a cache exclude each other.
    recomputes = causal.is_activation_checkpointing
    if recomputes:
        causal.gradient_checkpointing_disable()
    try:
        with autocast():
            whole = model.generate(
                input_ids=given["input_ids"],
                attention_mask=given["attention_mask"],
                max_new_tokens=most_tokens,
                do_sample=False,
                use_cache=True,
                eos_token_id=list(stops),
                pad_token_id=tokenizer.pad_token_id,
            )
    finally:
        if recomputes:
            causal.gradient_checkpointing_enable({"use_reentrant": False})
    new = whole[0, given["input_ids"].shape[1] :]
    text: str = tokenizer.decode(new, skip_special_tokens=True)
    return text.strip()
