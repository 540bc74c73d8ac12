"""A job's GPUs and slices as they are now, and how they were in the last ten minutes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cockpit.model import Gpu, Job, Series, Slice, Snapshot
from cockpit.tui import phrases
from cockpit.tui.trail import Trail
from cockpit.tui.widgets.table import Column, Row, Span

SPARK = 16
FIGURES: Mapping[str, tuple[float, float]] = {
    "power_w": (0.0, 700.0),
    "temperature_c": (20.0, 100.0),
    "sm_active_percent": (0.0, 100.0),
}
"""Each figure that has a line of its own, with the scale of that line; of power, up to the limit."""
_UP = " ▁▂▃▄▅▆▇█"

COLUMNS: tuple[Column, ...] = (
    Column("GPU", 12, flex=True),
    Column("state", 8),
    Column("power", 7, right=True),
    Column("10 min", SPARK, drop=2),
    Column("core", 6, right=True),
    Column("10 min", SPARK, drop=4),
    Column("SM", 5, right=True),
    Column("10 min", SPARK, drop=3),
    Column("tensor", 6, right=True, drop=5),
    Column("DRAM", 5, right=True, drop=6),
    Column("memory", 8, right=True),
    Column("clock", 9, right=True, drop=7),
)


@dataclass
class GpuTrails:
    """The last ten minutes of the GPUs that a job holds."""

    trails: dict[tuple[str, str], Trail] = field(default_factory=dict)

    def add(self, snapshot: Snapshot, job: Job) -> None:
        """Take the newest figures in."""
        for gpu in held(snapshot, job):
            for name in FIGURES:
                self._of(gpu.uuid, name).add(snapshot.time_s, getattr(gpu, name))

    def load(self, series: Series) -> None:
        """Take the past of one figure in."""
        trail = self._of(series.gpu_uuid, series.metric)
        trail.prepend(list(zip(series.times_s, series.mean, strict=True)))

    def _of(self, uuid: str, name: str) -> Trail:
        return self.trails.setdefault((uuid, name), Trail())

    def line(self, gpu: Gpu, name: str) -> Span:
        """A small chart of a figure on its fixed scale; blank where nothing is known."""
        low, high = FIGURES[name]
        if name == "power_w":
            high = gpu.power_limit_w or high
        levels = self._of(gpu.uuid, name).levels(SPARK, 1, high, low)
        # A reading at the foot of the scale is a line, and no gap.
        text = "".join(" " if level < 0 else _UP[min(max(level, 1), 8)] for level in levels)
        ink = {"power_w": "primary", "temperature_c": "warning"}.get(name, "success")
        return text, ink


def held(snapshot: Snapshot | None, job: Job) -> list[Gpu]:
    """The GPUs that a job has, or has slices of."""
    uuids = {*job.gpus, *job.slices}
    return [
        gpu
        for gpu in (snapshot.gpus if snapshot else ())
        if gpu.uuid in uuids or uuids.intersection(part.uuid for part in gpu.slices)
    ]


def gpu_rows(gpus: Iterable[Gpu], job: Job, trails: GpuTrails) -> list[Row]:
    """A line for each GPU, and one for each slice of it that the job has."""
    rows = []
    for gpu in gpus:
        rows.append(_gpu(gpu, trails))
        rows += [_slice(gpu, part) for part in gpu.slices if part.uuid in job.slices]
    return rows


def _gpu(gpu: Gpu, trails: GpuTrails) -> Row:
    word, ink = phrases.state_of(gpu)
    number = phrases.number
    return Row(
        gpu.uuid,
        (
            (str(gpu.index), "primary"),
            (word, ink),
            (number(gpu.power_w, "W"), "text"),
            trails.line(gpu, "power_w"),
            (number(gpu.temperature_c, "°C"), "text"),
            trails.line(gpu, "temperature_c"),
            (number(gpu.sm_active_percent, "%"), "text"),
            trails.line(gpu, "sm_active_percent"),
            (number(gpu.tensor_active_percent, "%"), "text"),
            (number(gpu.dram_active_percent, "%"), "text"),
            (phrases.gib(gpu.memory_used_bytes), "text"),
            (number(gpu.sm_clock_mhz, "MHz"), "muted"),
        ),
    )


def _slice(gpu: Gpu, part: Slice) -> Row:
    number = phrases.number
    return Row(
        part.uuid,
        (
            (f" └ {part.profile}", "text"),
            ("slice", "muted"),
            *((("", ""),) * 4),
            (number(part.sm_active_percent, "%"), "text"),
            ("", ""),
            *((("", ""),) * 2),
            (phrases.gib(part.memory_used_bytes), "text"),
            ("", ""),
        ),
    )
