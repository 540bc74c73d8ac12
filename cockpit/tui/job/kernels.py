"""A job's kernels against the roofline of its device, as rows and as points of a plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cockpit.model import Job, KernelStat, Roofline
from cockpit.tui import phrases
from cockpit.tui.job_rows import progress_bar
from cockpit.tui.widgets.table import Column, Row, Span

MARKS = "abcdefghijklmnopqrstuvwxyz"
KERNEL_COLUMNS: tuple[Column, ...] = (
    Column("", 1),
    Column("kernel", 14, flex=True),
    Column("time", 8, right=True, drop=3),
    Column("of the job", 10, right=True, drop=2),
    Column("launches", 9, right=True, drop=5),
    Column("per launch", 10, right=True),
    Column("GB/s", 7, right=True),
    Column("TFLOP/s", 7, right=True),
    Column("FLOP/B", 6, right=True, drop=6),
    Column("of the roof", 15, gap=2),
    Column("which", 10, drop=4),
)


@dataclass(frozen=True)
class Dot:
    """A kernel in the roofline plot: operations per byte, operations per second."""

    mark: str
    name: str
    intensity: float
    flops_per_s: float


def by_time(kernels: Sequence[KernelStat]) -> list[KernelStat]:
    """The one that takes longest first."""
    return sorted(kernels, key=lambda kernel: -_total(kernel))


def kernel_rows(job: Job, elapsed_s: float | None) -> list[Row]:
    """Each kernel: how long, how fast, and how near to which roof."""
    span_s = job.gpu_seconds or elapsed_s
    dots = {dot.name for dot in dots_of(job.kernels)}
    rows = []
    for at, kernel in enumerate(by_time(job.kernels)):
        per_launch = kernel.seconds / kernel.count if kernel.count else None
        share = 100 * _total(kernel) / span_s if span_s else None
        launches = kernel.total_count if kernel.total_count is not None else kernel.count
        mark = MARKS[at] if kernel.name in dots and at < len(MARKS) else ""
        rows.append(
            Row(
                kernel.name,
                (
                    (mark, "accent bold"),
                    (kernel.name, "text bold"),
                    (phrases.seconds(_total(kernel)), "text"),
                    (phrases.NONE if share is None else f"{share:.1f} %", "text"),
                    (phrases.number(launches), "muted"),
                    (phrases.seconds(per_launch), "text"),
                    (_in(kernel.bytes_per_s, 1e9), "text"),
                    (_in(kernel.flops_per_s, 1e12), "text"),
                    (_in(intensity(kernel), 1.0), "muted"),
                    _share(kernel.roofline_percent),
                    (kernel.limited_by or phrases.NONE, "muted"),
                ),
            )
        )
    return rows


def intensity(kernel: KernelStat) -> float | None:
    """Operations for each byte moved; None unless both are known."""
    if not kernel.bytes or kernel.flops is None:
        return None
    return kernel.flops / kernel.bytes


def dots_of(kernels: Sequence[KernelStat]) -> list[Dot]:
    """The kernels that a plot can show: those that told bytes and operations."""
    dots = []
    for mark, kernel in zip(MARKS, by_time(kernels), strict=False):
        per_byte = intensity(kernel)
        if per_byte and kernel.flops_per_s:
            dots.append(Dot(mark, kernel.name, per_byte, kernel.flops_per_s))
    return dots


def _total(kernel: KernelStat) -> float:
    return kernel.seconds if kernel.total_seconds is None else kernel.total_seconds


def _in(value: float | None, unit: float) -> str:
    return phrases.NONE if value is None else f"{value / unit:.4g}"


def _share(percent: float | None) -> tuple[Span, ...]:
    if percent is None:
        return ((phrases.NONE, "muted"),)
    return progress_bar(percent / 100, 10)


def roof_line(roof: Roofline | None) -> str:
    """What the kernels are held against, and whether that was measured."""
    if roof is None:
        return "this job has told no roof to hold its kernels against"
    parts = [
        phrases.rate(most, unit)
        for most, unit in ((roof.bytes_per_s, "B/s"), (roof.flops_per_s, "FLOP/s"))
        if most is not None
    ]
    how = "measured here" if roof.measured else "from the data sheet"
    device = f" on {roof.device}" if roof.device else ""
    return f"roof {' and '.join(parts) or phrases.NONE}, {how}{device}"
