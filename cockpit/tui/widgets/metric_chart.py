"""MetricChart: one or several figures of a job, along its steps or its time, with a cursor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.message import Message

from cockpit.tui.widgets.chart import TimeChart, Trace
from cockpit.tui.widgets.chart_view import ChartView, Reach
from cockpit.tui.widgets.curve import Curve
from cockpit.tui.widgets.scale import (
    Scale,
    covering,
    logarithmic,
    number_ticks,
    tick_label,
    time_ticks,
)

FAINT = 32
"""Percent of its colour that the raw line keeps beside its smoothed one."""


@dataclass(frozen=True)
class Figure:
    """One line of a chart: what it is called, how it is drawn, and what it is."""

    label: str
    color: str
    dash: int
    curve: Curve


class MetricChart(TimeChart):
    """A chart that is zoomed, read and chosen; its container holds the view that all share."""

    GUTTER: ClassVar[int] = 8
    DEFAULT_CSS = "MetricChart { height: 1fr; width: 1fr; min-height: 6; }"

    class Pointed(Message):
        """The mouse is over a place, or (None) left."""

        def __init__(self, place: float | None) -> None:
            super().__init__()
            self.place = place

    class Marked(Message):
        """A part was chosen with the mouse."""

        def __init__(self, start: float, end: float) -> None:
            super().__init__()
            self.start, self.end = start, end

    class Zoomed(Message):
        """The wheel was turned at a place; `by` is 1 for closer, -1 for further."""

        def __init__(self, by: int, place: float) -> None:
            super().__init__()
            self.by, self.place = by, place

    class Picked(Message):
        """The chart was clicked."""

        def __init__(self, chart: MetricChart) -> None:
            super().__init__()
            self.chart = chart

    def __init__(self, name: str) -> None:
        super().__init__(name, covering(0.0, 1.0), (), origin_s=0.0)
        self.heading = name
        self._view = ChartView()
        self._held: float | None = None
        self._grown: tuple[float, float] | None = None
        self._grown_key: object = None

    def draw(self, figures: Sequence[Figure], view: ChartView, reach: Reach, chosen: bool) -> None:
        """Show these lines in the part of the run that the view shows."""
        self._view = view
        self.title = f"{'▸ ' if chosen else ''}{self.heading}"
        raw: list[Trace] = []
        smooth: list[Trace] = []
        for figure in figures:
            curve = figure.curve.positive() if view.log else figure.curve
            if view.smoothing:
                faint = f"{figure.color}/{FAINT}"
                raw.append(Trace("", faint, curve, dash=figure.dash, named=False))
                curve = curve.smoothed(view.smoothing)
            smooth.append(Trace(figure.label, figure.color, curve, dash=figure.dash))
        # The first figure is drawn last, so that it lies on top and is named first.
        before = [trace.color for trace in self.traces]
        self.traces = [*raw[::-1], *smooth[::-1]]
        if before != [trace.color for trace in self.traces]:
            self.forget()
        start, end = view.shown(reach)
        end = end if end > start else start + 1.0
        self.show(start, end, scale=self._fitting([figure.curve for figure in figures], start, end))

    def _fitting(self, curves: Sequence[Curve], start: float, end: float) -> Scale:
        """Round figures around what is shown. Of a whole run they only grow, so that it stands still."""
        log = self._view.log
        points = [
            point
            for curve in curves
            for point in curve.inside(start, end)
            if point[1] is not None and (not log or point[3] > 0)
        ]
        lows = [point[2] if not log or point[2] > 0 else point[1] or 1.0 for point in points]
        lows = [low for low in lows if not log or low > 0]
        key = (self._view.axis, log, self._view.window)
        if key != self._grown_key:
            self._grown, self._grown_key = None, key
        if points and lows:
            low, high = min(lows), max(point[3] for point in points)
            before = self._grown or (low, high)
            self._grown = min(low, before[0]), max(high, before[1])
        low, high = self._grown or ((1.0, 10.0) if log else (0.0, 1.0))
        return logarithmic(low, high) if log else covering(low, high)

    # Drawing

    def _axis_ticks(self, start_s: float, end_s: float, width: int) -> list[tuple[int, str]]:
        if self._view.axis == "step":
            ticks = number_ticks(start_s, end_s, width)
        else:
            ticks = time_ticks(start_s, end_s, width, 0.0)
        poles = self._poles(width)
        if not poles or self._view.cursor is None:
            return ticks
        label = self._view.place(self._view.cursor)
        column = min(poles[0], max(width - len(label) - 1, 0))
        ends = column + len(label) + 2
        apart = [(at, text) for at, text in ticks if at + len(text) + 2 < column or at > ends]
        return sorted([*apart, (column, label)])

    def _poles(self, width: int) -> tuple[int, ...]:
        start, end = self._window
        places = [self._view.cursor, self._held]
        return tuple(
            min(int((place - start) / (end - start) * width), width - 1)
            for place in places
            if place is not None and start <= place <= end
        )

    def _tick_label(self, value: float) -> str:
        ticks = self._scale.ticks
        step = 0.0 if self._scale.log or len(ticks) < 2 else ticks[1] - ticks[0]
        return tick_label(value, step)

    def _told(self, trace: Trace) -> float | None:
        """The value under the cursor; without one the newest."""
        if self._view.cursor is None or not isinstance(trace.track, Curve):
            return trace.track.last
        point = trace.track.near(self._view.cursor)
        return point[1] if point else None

    # The mouse

    def _place(self, x: int) -> float | None:
        """The place under column `x` of the widget; None beside the plot."""
        width = self.size.width - self._gutter
        column = x - self._gutter
        if not 0 <= column < width:
            return None
        start, end = self._window
        return start + (column + 0.5) / width * (end - start)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        self.post_message(self.Pointed(self._place(event.x)))

    def on_leave(self) -> None:
        self.post_message(self.Pointed(None))

    def on_mouse_down(self, event: events.MouseDown) -> None:
        self._held = self._place(event.x)
        self.capture_mouse()

    def on_mouse_up(self, event: events.MouseUp) -> None:
        self.release_mouse()
        start, self._held = self._held, None
        end = self._place(event.x)
        width = self.size.width - self._gutter
        step = (self._window[1] - self._window[0]) / max(width, 1)
        if start is not None and end is not None and abs(end - start) > 2 * step:
            self.post_message(self.Marked(start, end))
        else:
            self.post_message(self.Picked(self))

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self._wheel(event, 1)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self._wheel(event, -1)

    def _wheel(self, event: events.MouseEvent, by: int) -> None:
        place = self._place(event.x)
        if place is not None:
            event.stop()
            self.post_message(self.Zoomed(by, place))
