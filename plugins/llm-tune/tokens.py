"""Texts as tokens, each marked as learned or not, cut to the length that was chosen."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rendering import Rendered

Tokenize = Callable[[str], tuple[Sequence[int], Sequence[tuple[int, int]]]]
"""A text to the ids of its tokens and, of each, its [begin, end) in characters."""


@dataclass(frozen=True)
class Sample:
    """One text as tokens."""

    ids: array[int]
    learned: bytes
    """A byte for each token: 1 if the loss is taken on it."""
    length: int
    """Tokens before it was cut."""

    @property
    def learned_tokens(self) -> int:
        return sum(self.learned)


def encode(rendered: Rendered, tokenize: Tokenize, longest: int) -> Sample:
    """The tokens of a text, at most `longest` of them: what is beyond is cut off at the end.

    A token that would lie across the begin or end of an answer is never made: there the text is
    cut before it is tokenized, as it is when the model is asked and goes on by itself.
    """
    cuts = {at for span in rendered.answers for at in span}
    ids, spans = tokenize(rendered.text)
    if any(begin < cut < end for begin, end in spans for cut in cuts):
        ids, spans = _in_parts(rendered.text, sorted(cuts), tokenize)
    learned = bytearray(len(ids))
    answers = iter(rendered.answers)
    answer = next(answers, None)
    for at, (begin, end) in enumerate(spans):
        while answer is not None and begin >= answer[1]:
            answer = next(answers, None)
        learned[at] = answer is not None and begin >= answer[0] and end > begin
    return Sample(array("i", ids[:longest]), bytes(learned[:longest]), len(ids))


def _in_parts(
    text: str, cuts: Sequence[int], tokenize: Tokenize
) -> tuple[list[int], list[tuple[int, int]]]:
    ids: list[int] = []
    spans: list[tuple[int, int]] = []
    for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        part_ids, part_spans = tokenize(text[begin:end])
        ids += part_ids
        spans += [(begin + first, begin + last) for first, last in part_spans]
    return ids, spans
