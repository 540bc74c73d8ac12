"""From columns of readings to rows of cells: the rasteriser of the time chart. Knows no Textual.

A row is its text and one ink per cell. An ink is `(front, back)`: front is what the character is
drawn as ("line0", "fill0:70", "limit", "grid", "pole", ""), back what lies behind it ("band0",
"fill0:70", ""). The number is how high a filled column stands, in steps of 10 percent of the scale.
Lines are drawn in braille (2 by 4 dots a cell), fills in eighths of a cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cockpit.tui.widgets.scale import Scale
from cockpit.tui.widgets.track import Column

Ink = tuple[str, str]
Row = tuple[str, tuple[Ink, ...]]

_EIGHTHS = " ▁▂▃▄▅▆▇█"
_DOTS = ((0x40, 0x04, 0x02, 0x01), (0x80, 0x20, 0x10, 0x08))
"""Braille bits from the bottom dot to the top one, left and right."""
_EMPTY: Ink = ("", "")


@dataclass(frozen=True)
class Drawn:
    """One series ready to draw: two columns a cell if it is a line, one if it fills."""

    columns: Sequence[Column | None]
    fill: bool = False
    dash: int = 0
    """Of every 8 dots of a line, this many are left out, so that lines differ without colour."""


def rasterise(
    series: Sequence[Drawn],
    scale: Scale,
    width: int,
    height: int,
    limits: Sequence[float] = (),
    grid_rows: Sequence[int] = (),
    poles: Sequence[int] = (),
) -> list[Row]:
    """`height` rows of `width` cells from top to bottom."""
    if width < 1 or height < 1:
        return [("", ())] * max(height, 0)
    canvas = _Canvas(width, height, scale)
    for index, drawn in enumerate(series):
        if drawn.fill:
            canvas.fill(drawn.columns, f"fill{index}", f"band{index}")
        else:
            canvas.band(drawn.columns, f"band{index}")
    for index, drawn in enumerate(series):
        if not drawn.fill:
            canvas.line(drawn, f"line{index}")
    for row in grid_rows:
        canvas.rule(row, "┈", "grid")
    for limit in limits:
        canvas.rule(row_of(limit, scale, height), "╌", "limit")
    for x in poles:
        canvas.pole(x, "pole")
    return canvas.rows()


def row_of(value: float, scale: Scale, height: int) -> int:
    """The row (0 is the top) that `value` falls into."""
    return height - 1 - min(int(scale.position(value) * height), height - 1)


class _Canvas:
    """Cells that are drawn on, each with its two inks."""

    def __init__(self, width: int, height: int, scale: Scale) -> None:
        self._height, self._scale = height, scale
        self._text = [[" "] * width for _ in range(height)]
        self._front = [[""] * width for _ in range(height)]
        self._back = [[""] * width for _ in range(height)]

    def rows(self) -> list[Row]:
        """What was drawn, top to bottom."""
        inks = zip(self._front, self._back, strict=True)
        return [
            ("".join(text), tuple(zip(front, back, strict=True)))
            for text, (front, back) in zip(self._text, inks, strict=True)
        ]

    def fill(self, columns: Sequence[Column | None], ink: str, band: str) -> None:
        """An area up to the means, and behind it how far the maxima went."""
        for x, column in enumerate(columns):
            if column is None:
                continue
            # A reading of zero still leaves a hairline: only a gap is empty.
            level = max(round(self._scale.position(column[1]) * self._height * 8), 1)
            top = round(self._scale.position(column[2]) * self._height * 8)
            column_ink = f"{ink}:{round(self._scale.position(column[1]) * 10) * 10}"
            for row in range(self._height - 1, -1, -1):
                eighths = level - (self._height - 1 - row) * 8
                if eighths > 0:
                    self._text[row][x] = _EIGHTHS[min(eighths, 8)]
                    self._front[row][x] = column_ink
                if eighths < 8:
                    if top - level < 2 or top - (self._height - 1 - row) * 8 < 4:
                        break
                    self._back[row][x] = band

    def band(self, columns: Sequence[Column | None], ink: str) -> None:
        """What lies between minima and maxima, behind everything."""
        for x in range(len(columns) // 2):
            both = [column for column in columns[2 * x : 2 * x + 2] if column is not None]
            if not both:
                continue
            low = self._scale.position(min(column[0] for column in both)) * self._height
            high = self._scale.position(max(column[2] for column in both)) * self._height
            if high - low < 0.75:
                continue
            for level in range(int(low + 0.5), int(high + 0.5)):
                if not self._back[self._height - 1 - level][x]:
                    self._back[self._height - 1 - level][x] = ink

    def line(self, drawn: Drawn, ink: str) -> None:
        """The means as a line of dots."""
        most = self._height * 4 - 1
        bits: dict[tuple[int, int], int] = {}
        previous: int | None = None
        for dot_x, column in enumerate(drawn.columns):
            if column is None:
                previous = None
                continue
            y = round(self._scale.position(column[1]) * most)
            first, last = y, y
            if previous is not None and abs(y - previous) > 1:
                first, last = (previous + 1, y) if y > previous else (y, previous - 1)
            previous = y
            if drawn.dash and dot_x % 8 >= 8 - drawn.dash:
                continue
            x, side = dot_x // 2, _DOTS[dot_x % 2]
            for dot_y in range(first, last + 1):
                cell = (self._height - 1 - dot_y // 4, x)
                bits[cell] = bits.get(cell, 0) | side[dot_y % 4]
        for (row, x), dots in bits.items():
            before = ord(self._text[row][x])
            if before > 0x2800:
                dots |= before - 0x2800
            elif self._text[row][x] == "█":
                self._back[row][x] = self._front[row][x]
            self._text[row][x] = chr(0x2800 + dots)
            self._front[row][x] = ink

    def rule(self, row: int, character: str, ink: str) -> None:
        """A line across, wherever nothing is drawn."""
        if not 0 <= row < self._height:
            return
        for x, present in enumerate(self._text[row]):
            if present == " " or self._front[row][x] == "grid":
                self._text[row][x], self._front[row][x] = character, ink

    def pole(self, x: int, ink: str) -> None:
        """A line from top to bottom, wherever nothing is drawn."""
        if not self._text or not 0 <= x < len(self._text[0]):
            return
        for text, front in zip(self._text, self._front, strict=True):
            if text[x] == " " or front[x] in ("grid", "limit"):
                text[x], front[x] = "│", ink
