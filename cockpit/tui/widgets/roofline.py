"""RooflinePlot: kernels under the roofs of their device, both axes in decades.

The roofline model of Williams, Waterman and Patterson (2009), doi:10.1145/1498765.1498785: at so many
operations a byte a kernel can do at most the lesser of bandwidth times intensity and the peak.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.segment import Segment
from textual.strip import Strip

from cockpit.model import Roofline
from cockpit.tui.job.kernels import Dot
from cockpit.tui.phrases import rate
from cockpit.tui.widgets.ink import Inked
from cockpit.tui.widgets.scale import short

GUTTER = 8
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""Braille bits from the top dot to the bottom one, left and right."""


@dataclass(frozen=True)
class Frame:
    """The part of the plane that is drawn: powers of ten of FLOP per byte and of FLOP per second."""

    left: float
    right: float
    bottom: float
    top: float


def frame_of(dots: Sequence[Dot], roof: Roofline) -> Frame:
    """Whole decades around the kernels and the ridge, where both roofs meet."""
    across = [math.log10(dot.intensity) for dot in dots]
    up = [math.log10(dot.flops_per_s) for dot in dots]
    if roof.bytes_per_s and roof.flops_per_s:
        across.append(math.log10(roof.flops_per_s / roof.bytes_per_s))
    if roof.flops_per_s:
        up.append(math.log10(roof.flops_per_s) + 0.1)
    if roof.bytes_per_s:
        up += [x + math.log10(roof.bytes_per_s) for x in across]
    left, right = math.floor(min(across) - 0.4), math.ceil(max(across) + 0.4)
    return Frame(left, right, math.floor(min(up) - 0.2), math.ceil(max(up) + 0.05))


def roof_at(x: float, roof: Roofline) -> float | None:
    """The lower roof at 10^x operations a byte, as a power of ten; None without any."""
    slopes = [x + math.log10(roof.bytes_per_s)] if roof.bytes_per_s else []
    flat = [math.log10(roof.flops_per_s)] if roof.flops_per_s else []
    return min(slopes + flat, default=None)


Cell = tuple[str, str]
"""A character and its ink."""


def draw(dots: Sequence[Dot], roof: Roofline, width: int, height: int) -> list[list[Cell]]:
    """The plot as `height` rows of `width` cells, without its axes."""
    frame = frame_of(dots, roof)
    cells: list[list[Cell]] = [[(" ", "faint")] * width for _ in range(height)]
    for power in range(int(frame.bottom) + 1, int(frame.top)):
        y = _row(power, frame, height)
        cells[y] = [("┈", "foreground/18")] * width
    _draw_roof(cells, roof, frame)
    _name_roofs(cells, roof, frame)
    for dot in dots:
        _drop(cells, dot, roof, frame)
    for dot in dots:
        _place(cells, dot, frame)
    return cells


def _row(y: float, frame: Frame, height: int) -> int:
    share = (y - frame.bottom) / (frame.top - frame.bottom)
    return height - 1 - min(max(int(share * height), 0), height - 1)


def _column(x: float, frame: Frame, width: int) -> int:
    share = (x - frame.left) / (frame.right - frame.left)
    return min(max(int(share * width), 0), width - 1)


