"""FieldView: a live field in half-blocks, two dots a cell, with its colours explained below it."""

from __future__ import annotations

from collections import deque
from itertools import groupby

from rich.color import Color as RichColor
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.geometry import Region, Size
from textual.strip import Strip

from cockpit.tui.phrases import time_of_day
from cockpit.tui.widgets.colormaps import ANCHORS, DIVERGING, SHADES, colormap
from cockpit.tui.widgets.frame import Frame, fit, rescaled, sample
from cockpit.tui.widgets.ink import Inked
from cockpit.tui.widgets.scale import short

LEVELS = 48
"""Colours a field is drawn in: few enough that most cells stay the same from frame to frame."""
KEPT_FRAMES, KEPT_BYTES = 120, 24 << 20
"""So many frames can be stepped back to."""
_LEVEL_OF = bytes([0, *(1 + value * LEVELS // 255 for value in range(255))])
"""Byte to level: 0 stays no value, the others become 1 to LEVELS."""
_SHADE_OF = ["█", *(SHADES[value * len(SHADES) // LEVELS] for value in range(LEVELS))]


class FieldView(Inked):
    """Draws the newest frame as large as fits, in its own shape; only changed rows are painted."""

    DEFAULT_CSS = "FieldView { height: 1fr; width: 1fr; min-height: 4; }"

    def __init__(self, title: str, map_name: str = "ember", *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.title = title
        self.map_name = map_name if map_name in ANCHORS or map_name in DIVERGING else "ember"
        self.frame: Frame | None = None
        """What is drawn: the newest frame, or an earlier one while it is held."""
        self.fixed: tuple[float, float] | None = None
        """The scale that frames are drawn on; None for each frame's own."""
        self.held = False
        self._kept: deque[Frame] = deque()
        self.note = "waiting for the first frame"
        """Said in place of the field while there is none."""
        self._rows: list[tuple[bytes, bytes]] = []
        self._left = 0
        self._legend_y = 0
        self._cells: dict[tuple[int, int], Style] = {}
        self._cells_key: object = None

    def show(self, frame: Frame) -> None:
        """Draw this frame from now on, unless an earlier one is held."""
        self._kept.append(frame)
        while len(self._kept) > KEPT_FRAMES or (
            len(self._kept) > 1 and sum(len(each.data) for each in self._kept) > KEPT_BYTES
        ):
            self._kept.popleft()
        if not self.held:
            self._draw(frame)
        else:
            self.refresh()

    def hold(self) -> bool:
        """Stay at the frame that is shown, or go on with the newest; whether it is held."""
        self.held = not self.held and bool(self._kept)
        if not self.held and self._kept:
            self._draw(self._kept[-1])
        self.refresh()
        return self.held

    def step(self, by: int) -> None:
        """Hold the field, and show an earlier (below 0) or a later frame."""
        if self.frame is None or not self._kept:
            return
        self.held = True
        self._draw(self._kept[min(max(self._at + by, 0), len(self._kept) - 1)])
        self.refresh()

    @property
    def _at(self) -> int:
        """Which of the kept frames is shown; the first, when it is no longer kept."""
        shown = self.frame.sequence if self.frame else 0
        return next((n for n, frame in enumerate(self._kept) if frame.sequence == shown), 0)

    def fix(self) -> None:
        """Draw on the scale of the frame that is shown from now on, or each on its own."""
        if self.fixed is None and self.frame is not None:
            self.fixed = self.frame.low, self.frame.high
        else:
            self.fixed = None
        self._update()
        self.refresh()

    def _draw(self, frame: Frame) -> None:
        before, self.frame = self.frame, frame
        if before is None or (before.width, before.height) != (frame.width, frame.height):
            self.refresh(layout=True)
        self._update()

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many rows as the picture needs at this width, where the height is left to it."""
        shape = self.frame.height / self.frame.width if self.frame else 1 / 3
        return min(round(width * shape / 2) + 1, max(container.height, 4))

    def recolour(self, map_name: str) -> None:
        """Draw in another map; one that runs through a neutral middle keeps its own."""
        if self.map_name in ANCHORS:
            self.map_name = map_name
            self.refresh()

    def on_resize(self) -> None:
        self._rows = []
        self._update()
        self.refresh()

    def forget(self) -> None:
        self._cells.clear()
        # Another theme may draw in shades, and those take whole cells.
        self._update()

    @property
    def _plain(self) -> bool:
        """True where colours cannot carry the field."""
        return self.app.no_color or self.app.native_ansi_color

    def _update(self) -> None:
        width, height = self.size
        if self.frame is None or height < 2 or not width:
            self.refresh()
            return
        dots = 1 if self._plain else 2
        lines = height - 1
        # A shade fills a whole cell, which is twice as high as wide.
        columns, rows = fit(self.frame.width, self.frame.height, width, lines * 2)
        rows = max(rows // 2, 1) if dots == 1 else rows + rows % 2
        drawn = self.frame if self.fixed is None else rescaled(self.frame, *self.fixed)
        levels = [row.translate(_LEVEL_OF) for row in sample(drawn, columns, rows)]
        if dots == 1:
            pairs = [(row, b"") for row in levels]
        else:
            pairs = list(zip(levels[::2], levels[1::2], strict=True))
        new = (pairs + [(b"", b"")] * lines)[:lines]
        moved = len(new) != len(self._rows) or self._left != (width - columns) // 2
        before, self._rows, self._left = self._rows, new, (width - columns) // 2
        self._legend_y = len(pairs)
        if moved:
            self.refresh()
            return
        changed = [y for y, row in enumerate(new) if row != before[y]]
        self.refresh(*(Region(0, y, width, 1) for y in (*changed, self._legend_y)))

    def render_line(self, y: int) -> Strip:
        width, height = self.size
        if y == (self._legend_y if self._rows else height - 1):
            segments = self._legend(width)
        elif self.frame is None:
            middle = y == (height - 1) // 2
            segments = (
                [Segment(self.note.center(width)[:width], self.ink("muted"))] if middle else []
            )
        elif y < len(self._rows) and self._rows[y][0]:
            return self._field_strip(*self._rows[y], width)
        else:
            segments = []
        return Strip(segments).adjust_cell_length(width).apply_style(self.rich_style)

    def _field_strip(self, upper: bytes, lower: bytes, width: int) -> Strip:
        """A row of the picture, its length known beforehand: measuring it costs more than drawing."""
        base = self.rich_style
        segments = [Segment(" " * self._left, base)] if self._left else []
        segments += self._field_row(upper, lower)
        used = self._left + len(upper)
        if used < width:
            segments.append(Segment(" " * (width - used), base))
        return Strip(segments, width)

    def _field_row(self, upper: bytes, lower: bytes) -> list[Segment]:
        if not lower:
            ink = self.rich_style + self.ink("text")
            return [Segment("".join([_SHADE_OF[level] for level in upper]), ink)]
        cells = self._cells
        if self._cells_key != self.map_name:
            cells.clear()
            self._cells_key = self.map_name
        segments: list[Segment] = []
        for pair, group in groupby(zip(upper, lower, strict=True)):
            style = cells.get(pair)
            if style is None:
                style = cells[pair] = self._style(*pair)
            segments.append(Segment("▀" * len(tuple(group)), style))
        return segments

    def _style(self, upper: int, lower: int) -> Style:
        return Style(color=self._color(upper), bgcolor=self._color(lower))

    def _color(self, level: int) -> RichColor | None:
        if level == 0:
            return self.ink("foreground/30").color
        color = Color(*colormap(self.map_name)[(level - 1) * 255 // (LEVELS - 1)])
        return self.look.fade(color).rich_color

    def _legend(self, width: int) -> list[Segment]:
        """Title, the colours from low to high with their values, step and time."""
        title = Segment(self.title, self.ink("text bold"))
        frame = self.frame
        if frame is None:
            return [title]
        ends = self.fixed or (frame.low, frame.high)
        low, high = f"  {short(ends[0]):>6} ", f" {short(ends[1]):<6}"
        if self.fixed is not None:
            high += "fixed "
        when = f"  step {frame.step:,}".replace(",", " ") + f"  at {time_of_day(frame.time_s)}"
        if self.held:
            when = f"  ‖ held, {len(self._kept) - 1 - self._at} behind{when}"
        room = width - len(self.title) - len(low) - len(high) - len(when)
        bar = min(max(room, 0), 32)
        if bar < 8:
            when, bar = "", min(max(room + len(when), 0), 32)
        segments = [title]
        if bar >= 4:
            segments += [Segment(low, self.ink("muted")), *self._bar(bar)]
            segments.append(Segment(high, self.ink("muted")))
        used = sum(len(segment.text) for segment in segments)
        gap = max(width - used - len(when), 0)
        segments += [
            Segment(" " * gap),
            Segment(when, self.ink("warning" if self.held else "muted")),
        ]
        return segments

    def _bar(self, width: int) -> list[Segment]:
        steps = [1 + x * (LEVELS - 1) // (width - 1) for x in range(width)]
        if self._plain:
            return [Segment("".join(_SHADE_OF[level] for level in steps), self.ink("text"))]
        return [Segment("▀", self._style(level, level)) for level in steps]
