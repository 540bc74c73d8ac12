"""GpuCharts: what one GPU did, as six charts beside each other on the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from textual import events
from textual.app import ComposeResult
from textual.containers import Grid

from cockpit.errors import CockpitError
from cockpit.model import Gpu, GpuInfo, Series
from cockpit.tui.phrases import GIB
from cockpit.tui.widgets import scale
from cockpit.tui.widgets.chart import Limit, TimeChart, Trace
from cockpit.tui.widgets.throttle import ThrottleTimeline
from cockpit.tui.widgets.track import Track

SPANS: dict[str, float] = {
    "1m": 60.0,
    "10m": 600.0,
    "1h": 3600.0,
    "6h": 21_600.0,
    "1d": 86_400.0,
    "7d": 604_800.0,
    "30d": 2_592_000.0,
}
"""The spans of time that can be shown, in seconds."""

AskHistory = Callable[[str, str, float, float, int], Awaitable[Series]]


@dataclass(frozen=True)
class _Line:
    metric: str
    label: str
    color: str
    factor: float = 1.0
    fill: bool = False
    dash: int = 0


_CHARTS: tuple[tuple[str, str, tuple[_Line, ...]], ...] = (
    ("power", "Power", (_Line("power_w", "", "power", fill=True),)),
    (
        "temperature",
        "Temperature",
        (
            _Line("memory_temperature_c", "memory", "secondary", dash=2),
            _Line("temperature_c", "core", "warning"),
        ),
    ),
    (
        "activity",
        "Activity",
        (
            _Line("dram_active_percent", "DRAM", "activity-dram", dash=2),
            _Line("tensor_active_percent", "tensor", "activity-tensor"),
            _Line("sm_active_percent", "SM", "activity-sm"),
        ),
    ),
    ("memory", "Memory", (_Line("memory_used_bytes", "", "secondary", 1 / GIB, fill=True),)),
    (
        "clocks",
        "Clocks",
        (
            _Line("memory_clock_mhz", "memory", "secondary", dash=2),
            _Line("sm_clock_mhz", "SM", "primary"),
        ),
    ),
    (
        "traffic",
        "Traffic",
        (
            _Line("nvlink_tx_bytes_per_s", "out", "accent", dash=2),
            _Line("nvlink_rx_bytes_per_s", "NVLink in", "accent"),
            _Line("pcie_tx_bytes_per_s", "out", "primary", dash=2),
            _Line("pcie_rx_bytes_per_s", "PCIe in", "primary"),
        ),
    ),
)


class GpuCharts(Grid):
    """Six charts; they stand in three columns, two or one, as the width allows."""

    DEFAULT_CSS = """
    GpuCharts { grid-size: 2; grid-gutter: 0 2; height: 1fr; }
    GpuCharts.-tall { grid-gutter: 1 3; }
    GpuCharts.-narrow { grid-size: 1; }
    """

    def __init__(self, info: GpuInfo, timeline: ThrottleTimeline, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._info, self.timeline = info, timeline
        self.span = "10m"
        self._lines: list[tuple[_Line, Track]] = []
        self._charts: dict[str, TimeChart] = {}

    def compose(self) -> ComposeResult:
        info = self._info
        scales = {
            "power": scale.watts(info.power_limit_max_w),
            "temperature": scale.celsius(),
            "activity": scale.percent(),
            "memory": scale.gibibytes(info.memory_total_bytes),
            "clocks": scale.megahertz(
                max(info.sm_clock_max_mhz or 0, info.memory_clock_max_mhz or 0)
            ),
            "traffic": scale.traffic(),
        }
        slowdown = info.temperature_slowdown_c
        limits = {"temperature": Limit("slows down at", slowdown) if slowdown else None}
        for name, title, lines in _CHARTS:
            tracks = [Track() for _ in lines]
            self._lines += zip(lines, tracks, strict=True)
            traces = [
                Trace(line.label, line.color, track, fill=line.fill, dash=line.dash)
                for line, track in zip(lines, tracks, strict=True)
            ]
            chart = TimeChart(
                title, scales[name], traces, limit=limits.get(name), format_value=_whole, id=name
            )
            self._charts[name] = chart
            yield chart

    def on_resize(self, event: events.Resize) -> None:
        self.set_class(event.size.height >= 36, "-tall")
        self.set_class(event.size.width < 70, "-narrow")

    async def load(self, ask: AskHistory, now_s: float, points: int) -> None:
        """Ask for the past of every line over the chosen span. Raises CockpitError."""
        span = self.span
        since = now_s - SPANS[span]
        wanted = [line.metric for line, _ in self._lines]
        answers = await asyncio.gather(
            *(ask(self._info.uuid, metric, since, now_s, points) for metric in wanted),
            ask(self._info.uuid, "throttle_mask", since, now_s, points),
            return_exceptions=True,
        )
        if span != self.span:
            return
        for (line, track), answer in zip(self._lines, answers, strict=False):
            if isinstance(answer, Series):
                track.load(answer, line.factor)
        if isinstance(answers[-1], Series):
            self.timeline.load(answers[-1])
        for answer in answers:
            if isinstance(answer, BaseException):
                if isinstance(answer, CockpitError):
                    raise answer
                raise CockpitError("the history cannot be read", str(answer)) from answer

    def append(self, gpu: Gpu, time_s: float) -> None:
        """Add the newest reading to every line."""
        oldest = time_s - SPANS[self.span] * 1.1
        for line, track in self._lines:
            value = getattr(gpu, line.metric)
            track.append(time_s, None if value is None else value * line.factor)
            track.forget(oldest)
        self.timeline.append(time_s, None if gpu.state == "lost" else gpu.throttle_reasons)

    def draw(self, now_s: float, limit_w: float | None) -> None:
        """Draw the chosen span up to now."""
        start = now_s - SPANS[self.span]
        for name, chart in self._charts.items():
            limit = Limit("limit", limit_w) if name == "power" and limit_w else None
            chart.show(start, now_s, limit=limit)
        self.timeline.show(start, now_s)


def _whole(value: float) -> str:
    return f"{value:.0f}" if abs(value) < 10_000 else scale.short(value)