def _draw_roof(cells: list[list[Cell]], roof: Roofline, frame: Frame) -> None:
    height, width = len(cells), len(cells[0])
    bits: dict[tuple[int, int], int] = {}
    before: int | None = None
    for dot_x in range(width * 2):
        x = frame.left + (dot_x + 0.5) / (width * 2) * (frame.right - frame.left)
        y = roof_at(x, roof)
        if y is None or not frame.bottom <= y <= frame.top:
            before = None
            continue
        share = (frame.top - y) / (frame.top - frame.bottom)
        dot_y = min(int(share * height * 4), height * 4 - 1)
        for at in range(dot_y, max(before or dot_y, dot_y) + 1):
            cell = (at // 4, dot_x // 2)
            bits[cell] = bits.get(cell, 0) | _DOTS[dot_x % 2][at % 4]
        before = dot_y
    for (y_cell, x_cell), dots in bits.items():
        cells[y_cell][x_cell] = (chr(0x2800 + dots), "warning")


def _name_roofs(cells: list[list[Cell]], roof: Roofline, frame: Frame) -> None:
    """Each roof by its figure: the flat one above its right end, the slope beside its foot."""
    width = len(cells[0])
    if roof.flops_per_s:
        text = f"arithmetic {rate(roof.flops_per_s, 'FLOP/s')}"
        y = _row(math.log10(roof.flops_per_s), frame, len(cells)) - 1
        _write(cells, max(width - len(text) - 1, 0), y, text, "warning")
    if roof.bytes_per_s:
        text = f"memory {rate(roof.bytes_per_s, 'B/s')}"
        x = max(frame.left, frame.bottom - math.log10(roof.bytes_per_s))
        x += (frame.right - frame.left) * 0.1
        y = _row(x + math.log10(roof.bytes_per_s), frame, len(cells))
        _write(cells, _column(x, frame, width) + 4, y + 1, text, "warning")


def _drop(cells: list[list[Cell]], dot: Dot, roof: Roofline, frame: Frame) -> None:
    """A thin line from a kernel up to the roof that it could reach."""
    height, width = len(cells), len(cells[0])
    x = math.log10(dot.intensity)
    top = roof_at(x, roof)
    if top is None:
        return
    column = _column(x, frame, width)
    own = _row(math.log10(dot.flops_per_s), frame, height)
    for y in range(_row(top, frame, height) + 1, own):
        if cells[y][column][0] in " ┈":
            cells[y][column] = ("┊", "muted")


def _place(cells: list[list[Cell]], dot: Dot, frame: Frame) -> None:
    height, width = len(cells), len(cells[0])
    x = _column(math.log10(dot.intensity), frame, width)
    y = _row(math.log10(dot.flops_per_s), frame, height)
    label = f"{dot.mark} {dot.name}"
    _write(cells, x, y, "●", "primary bold")
    start = x + 2 if x + 2 + len(label) < width else x - 1 - len(label)
    for at in (y, y + 1, y - 1):
        if 0 <= at < height and _free(cells, start, at, len(label)):
            _write(cells, start, at, label, "text bold")
            return
    _write(cells, min(x + 1, width - 1), y, dot.mark, "text bold")


def _free(cells: list[list[Cell]], x: int, y: int, length: int) -> bool:
    return x >= 0 and all(char in " ┈┊" for char, _ in cells[y][x : x + length])


def _write(cells: list[list[Cell]], x: int, y: int, text: str, ink: str) -> None:
    if not 0 <= y < len(cells):
        return
    for at, char in enumerate(text, start=x):
        if 0 <= at < len(cells[y]):
            cells[y][at] = (char, ink)


class RooflinePlot(Inked):
    """The plot with its axes; where a job tells too little for one, it says what is missing."""

    DEFAULT_CSS = "RooflinePlot { height: 1fr; width: 1fr; min-height: 3; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._dots: tuple[Dot, ...] = ()
        self._roof = Roofline()
        self._key: object = None
        self._rows: list[list[Segment]] = []

    @property
    def can_draw(self) -> bool:
        """Whether there is a kernel with bytes and operations, and a roof."""
        return bool(self._dots) and bool(self._roof.bytes_per_s or self._roof.flops_per_s)

    def show(self, dots: Sequence[Dot], roof: Roofline | None) -> None:
        """Draw these kernels under that roof."""
        if (tuple(dots), roof or Roofline()) != (self._dots, self._roof):
            self._dots, self._roof = tuple(dots), roof or Roofline()
            self.refresh()

    def forget(self) -> None:
        self._key = None

    def plain_rows(self) -> list[str]:
        """The text of the plot, for tests."""
        return [self.render_line(y).text.rstrip() for y in range(self.size.height)]

    def render_line(self, y: int) -> Strip:
        key = (self._dots, self._roof, self.size, self.look)
        if key != self._key:
            self._key, self._rows = key, self._compose_rows()
        segments = self._rows[y] if y < len(self._rows) else []
        return Strip(segments).adjust_cell_length(self.size.width).apply_style(self.rich_style)

    def _compose_rows(self) -> list[list[Segment]]:
        width, height = self.size.width - GUTTER, self.size.height - 2
        if not self.can_draw:
            missing = "A roofline plot needs kernels that tell bytes and flops, and a roof."
            return [[Segment(missing, self.ink("muted"))]]
        if width < 20 or height < 5:
            return [[Segment("The roofline plot needs more room.", self.ink("muted"))]]
        frame = frame_of(self._dots, self._roof)
        title = Segment("Roofline", self.ink("text bold"))
        axes = Segment("  FLOP/s over FLOP per byte, in decades", self.ink("muted"))
        rows = [[title, axes]]
        labels = {
            _row(power, frame, height): short(10.0**power)
            for power in range(int(frame.bottom), int(frame.top))
        }
        for y, cells in enumerate(draw(self._dots, self._roof, width, height)):
            gutter = Segment(f"{labels.get(y, ''):>{GUTTER - 1}} ", self.ink("muted"))
            rows.append([gutter, *(Segment(char, self.ink(ink)) for char, ink in cells)])
        line = ""
        for power in range(int(frame.left), int(frame.right)):
            column = _column(power, frame, width)
            line = f"{line:<{column}}╵{short(10.0**power)}" if len(line) <= column else line
        rows.append([Segment(" " * GUTTER + line, self.ink("muted"))])
        return rows
