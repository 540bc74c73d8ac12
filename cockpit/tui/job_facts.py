"""What the job screen says in rows: head, kernels, its GPUs and its metrics. Pure: no widgets."""

from __future__ import annotations

from collections.abc import Sequence

from cockpit.model import Gpu, Job, KernelStat, Roofline
from cockpit.tui import phrases
from cockpit.tui.job_list import share_done
from cockpit.tui.job_rows import progress_bar
from cockpit.tui.widgets.table import Column, Row, Span

KERNEL_COLUMNS: tuple[Column, ...] = (
    Column("kernel", 16, flex=True),
    Column("launches", 9, right=True, drop=2),
    Column("per launch", 10, right=True),
    Column("memory", 10, right=True),
    Column("arithmetic", 13, right=True, drop=1),
    Column("of the roof", 15),
    Column("limited by", 10, drop=3),
)
GPU_COLUMNS: tuple[Column, ...] = (
    Column("GPU", 3),
    Column("state", 8),
    Column("power", 7, right=True),
    Column("of its limit", 12, flex=True, drop=1),
    Column("core", 6, right=True),
    Column("SM", 5, right=True),
    Column("tensor", 6, right=True),
    Column("DRAM", 5, right=True),
    Column("memory", 8, right=True),
    Column("clock", 9, right=True, drop=2),
)


def head_rows(
    job: Job, indices: dict[str, int], power_w: float | None, now_s: float, bar: int = 32
) -> list[Row]:
    """Name and state, how far, and since when: always three lines."""
    mark, ink = phrases.JOB_MARKS[job.state]
    first: list[Span] = [
        (f"#{job.id} ", "primary bold"),
        (f"{job.name}  ", "text bold"),
        (f"{mark} {job.state}", f"{ink} bold"),
        ("  on " + phrases.gpu_numbers((*job.gpus, *job.slices), indices), "text"),
    ]
    if job.exit_code is not None:
        first.append((f"  exit code {job.exit_code}", "error" if job.exit_code else "muted"))
    if job.reason:
        first.append((f"  {job.reason}", "warning"))
    times = f"started {phrases.clock(job.started_s, now_s)}"
    if job.started_s is None:
        times = f"submitted {phrases.clock(job.submitted_s, now_s)}"
    third: list[Span] = [
        (times, "muted"),
        (f"   {phrases.length(phrases.elapsed(job, now_s))} elapsed", "text"),
        (f"   {phrases.energy(job.energy_j)} used", "text"),
    ]
    if job.ended_s is None:
        third.append((f"   {phrases.number(power_w, 'W')} now", "text"))
    return [Row("", (tuple(first),)), Row("", (_progress(job, bar),)), Row("", (tuple(third),))]


def _progress(job: Job, width: int) -> tuple[Span, ...]:
    bar = progress_bar(share_done(job), width)
    progress = job.progress
    if progress is None:
        return (*bar, ("  this job tells no progress", "muted"))
    unit = f" {progress.unit}" if progress.unit else ""
    done = f"  {phrases.number(progress.done)} of {phrases.number(progress.total)}{unit}"
    left = ""
    if job.ended_s is None and progress.eta_s is not None:
        left = f", {phrases.length(progress.eta_s)} left"
    return (*bar, (done, "text"), (left, "muted"))


def kernel_rows(kernels: Sequence[KernelStat]) -> list[Row]:
    """Each kernel against the roofline of its device, the one that takes longest first."""
    rows = []
    for kernel in sorted(kernels, key=lambda kernel: -kernel.seconds):
        per_launch = kernel.seconds / kernel.count if kernel.count else None
        rows.append(
            Row(
                kernel.name,
                (
                    (kernel.name, "text bold"),
                    (phrases.number(kernel.count), "muted"),
                    (phrases.seconds(per_launch), "text"),
                    (phrases.rate(kernel.bytes_per_s, "B/s"), "text"),
                    (phrases.rate(kernel.flops_per_s, "FLOP/s"), "text"),
                    _share(kernel.roofline_percent),
                    (kernel.limited_by or phrases.NONE, "muted"),
                ),
            )
        )
    return rows


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


def gpu_rows(gpus: Sequence[Gpu]) -> list[Row]:
    """The job's GPUs as they are now."""
    rows = []
    for gpu in gpus:
        word, ink = phrases.state_of(gpu)
        share = None
        if gpu.power_w is not None and gpu.power_limit_w:
            share = gpu.power_w / gpu.power_limit_w
        number = phrases.number
        rows.append(
            Row(
                gpu.uuid,
                (
                    (str(gpu.index), "primary"),
                    (word, ink),
                    (number(gpu.power_w, "W"), "text"),
                    progress_bar(share, 12)[:2],
                    (number(gpu.temperature_c, "°C"), "text"),
                    (number(gpu.sm_active_percent, "%"), "text"),
                    (number(gpu.tensor_active_percent, "%"), "text"),
                    (number(gpu.dram_active_percent, "%"), "text"),
                    (phrases.gib(gpu.memory_used_bytes), "text"),
                    (number(gpu.sm_clock_mhz, "MHz"), "muted"),
                ),
            )
        )
    return rows


def chart_plan(job: Job) -> list[tuple[str, tuple[str, ...]]]:
    """Title and metrics of each chart: as the plugin wants, else one per metric, at most six."""
    wanted = [
        (
            str(view.get("title") or ", ".join(view.get("metrics", ()))),
            tuple(view.get("metrics", ())),
        )
        for view in job.views
        if view.get("type") == "chart"
    ]
    if wanted:
        return wanted[:6]
    return [(name, (name,)) for name in list(job.metrics)[:6]]


def field_plan(job: Job) -> list[tuple[str, str]]:
    """Name and title of each live field: the plugin's views first, then what the job draws itself."""
    fields = {
        str(view["name"]): str(view.get("title") or view["name"])
        for view in job.views
        if view.get("type") == "field" and view.get("name")
    }
    for name in job.frames:
        fields.setdefault(name, name)
    return list(fields.items())
