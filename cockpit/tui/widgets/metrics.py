"""MetricCharts: the figures that jobs report, as charts over the same part of the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from textual.app import ComposeResult
from textual.containers import Grid, Vertical
from textual.message import Message

from cockpit.model import Job
from cockpit.tui.widgets.chart_view import ZOOM, ChartView, Reach
from cockpit.tui.widgets.curve import Curve
from cockpit.tui.widgets.metric_chart import Figure, MetricChart
from cockpit.tui.widgets.table import Column, Row, Span, Table

COLORS = ("primary", "accent", "success", "warning", "secondary")
OTHER_DASH = 4
"""So much more of the other job's lines is left out, so that they differ without colour."""
LEAD = 0.25
"""Of what is shown, so much more is asked for before it: a moving average needs a past."""

Plan = Sequence[tuple[str, tuple[str, ...]]]
"""Title and metrics of each chart."""


@dataclass
class Source:
    """A job whose metrics are drawn."""

    job: Job
    rows: Mapping[str, Sequence[Sequence[Any]]] = field(default_factory=dict)
    reach: Reach | None = None

    @property
    def origin_s(self) -> float:
        """When its time begins."""
        return self.job.started_s or self.job.submitted_s


class MetricCharts(Vertical):
    """A line that says what is shown, and the charts, of which one is chosen."""

    DEFAULT_CSS = """
    MetricCharts { height: 1fr; }
    MetricCharts #view { height: 1; margin-bottom: 1; }
    MetricCharts Grid { grid-size: 1; grid-gutter: 1 3; height: 1fr; overflow-y: auto; }
    MetricCharts Grid.-columns { grid-size: 2; }
    """

    class Changed(Message):
        """Another part of the run is shown: its figures are to be asked for."""

    def __init__(self, view: ChartView | None = None, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.view = view or ChartView()
        self.sources: list[Source] = []
        self.chosen = 0
        self.large = False
        """Whether only the chosen chart is shown."""
        self.most: int | None = None
        """How many charts there is room for; None for all."""
        self.active = False
        """Whether a chart can be chosen: the first place has no mark where it cannot."""
        self._plan: Plan = ()
        self._charts: list[MetricChart] = []
        self._pointing = False

    def compose(self) -> ComposeResult:
        yield Table((Column("", flex=True),), header=False, cursor=False, id="view")
        yield Grid()

    # What is shown

    def load(self, job: Job, answer: Mapping[str, Any]) -> None:
        """Take an answer of `job.metrics` in."""
        for source in self.sources:
            if source.job.id == job.id:
                source.rows = answer["metrics"]
                if answer["reach"] is not None:
                    shift = source.origin_s if self.view.axis == "time_s" else 0.0
                    source.reach = answer["reach"][0] - shift, answer["reach"][1] - shift

    def wanted(self, source: Source) -> dict[str, Any]:
        """What to ask for, as arguments of `Box.job_metrics`."""
        points = max(self.size.width * 2, 200)
        asked: dict[str, Any] = {"points": points, "axis": self.view.axis}
        if self.view.window is not None:
            start, end = self.view.window
            shift = source.origin_s if self.view.axis == "time_s" else 0.0
            lead = (end - start) * LEAD if self.view.smoothing else 0.0
            asked |= {"since": start - lead + shift, "until": end + shift}
        return asked

    @property
    def reach(self) -> Reach | None:
        """The first and the last place of all runs together."""
        reaches = [source.reach for source in self.sources if source.reach is not None]
        if not reaches:
            return None
        return min(low for low, _ in reaches), max(high for _, high in reaches)

    def draw(self, jobs: Sequence[Job], plan: Plan) -> None:
        """Draw what has been loaded of these jobs, the first being the one that it is about."""
        known = {source.job.id: source for source in self.sources}
        self.sources = [known.get(job.id, Source(job)) for job in jobs]
        for source, job in zip(self.sources, jobs, strict=True):
            source.job = job
        if plan != self._plan:
            self._make(plan)
        self._draw()

    def _make(self, plan: Plan) -> None:
        """A chart for each title; those that are there stay."""
        self._plan = tuple(plan)
        known = {chart.heading: chart for chart in self._charts}
        wanted = [title for title, _ in plan]
        self._charts = [known.get(title) or MetricChart(title) for title in wanted]
        for title, chart in known.items():
            if title not in wanted:
                chart.remove()
        new = [chart for chart in self._charts if chart.heading not in known]
        self.query_one(Grid).mount_all(new)
        self.chosen = min(self.chosen, max(len(plan) - 1, 0))

    def _draw(self) -> None:
        reach = self.reach
        grid = self.query_one(Grid)
        shown = len(self._plan) if self.most is None else min(self.most, len(self._plan))
        grid.set_class(self.size.width >= 150 and shown > 2 and not self.large, "-columns")
        for at, ((_, metrics), chart) in enumerate(zip(self._plan, self._charts, strict=True)):
            chart.display = at == self.chosen if self.large else at < shown
            if chart.display and chart.is_attached:
                chosen = self.active and at == self.chosen and len(self._plan) > 1
                chart.draw(self._figures(metrics), self.view, reach or (0.0, 1.0), chosen)
        self.query_one("#view", Table).show([Row("", (tuple(self._words(reach)),))])

    def _figures(self, metrics: Sequence[str]) -> list[Figure]:
        several = len(self.sources) > 1
        figures = []
        for number, source in enumerate(self.sources):
            for index, name in enumerate(metrics):
                if number and name not in source.rows:
                    continue
                label = name if len(metrics) > 1 else ""
                label = f"#{source.job.id} {label}".strip() if several else label
                last = source.job.metrics.get(name)
                rows = source.rows.get(name, ())
                curve = Curve.of(rows, self.view.axis, source.origin_s, last)
                dash = 2 * (index % 2) + (OTHER_DASH if number else 0)
                figures.append(Figure(label, COLORS[index % len(COLORS)], dash, curve))
        return figures

    def _words(self, reach: Reach | None) -> list[Span]:
        view = self.view
        spans: list[Span] = [(view.words(reach), "text")]
        spans.append(
            (f"   smoothing {view.smoothing or 'off'}", "text" if view.smoothing else "muted")
        )
        spans.append(("   log scale" if view.log else "   linear", "text" if view.log else "muted"))
        rows = [row for source in self.sources for row in _all(source, self._plan)]
        most = max((int(row[5]) for row in rows), default=1)
        detail = "every reading" if most == 1 else f"up to {most} readings a point"
        spans.append((f"   {detail}", "muted"))
        gaps = sum(row[2] is None for row in rows)
        if gaps:
            spans.append((f"   {gaps} not a number", "warning"))
        below = sum(row[2] is not None and row[3] <= 0 for row in rows) if view.log else 0
        if below:
            spans.append((f"   {below} not above 0: not on a log scale", "warning"))
        return spans

    # Changing the view

    def change(self, view: ChartView) -> None:
        """Show the run in another way, and ask for what that needs."""
        if view == self.view:
            return
        before, self.view = self.view, view
        self._draw()
        if (view.window, view.axis, view.smoothing) != (
            before.window,
            before.axis,
            before.smoothing,
        ):
            self.post_message(self.Changed())

    def zoom(self, by: int, around: float | None = None) -> None:
        """Look closer (1) or from further away (-1)."""
        if self.reach is not None:
            self.change(self.view.zoomed(self.reach, ZOOM**by, around))

    def pan(self, share: float) -> None:
        """Go left or right in the run by a share of what is shown."""
        if self.reach is not None:
            self.change(self.view.panned(self.reach, share))

    def point(self, by: int) -> None:
        """Move the cursor by columns."""
        if self.reach is not None:
            chart = self._charts[self.chosen] if self._charts else None
            width = chart.size.width - chart.GUTTER if chart else 0
            self.change(self.view.pointed(self.reach, by / max(width, 20)))

    def turn_axis(self) -> None:
        """Draw along time instead of steps, or the other way; what is shown stays about the same."""
        axis = self.view.axis
        rows = max(
            (row for source in self.sources[:1] for row in source.rows.values()),
            key=len,
            default=(),
        )
        origin_s = self.sources[0].origin_s if self.sources else 0.0
        here, there = (0, 1) if axis == "step" else (1, 0)
        window = None
        if self.view.window is not None and rows:
            shift, back = (0.0, origin_s) if axis == "step" else (origin_s, 0.0)
            inside = [
                row[there] - back
                for row in rows
                if self.view.window[0] <= row[here] - shift <= self.view.window[1]
            ]
            window = (min(inside), max(inside)) if len(inside) > 1 else None
        for source in self.sources:
            source.reach = None
        view = replace(
            self.view, axis="time_s" if axis == "step" else "step", window=window, cursor=None
        )
        self.change(view)

    def choose(self, by: int) -> None:
        """Choose another chart."""
        if self._charts:
            self.chosen = min(max(self.chosen + by, 0), len(self._charts) - 1)
            self._draw()
            self._charts[self.chosen].scroll_visible(animate=False)

    def maximise(self, large: bool | None = None) -> None:
        """Show only the chosen chart, or all of them again."""
        self.large = not self.large if large is None else large
        self._draw()
        self.call_after_refresh(self._draw)

    def on_resize(self) -> None:
        self.call_after_refresh(self._draw)

    # The mouse

    def on_metric_chart_pointed(self, event: MetricChart.Pointed) -> None:
        event.stop()
        if event.place is not None:
            self._pointing = True
            self.change(replace(self.view, cursor=event.place))
        elif self._pointing:
            self._pointing = False
            self.change(replace(self.view, cursor=None))

    def on_metric_chart_marked(self, event: MetricChart.Marked) -> None:
        event.stop()
        if self.reach is not None:
            self.change(self.view.between(self.reach, event.start, event.end))

    def on_metric_chart_zoomed(self, event: MetricChart.Zoomed) -> None:
        event.stop()
        self.zoom(event.by, event.place)

    def on_metric_chart_picked(self, event: MetricChart.Picked) -> None:
        event.stop()
        chosen = self._charts.index(event.chart)
        if self.active and chosen == self.chosen:
            self.maximise()
        self.chosen = chosen
        self._draw()


def _all(source: Source, plan: Plan) -> list[Sequence[Any]]:
    names = {name for _, metrics in plan for name in metrics}
    return [row for name, rows in source.rows.items() if name in names for row in rows]
