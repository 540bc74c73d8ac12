"""TimeChart: figures over time on a fixed, printed scale, drawn line by line from a cache."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from rich.segment import Segment
from textual.geometry import Region
from textual.strip import Strip

from cockpit.tui.widgets.ink import Inked
from cockpit.tui.widgets.plot import Drawn, Ink, Row, rasterise, row_of
from cockpit.tui.widgets.scale import Scale, short, time_ticks
from cockpit.tui.widgets.track import Column, Track

_KEPT_STRIPS = 256
SCALES = ("power", "heat")
"""The theme's colours for how high something stands."""
_INKS = {"": "faint", "grid": "foreground/18", "limit": "warning", "pole": "text"}
_MARKS = {0: "━", 2: "╌", 4: "┅", 6: "┈"}
"""How a line is called by its dash, beside its colour."""


class Figures(Protocol):
    """What a trace draws: a Track, or anything that can be asked for columns."""

    @property
    def last(self) -> float | None:
        """The newest figure."""

    def columns(self, start: float, step: float, count: int) -> list[Column | None]:
        """The figures in `count` columns of `step` from `start`."""


@dataclass
class Trace:
    """One series of a chart; `fill` draws it as an area, `dash` leaves dots out of a line.

    `color` is a theme variable; an area may also take the colour of its height from one of SCALES.
    """

    label: str
    color: str
    track: Figures = field(default_factory=Track)
    fill: bool = False
    dash: int = 0
    named: bool = True
    """Whether the title tells its newest value."""


@dataclass(frozen=True)
class Limit:
    """A level that the figures should stay below, drawn across the chart."""

    label: str
    value: float


