"""Board: a widget of blocks of lines that repaints only the stretches of lines that changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rich.segment import Segment
from textual.filter import ANSIToTruecolor
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from cockpit.tui.draw import Line, Run, width_of
from cockpit.tui.look import Look


class Block(Protocol):
    """A rectangle of a board. Where it is depends on sizes only, never on the data."""

    region: Region

    def lines(self) -> Sequence[Line]:
        """Its lines as they should be now: `region.height` of them, `region.width` cells each."""


class Board(Widget, can_focus=False):
    """Lines from blocks, cached; `show` compares and repaints, `lay_out` starts afresh."""

    DEFAULT_CSS = "Board { height: 1fr; width: 1fr; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.faded = False
        self._blocks: list[Block] = []
        self._lines: list[list[Line]] = []
        self._by_row: list[list[tuple[int, int]]] = []
        self._strips: dict[int, Strip] = {}
        self._painted: dict[tuple[int, int], list[Segment]] = {}
        self._looks: dict[bool, Look] = {}
        self.repainted = 0
        """Stretches of lines repainted since the start; tests watch it."""

    def lay_out(self, blocks: Sequence[Block], height: int) -> None:
        """Put other blocks in place and repaint everything."""
        self._blocks = list(blocks)
        self._lines = [list(block.lines()) for block in blocks]
        self._by_row = [[] for _ in range(height)]
        for number, block in enumerate(self._blocks):
            for row in range(block.region.height):
                if 0 <= block.region.y + row < height:
                    self._by_row[block.region.y + row].append((number, row))
        for row_blocks in self._by_row:
            row_blocks.sort(key=lambda entry: self._blocks[entry[0]].region.x)
        self._forget()

    def _forget(self) -> None:
        self._strips.clear()
        self._painted.clear()
        self.refresh()

    def show(self, faded: bool = False) -> None:
        """Repaint what looks different now."""
        if faded != self.faded:
            self.faded = faded
            self._forget()
        changed: list[Region] = []
        for number, block in enumerate(self._blocks):
            old = self._lines[number]
            for row, line in enumerate(block.lines()):
                if line != old[row]:
                    changed.append(self._change(number, row, line))
        if changed:
            self.repainted += len(changed)
            self.refresh(*changed)

    def _change(self, number: int, row: int, line: Line) -> Region:
        """Put another line in place, keeping what is painted of it; where it looks different."""
        region, old = self._blocks[number].region, self._lines[number][row]
        self._lines[number][row] = line
        self._strips.pop(region.y + row, None)
        first, last = equal_ends(old, line)
        back, runs = line
        between = runs[first : len(runs) - last]
        painted = self._painted.get((number, row))
        if painted is not None:
            painted[first : len(painted) - last] = self._segments(back, between)
        start = width_of(runs[:first])
        return Region(region.x + start, region.y + row, width_of(between), 1)

    def _segments(self, back: str, runs: Sequence[Run]) -> list[Segment]:
        look = self.look()
        return [Segment(text, look.style(front, back)) for text, front in runs]

    def notify_style_update(self) -> None:
        """The theme changed: make the styles anew."""
        super().notify_style_update()
        self._looks.clear()
        self._strips.clear()
        self._painted.clear()

    def look(self) -> Look:
        """The styles of the theme, faded when the data is."""
        look = self._looks.get(self.faded)
        if look is None:
            look = self._looks[self.faded] = Look(self.app.theme_variables, self.faded)
        return look

    def render_lines(self, crop: Region) -> list[Strip]:
        """The lines of a region, from the cache where they have not changed.

        A board has no border, padding or scrollbar, so it goes past the second cache that Textual
        keeps for widgets that may have them, and applies the filters (NO_COLOR) itself.
        """
        width = self.size.width
        lines = [self._line(y, width) for y in range(crop.y, crop.bottom)]
        if crop.x == 0 and crop.right >= width:
            return lines
        return [line.crop(crop.x, crop.right) for line in lines]

    def _line(self, y: int, width: int) -> Strip:
        strip = self._strips.get(y)
        if strip is None or strip.cell_length != width:
            strip = self._strips[y] = self._paint(y, width)
        return strip

    def _paint(self, y: int, width: int) -> Strip:
        look = self.look()
        segments: list[Segment] = []
        at = 0
        for number, row in self._by_row[y] if y < len(self._by_row) else ():
            region = self._blocks[number].region
            if region.x > at:
                segments.append(Segment(" " * (region.x - at), look.style("faint")))
            painted = self._painted.get((number, row))
            if painted is None:
                painted = self._segments(*self._lines[number][row])
                self._painted[number, row] = painted
            segments += painted
            at = region.right
        if at < width:
            segments.append(Segment(" " * (width - at), look.style("faint")))
        strip = Strip(segments, width)
        for line_filter in self.get_line_filters():
            # A theme's colours are truecolor already, or meant for the terminal as they are.
            if not isinstance(line_filter, ANSIToTruecolor):
                strip = strip.apply_filter(line_filter, self.background_colors[1])
        return strip


def equal_ends(old: Line, new: Line) -> tuple[int, int]:
    """How many runs at the start of two lines are equal, and how many of the others at the end.

    Whole runs, so that what lies between never begins or ends in half a wide letter.
    """
    (old_back, before), (new_back, after) = old, new
    if old_back != new_back:
        return 0, 0
    shorter = min(len(before), len(after))
    first = 0
    while first < shorter and before[first] == after[first]:
        first += 1
    last = 0
    while last < shorter - first and before[-1 - last] == after[-1 - last]:
        last += 1
    return first, last
