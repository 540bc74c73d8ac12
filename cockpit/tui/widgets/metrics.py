"""MetricCharts: the figures a job reports, as charts over its own time."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from textual.containers import Vertical

from cockpit.model import Job
from cockpit.tui.widgets.chart import TimeChart, Trace
from cockpit.tui.widgets.scale import covering
from cockpit.tui.widgets.track import Track

COLORS = ("primary", "accent", "success", "warning", "secondary")


class MetricCharts(Vertical):
    """One chart under the other, made when the job first reports something."""

    DEFAULT_CSS = "MetricCharts { height: 1fr; } MetricCharts TimeChart { margin-bottom: 1; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._rows: Mapping[str, Sequence[Sequence[float]]] = {}
        self._charts: dict[str, TimeChart] = {}
        self._reach: dict[str, tuple[float, float]] = {}

    def load(self, rows: Mapping[str, Sequence[Sequence[float]]]) -> None:
        """Take `[step, time_s, value]` rows by metric."""
        self._rows = rows

    def draw(self, plan: Sequence[tuple[str, tuple[str, ...]]], job: Job, end_s: float) -> None:
        """Draw each planned chart from the job's start to `end_s`."""
        start_s = job.started_s or job.submitted_s
        for title, metrics in plan:
            chart = self._charts.get(title)
            if chart is None:
                traces = [
                    Trace(
                        name if len(metrics) > 1 else "",
                        COLORS[index % len(COLORS)],
                        dash=2 * (index % 2),
                    )
                    for index, name in enumerate(metrics)
                ]
                chart = TimeChart(title, covering(0.0, 1.0), traces, origin_s=start_s)
                self._charts[title] = chart
                self.mount(chart)
            for trace, name in zip(chart.traces, metrics, strict=True):
                trace.track = _track(self._rows.get(name, ()), job.metrics.get(name), end_s)
            low, high = self._scale_of(title, chart)
            chart.show(start_s, max(end_s, start_s + 10.0), scale=covering(low, high))

    def _scale_of(self, title: str, chart: TimeChart) -> tuple[float, float]:
        """The values so far. A scale only ever grows, so that a curve does not jump about."""
        values = [v for trace in chart.traces for v in trace.track.mean if v is not None]
        before = self._reach.get(title)
        if not values:
            return before or (0.0, 1.0)
        low, high = min(values), max(values)
        if before:
            low, high = min(low, before[0]), max(high, before[1])
        self._reach[title] = (low, high)
        return low, high


def _track(rows: Sequence[Sequence[float]], newest: float | None, now_s: float) -> Track:
    """A track whose readings are joined however far apart they are: a job reports when it likes."""
    times = [row[1] for row in rows]
    widest = max((after - before for before, after in itertools.pairwise(times)), default=1.0)
    track = Track(1e-3)
    for _, time_s, value, *_ in rows:
        track.append(time_s, value)
    if newest is not None and (not times or now_s > times[-1]):
        track.append(now_s, newest)
        widest = max(widest, now_s - times[-1]) if times else widest
    track.resolution_s = max(widest, 1.0)
    return track