class TimeChart(Inked):
    """A title with the newest values, the plot with its scale at the left, times below.

    Change the tracks, then call `show` with the window of time: only lines that look different are
    painted again.
    """

    GUTTER: ClassVar[int] = 5
    DEFAULT_CSS = "TimeChart { height: 1fr; width: 1fr; min-height: 3; }"

    def __init__(
        self,
        title: str,
        scale: Scale,
        traces: Sequence[Trace],
        *,
        limit: Limit | None = None,
        origin_s: float | None = None,
        format_value: Callable[[float], str] = short,
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self.title, self.traces, self.origin_s = title, list(traces), origin_s
        self._scale, self._limit, self._format = scale, limit, format_value
        self._window = (0.0, 60.0)
        self._rows: list[tuple[object, ...]] = []
        self._drawn_key: object = None
        self._plot: list[Row] = []
        self._strips: OrderedDict[tuple[object, ...], Strip] = OrderedDict()

    def show(
        self,
        start_s: float,
        end_s: float,
        *,
        scale: Scale | None = None,
        limit: Limit | None = None,
    ) -> None:
        """Draw the tracks between two times (and on another scale or limit, if given)."""
        self._window = (start_s, end_s)
        self._scale = scale or self._scale
        self._limit = limit or self._limit
        self._update()

    def plain_rows(self) -> list[str]:
        """The text of the chart as it stands, for tests and screen readers."""
        return [
            "".join(segment.text for segment in self.render_line(y))
            for y in range(self.size.height)
        ]

    def on_resize(self) -> None:
        self._update()

    def forget(self) -> None:
        self._strips.clear()

    def render_line(self, y: int) -> Strip:
        if len(self._rows) != self.size.height:
            self._rows = self._compose_rows()
        if y >= len(self._rows):
            return Strip.blank(self.size.width, self.rich_style)
        key = (*self._rows[y], self.size.width)
        strip = self._strips.get(key)
        if strip is None:
            strip = self._strips[key] = self._strip(self._rows[y])
            if len(self._strips) > _KEPT_STRIPS:
                self._strips.popitem(last=False)
        return strip

    def _update(self) -> None:
        """Compose all rows anew and ask for those that changed to be painted."""
        if not self.size.height or not self.is_attached:
            return
        before, self._rows = self._rows, self._compose_rows()
        if len(before) != len(self._rows):
            self.refresh()
            return
        changed = [y for y, row in enumerate(self._rows) if row != before[y]]
        if changed:
            self.refresh(*(Region(0, y, self.size.width, 1) for y in changed))

    @property
    def _gutter(self) -> int:
        """Cells at the left for the labels of the scale."""
        return self.GUTTER if self.size.width >= 24 else 0

    def _compose_rows(self) -> list[tuple[object, ...]]:
        width, height = self.size
        title: list[tuple[object, ...]] = [("title", self._title(width))] if height else []
        axis = 1 if height >= 5 else 0
        plot_height = max(height - 1 - axis, 0)
        plot_width = max(width - self._gutter, 0)
        if not plot_height or not plot_width:
            return (title + [("blank",)] * height)[:height]
        start_s, step_s, end_s = self._grid(plot_width)
        labels = self._labels(plot_height)
        plot = self._rasterise(start_s, step_s, plot_width, plot_height, tuple(labels))
        rows: list[tuple[object, ...]] = [
            ("plot", y / max(plot_height - 1, 1), labels.get(y, ("", "")), row)
            for y, row in enumerate(plot)
        ]
        if axis:
            rows.append(("axis", tuple(self._axis_ticks(start_s, end_s, plot_width))))
        return title + rows

    def _axis_ticks(self, start_s: float, end_s: float, width: int) -> list[tuple[int, str]]:
        """Columns and labels along the plot."""
        return time_ticks(start_s, end_s, width, self.origin_s)

    def _poles(self, width: int) -> tuple[int, ...]:
        """Columns of the plot that have a line from top to bottom."""
        return ()

    def _tick_label(self, value: float) -> str:
        return self._scale.label(value)

    def _grid(self, plot_width: int) -> tuple[float, float, float]:
        """Start, width of a column and end, on a grid that stands still while time passes."""
        start_s, end_s = self._window
        span = max(end_s - start_s, 1e-3)
        step_s = span / plot_width
        if self.origin_s is not None:
            return start_s, step_s, start_s + span
        end_s = (int(end_s / step_s) + 1) * step_s
        return end_s - span, step_s, end_s

    def _rasterise(
        self, start_s: float, step_s: float, width: int, height: int, grid_rows: tuple[int, ...]
    ) -> list[Row]:
        drawn: list[Drawn] = []
        for trace in self.traces:
            per_cell = 1 if trace.fill else 2
            columns: list[Column | None] = trace.track.columns(
                start_s, step_s / per_cell, width * per_cell
            )
            drawn.append(Drawn(tuple(columns), trace.fill, trace.dash))
        limits = (self._limit.value,) if self._limit else ()
        poles = self._poles(width)
        key = (tuple(drawn), self._scale, width, height, limits, grid_rows, poles)
        if key != self._drawn_key:
            self._drawn_key = key
            self._plot = rasterise(drawn, self._scale, width, height, limits, grid_rows, poles)
        return self._plot

    def _labels(self, height: int) -> dict[int, tuple[str, str]]:
        """Row of the plot → (label, ink). The limit comes first, then the ends of the scale."""
        labels: dict[int, tuple[str, str]] = {}
        scale = self._scale
        if self._limit:
            labels[row_of(self._limit.value, scale, height)] = (short(self._limit.value), "warning")
        ticks = scale.ticks
        least = 2
        for value in (*ticks[:1], *ticks[-1:], *ticks[1:-1]):
            row = row_of(value, scale, height)
            if all(abs(row - taken) >= least for taken in labels) or not labels:
                labels[row] = (self._tick_label(value), "muted")
        return labels

    def _title(self, width: int) -> tuple[tuple[str, str], ...]:
        """Title, unit, and each series with its newest value; less of it where there is no room."""
        groups = self._title_groups(gap="  ", between=" ", unit=True)
        if _length(groups) > width:
            groups = self._title_groups(gap=" ", between="", unit=False)
        while len(groups) > 1 and _length(groups) > width:
            groups.pop()
        return tuple(span for group in groups for span in group)

    def _title_groups(self, gap: str, between: str, unit: bool) -> list[list[tuple[str, str]]]:
        groups = [[(self.title, "text bold")]]
        if unit and self._scale.unit:
            groups[0].append((f" {self._scale.unit}", "muted"))
        # The last drawn lies on top: it is the one that is named first.
        for trace in reversed(self.traces):
            if not trace.named:
                continue
            value = self._told(trace)
            shown = "—" if value is None else self._format(value)
            mark = "▆" if trace.fill else _MARKS.get(trace.dash, "╌")
            label = f"{trace.label} " if trace.label else ""
            pad = 4 if unit else 3
            groups.append(
                [(gap + mark + between, self._mark_ink(trace)), (f"{label}{shown:>{pad}}", "text")]
            )
        if self._limit:
            groups.append([(f"{gap}╌ {self._limit.label} {short(self._limit.value)}", "warning")])
        return groups

    def _told(self, trace: Trace) -> float | None:
        """The value of a series that the title tells: its newest."""
        return trace.track.last

    def _mark_ink(self, trace: Trace) -> str:
        if trace.color not in SCALES:
            return trace.color
        value = trace.track.last
        return f"{trace.color}:{round(self._scale.position(value or 0.0) * 10) * 10}%"

    def _strip(self, row: tuple[object, ...]) -> Strip:
        width = self.size.width
        if row[0] == "title":
            segments = [Segment(text, self.ink(ink)) for text, ink in row[1]]  # type: ignore[attr-defined]
        elif row[0] == "plot":
            segments = self._plot_segments(*row[1:])  # type: ignore[arg-type]
        elif row[0] == "axis":
            segments = self._axis_segments(row[1])  # type: ignore[arg-type]
        else:
            segments = []
        return (
            Strip(segments).adjust_cell_length(width, self.rich_style).apply_style(self.rich_style)
        )

    def _plot_segments(self, depth: float, label: tuple[str, str], row: Row) -> list[Segment]:
        segments: list[Segment] = []
        if self._gutter:
            text, ink = label
            room = self._gutter - 1
            segments.append(Segment(f"{text[:room]:>{room}} ", self.ink(ink)))
        text, inks = row
        start = 0
        for x in range(1, len(text) + 1):
            if x == len(text) or inks[x] != inks[start]:
                segments.append(Segment(text[start:x], self.ink(self._words(inks[start], depth))))
                start = x
        return segments

    def _words(self, ink: Ink, depth: float) -> str:
        """What an ink of the plot means in this theme; fills fade towards the foot of the scale."""
        front, back = ink
        words = _INKS.get(front, "")
        if front.startswith("line"):
            words = self.traces[int(front[4:])].color
        elif front.startswith("fill"):
            words = self._fill_words(front, round(100 - 50 * depth))
        if back.startswith("band"):
            words += " on " + self._fill_words(back, 22)
        elif back.startswith("fill"):
            words += " on " + self._fill_words(back, round(50 - 25 * depth))
        return words

    def _fill_words(self, ink: str, strength: int) -> str:
        trace, _, level = ink[4:].partition(":")
        color = self.traces[int(trace)].color
        if color in SCALES:
            return f"{color}:{level or 60}%/{strength}"
        return f"{color.partition('/')[0]}/{strength}"

    def _axis_segments(self, ticks: tuple[tuple[int, str], ...]) -> list[Segment]:
        line = " " * self._gutter
        for column, label in ticks:
            if len(line) <= self._gutter + column:
                line = f"{line:<{self._gutter + column}}╵{label}"
        return [Segment(line, self.ink("muted"))]


def _length(groups: Sequence[Sequence[tuple[str, str]]]) -> int:
    return sum(len(text) for group in groups for text, _ in group)
