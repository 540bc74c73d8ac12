"""ThrottleTimeline: which reason slowed a GPU, and when: a row for each, in letters and colours."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from textual.geometry import Region
from textual.strip import Strip

from cockpit.model import THROTTLE_BITS, Series
from cockpit.tui.widgets.ink import Inked
from cockpit.tui.widgets.scale import time_ticks
from cockpit.tui.widgets.track import Track

REASONS: tuple[tuple[str, str, str, str], ...] = (
    ("power_cap", "P", "power cap", "warning"),
    ("sw_thermal", "T", "thermal", "error"),
    ("hw_thermal", "H", "hot, hardware", "error"),
    ("power_brake", "B", "power brake", "error"),
    ("hw_slowdown", "S", "hw slowdown", "error"),
    ("board_limit", "L", "board limit", "warning"),
    ("reliability", "R", "reliability", "warning"),
    ("sync_boost", "Y", "sync boost", "secondary"),
    ("application_clocks", "A", "app clocks", "secondary"),
    ("idle", "i", "idle", "muted"),
)
"""NVML's name, letter, words and colour of each, the most telling first."""

_NAME_WIDTH, _SHARE_WIDTH = 14, 7
_Row = tuple[str, str, str, str]


class ThrottleTimeline(Inked):
    """A row per reason, the columns as time, at the right the share of the time; times below."""

    DEFAULT_CSS = f"ThrottleTimeline {{ height: {len(REASONS) + 2}; width: 1fr; }}"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.tracks = {name: Track() for name, *_ in REASONS}
        self._window = (0.0, 60.0)
        self._rows: list[_Row] = []
        self._ticks: list[tuple[int, str]] = []

    def load(self, series: Series) -> None:
        """Take the history of `throttle_mask` as the past: a bucket has every reason it ever had."""
        for name, track in self.tracks.items():
            bit = THROTTLE_BITS[name]
            values = tuple(
                None if mask is None else float(bool(int(mask) & bit)) for mask in series.maximum
            )
            track.load(
                Series(
                    *(series.gpu_uuid, series.metric, series.resolution_s, series.times_s),
                    *(values, values, values),
                )
            )

    def append(self, time_s: float, reasons: Sequence[str] | None) -> None:
        """Add one reading; None if it could not be read."""
        for name, track in self.tracks.items():
            track.append(time_s, None if reasons is None else float(name in reasons))

    def show(self, start_s: float, end_s: float) -> None:
        """Draw the time between."""
        self._window = (start_s, end_s)
        before, ticks = self._rows, self._ticks
        self._compose_rows()
        if len(before) != len(self._rows) or ticks != self._ticks:
            self.refresh()
            return
        changed = [y for y, row in enumerate(self._rows) if row != before[y]]
        if changed:
            self.refresh(*(Region(0, y + 1, self.size.width, 1) for y in changed))

    def plain_rows(self) -> list[str]:
        """The text of the timeline, for tests."""
        return [
            "".join(segment.text for segment in self.render_line(y)).rstrip()
            for y in range(self.size.height)
        ]

    def on_resize(self) -> None:
        self._compose_rows()
        self.refresh()

    @property
    def _columns(self) -> int:
        return max(self.size.width - _NAME_WIDTH - _SHARE_WIDTH - 1, 1)

    def _compose_rows(self) -> None:
        start_s, end_s = self._window
        width = self._columns
        step_s = max(end_s - start_s, 1e-3) / width
        end_s = (int(end_s / step_s) + 1) * step_s
        start_s = end_s - step_s * width
        self._ticks = time_ticks(start_s, end_s, width)
        self._rows = []
        for name, letter, words, ink in REASONS:
            columns = self.tracks[name].columns(start_s, step_s, width)
            cells = "".join(
                " " if column is None else letter if column[2] > 0 else "·" for column in columns
            )
            known = [column[1] for column in columns if column is not None]
            share = f"{100 * sum(known) / len(known):.0f} %" if known else "—"
            self._rows.append((words, cells, share, ink))

    def render_line(self, y: int) -> Strip:
        if y == 0:
            segments = [
                Segment("Throttle reasons", self.ink("text bold")),
                Segment("  letter: slowed by this, · not, blank: not known", self.ink("muted")),
            ]
        elif 1 <= y <= len(self._rows):
            segments = self._reason(*self._rows[y - 1])
        elif y == len(self._rows) + 1:
            segments = self._axis()
        else:
            segments = []
        strip = Strip(segments).adjust_cell_length(self.size.width)
        return strip.apply_style(self.rich_style)

    def _reason(self, words: str, cells: str, share: str, ink: str) -> list[Segment]:
        active = any(cell not in " ·" for cell in cells)
        segments = [Segment(f"{words:<{_NAME_WIDTH}}", self.ink("text" if active else "muted"))]
        start = 0
        for x in range(1, len(cells) + 1):
            if x == len(cells) or cells[x] != cells[start]:
                quiet = cells[start] in " ·"
                style = self.ink("faint" if quiet else f"{ink} on {ink}/30")
                segments.append(Segment(cells[start:x], style))
                start = x
        segments.append(Segment(f" {share:>{_SHARE_WIDTH}}", self.ink(ink if active else "muted")))
        return segments

    def _axis(self) -> list[Segment]:
        line = " " * _NAME_WIDTH
        for column, label in self._ticks:
            if len(line) <= _NAME_WIDTH + column:
                line = f"{line:<{_NAME_WIDTH + column}}╵{label}"
        return [Segment(line, self.ink("muted"))]
