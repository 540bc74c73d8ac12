"""Columns and rows of a table: what stands in them, and how it is laid out. Pure: no Textual."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import overload

from rich.cells import cell_len, set_cell_size

Span = tuple[str, str]
"""Text and its ink."""
Cell = str | Span | tuple[Span, ...]


@dataclass(frozen=True)
class Column:
    """One column of `width` cells; those with `flex` share what is left, by its weight."""

    name: str
    width: int = 0
    right: bool = False
    flex: int = 0
    drop: int = 0
    """Above 0: may be left out when there is no room, the highest first."""
    gap: int = 1
    """Cells before it, unless it is the first."""


@dataclass(frozen=True)
class Row:
    """One row. `key` names it for the cursor; a row without a key cannot be chosen."""

    key: str
    cells: tuple[Cell, ...]

    def matches(self, needle: str) -> bool:
        """Whether every word of `needle` stands in its cells."""
        text = " ".join(text for cell in self.cells for text, _ in parts(cell)).casefold()
        return all(word in text for word in needle.casefold().split())


class LazyRows(Sequence[Row]):
    """Rows by their keys, each made only when it is looked at: for lists longer than a screen."""

    def __init__(self, keys: Sequence[str], make: Callable[[str], Row]) -> None:
        self.keys = tuple(keys)
        self._make = make

    def __len__(self) -> int:
        return len(self.keys)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        if isinstance(index, slice):
            return LazyRows(self.keys[index], self._make)
        return self._make(self.keys[index])


def keys_of(rows: Sequence[Row]) -> tuple[str, ...]:
    """The key of each row."""
    return rows.keys if isinstance(rows, LazyRows) else tuple(row.key for row in rows)


def parts(cell: Cell) -> tuple[Span, ...]:
    """A cell as its spans."""
    if isinstance(cell, str):
        return ((cell, ""),)
    if cell and isinstance(cell[0], str):
        return (cell,)
    return cell


def fitted(spans: tuple[Span, ...], width: int, right: bool) -> list[Span]:
    """Spans of exactly `width` cells; what is cut ends in …"""
    fit: list[Span] = []
    used = 0
    for text, ink in spans:
        size = len(text) if text.isascii() else cell_len(text)
        if used + size > width:
            room = width - used
            if room > 0:
                fit.append((set_cell_size(text, room - 1) + "…", ink))
            return fit
        fit.append((text, ink))
        used += size
    if used < width:
        pad = (" " * (width - used), "")
        fit = [pad, *fit] if right else [*fit, pad]
    return fit


def widths(columns: Sequence[Column], total: int) -> list[int]:
    """The cells of each column in `total`, with the gaps between them; 0 for those left out."""
    shown = list(columns)

    def least(columns: list[Column]) -> int:
        return sum(max(column.width, 1) + column.gap for column in columns) - columns[0].gap

    for column in sorted(columns, key=lambda column: -column.drop):
        if column.drop and least(shown) > total:
            shown.remove(column)
    spare = max(total - least(shown), 0)
    weights = sum(column.flex for column in shown)
    result: list[int] = []
    for column in columns:
        if column not in shown:
            result.append(0)
        elif column.flex:
            result.append(max(column.width, 1) + spare * column.flex // weights)
        else:
            result.append(max(column.width, 1))
    return result
