"""Documents as rows of tokens, mixed, without end, and with all that is needed to go on exactly."""

from __future__ import annotations

import random
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from documents import Piece, Position, pieces_of

Encode = Callable[[Sequence[str]], Sequence[Sequence[int]]]
TOGETHER = 64
"""Pieces that are tokenized at once, by all cores."""


@dataclass(frozen=True)
class Source:
    """Where text is from, and what of it is whose."""

    files: list[Path]
    key: str
    skip_bad: bool = False
    held_out_every: int = 0
    """Of so many pieces the last one is held out; 0: none."""

    def is_held_out(self, piece: Piece) -> bool:
        return self.held_out_every > 0 and piece.after.piece % self.held_out_every == 0


@dataclass(frozen=True)
class Place:
    """How far a feed has come: all that its next row depends on."""

    position: Position = field(default_factory=Position)
    """After the last piece of which a token is in a row."""
    epoch: int = 0
    skipped: int = 0
    """Bad pieces that were left out."""
    left: tuple[int, ...] = ()
    """Tokens that are in no row yet."""
    mixing: tuple[array[int], ...] = ()
    """Rows of which one is drawn next."""
    drawn: int = 0

    def saved(self) -> dict[str, Any]:
        """As plain values, which `Place.loaded` reads."""
        return {
            **asdict(replace(self, mixing=())),
            "left": list(self.left),
            "mixing": [row.tolist() for row in self.mixing],
        }

    @staticmethod
    def loaded(saved: dict[str, Any]) -> Place:
        return Place(
            **{
                **saved,
                "position": Position(**saved["position"]),
                "left": tuple(saved["left"]),
                "mixing": tuple(array("i", row) for row in saved["mixing"]),
            }
        )


class Feed:
    """Rows of `length` tokens, the documents end to end with `end` after each.

    Every row begins with the last token of the one before it in the data, so that each token but
    the first is predicted once. `mix` rows are kept, of which the dice of `seed` draw the next.
    """

    def __init__(
        self, source: Source, encode: Encode, end: int, length: int, mix: int, seed: int
    ) -> None:
        self._source, self._encode, self._end = source, encode, end
        self._length, self._mix, self._seed = length, max(1, mix), seed
        self.place = Place()

    def go_on(self, place: Place) -> None:
        self.place = place
        self._reading = None

    def rows(self, count: int) -> list[array[int]]:
        """The next ones. Raises ValueError, in words, for what is wrong in the data."""
        return [self._draw() for _ in range(count)]

    def _draw(self) -> array[int]:
        mixing = list(self.place.mixing)
        while len(mixing) < self._mix:
            mixing.append(self._next_row())
        at = random.Random(f"{self._seed} {self.place.drawn}").randrange(len(mixing))
        row = mixing[at]
        # The last one takes its place: nothing is moved but these two.
        mixing[at] = mixing[-1]
        self.place = replace(self.place, mixing=tuple(mixing[:-1]), drawn=self.place.drawn + 1)
        return row

    _reading: Iterator[tuple[Position, Sequence[int]]] | None = None

    def _next_row(self) -> array[int]:
        tokens = list(self.place.left)
        while len(tokens) < self._length:
            tokens += self._more()
        row = array("i", tokens[: self._length])
        self.place = replace(self.place, left=tuple(tokens[self._length - 1 :]))
        return row

    def _more(self) -> Sequence[int]:
        """The tokens of the next piece; after the last one, of the first one again."""
        if self._reading is None:
            self._reading = self._tokens(self.place.position)
        for position, tokens in self._reading:
            self.place = replace(self.place, position=position)
            return tokens
        if self.place.position.piece == 0:
            raise ValueError("There is no text in the data to learn from.")
        self._reading = None
        self.place = replace(self.place, position=Position(), epoch=self.place.epoch + 1)
        return ()

    def _tokens(self, start: Position) -> Iterator[tuple[Position, Sequence[int]]]:
        for batch in _batches(pieces_of(self._source.files, self._source.key, start)):
            wanted = [piece for piece in batch if self._is_wanted(piece)]
            encoded = iter(self._encode([piece.text for piece in wanted]))
            good = {piece.after.piece for piece in wanted}
            for piece in batch:
                if piece.problem and not self._source.skip_bad:
                    raise ValueError(
                        f"{piece.problem}. Mend it, or leave such out with --skip-bad."
                    )
                if piece.problem:
                    self.place = replace(self.place, skipped=self.place.skipped + 1)
                tokens = list(next(encoded)) if piece.after.piece in good else []
                if tokens and piece.ends:
                    tokens.append(self._end)
                yield piece.after, tokens

    def _is_wanted(self, piece: Piece) -> bool:
        return not piece.problem and not self._source.is_held_out(piece)


def held_out_rows(
    source: Source, encode: Encode, end: int, length: int, most_tokens: int
) -> list[array[int]]:
    """Rows of what is held out, in order; of all pieces if `held_out_every` is 0.

    What is at the end and does not fill a row is left out, unless it would be all.
    """
    tokens: list[int] = []
    for piece in pieces_of(source.files, source.key):
        if source.held_out_every and not source.is_held_out(piece):
            continue
        if piece.problem and not source.skip_bad:
            raise ValueError(f"{piece.problem}. Mend it, or leave such out with --skip-bad.")
        tokens += [] if piece.problem else [*encode([piece.text])[0], end]
        if len(tokens) > most_tokens:
            break
    step = length - 1
    starts = range(0, min(len(tokens), most_tokens + 1) - step, step)
    return [array("i", tokens[at : at + length]) for at in starts]


def texts(source: Source, most_bytes: int) -> Iterator[str]:
    """The first texts to learn from, about `most_bytes` of them: to make a tokenizer of."""
    read = 0
    for piece in pieces_of(source.files, source.key):
        if piece.problem or source.is_held_out(piece):
            continue
        yield piece.text
        read += len(piece.text)
        if read >= most_bytes:
            return


def _batches(pieces: Iterator[Piece]) -> Iterator[list[Piece]]:
    batch: list[Piece] = []
    for piece in pieces:
        batch.append(piece)
        if len(batch) == TOGETHER:
            yield batch
            batch = []
    if batch:
        yield batch
