"""The head of the job screen: name and state, how far, and since when. Pure: no widgets."""

from __future__ import annotations

from cockpit.model import ENDED_STATES, Job
from cockpit.tui import phrases
from cockpit.tui.job_list import share_done
from cockpit.tui.job_rows import progress_bar
from cockpit.tui.widgets.table import Row, Span


def head_rows(
    job: Job,
    indices: dict[str, int],
    power_w: float | None,
    now_s: float,
    bar: int = 32,
    currency: str = "",
) -> list[Row]:
    """Name and state, how far, and since when: always three lines."""
    mark, ink = phrases.JOB_MARKS[job.state]
    first: list[Span] = [
        (f"#{job.id} ", "primary bold"),
        (f"{job.name}  ", "text bold"),
        (f"{mark} {job.state}", f"{ink} bold"),
    ]
    devices = (*job.gpus, *job.slices)
    if devices:
        first.append((f"  on {phrases.gpu_numbers(devices, indices)}", "text"))
    elif job.started_s is not None:
        first.append(("  on no GPU", "muted"))
    if job.placement and job.state not in ENDED_STATES:
        # It begins with the GPUs, which are said already.
        first.append((f"  {job.placement.rpartition(': ')[2]}", "muted"))
    if job.array is not None:
        first.append((f"  {job.array.index} of array #{job.array.id}", "text"))
    if job.attempt > 1:
        first.append((f"  attempt {job.attempt} of {job.retries + 1}", "warning"))
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
    ]
    held = bool(devices) or job.energy_j is not None
    if held:
        third.append((f"   {phrases.energy(job.energy_j)} used", "text"))
    if job.cost is not None and currency:
        third.append((f"   {job.cost:.2f} {currency}", "text"))
    if job.co2_g is not None:
        third.append((f"   {mass(job.co2_g)} CO2", "text"))
    if job.ended_s is None and held:
        third.append((f"   {phrases.number(power_w, 'W')} now", "text"))
    if job.power_mean_w is not None:
        third.append((f"   {job.power_mean_w:.0f} W mean", "muted"))
    if job.power_peak_w is not None:
        third.append((f"   {job.power_peak_w:.0f} W peak", "muted"))
    if job.memory_peak_bytes is not None:
        third.append((f"   {phrases.gib(job.memory_peak_bytes)} at most", "muted"))
    return [Row("", (tuple(first),)), Row("", (_progress(job, bar),)), Row("", (tuple(third),))]


def mass(grams: float) -> str:
    """Grams up to a kilogram, then kilograms."""
    return f"{grams / 1000:.2f} kg" if grams >= 1000 else f"{grams:.0f} g"


def _progress(job: Job, width: int) -> tuple[Span, ...]:
    bar = progress_bar(share_done(job), width)
    progress = job.progress
    if progress is None:
        told = "this job told no progress"
        if job.state not in ENDED_STATES:
            told = "no progress told yet" if job.started_s is not None else "not started yet"
        return (*bar, (f"  {told}", "muted"))
    unit = f" {progress.unit}" if progress.unit else ""
    done = f"  {phrases.number(progress.done)} of {phrases.number(progress.total)}{unit}"
    left = ""
    if job.ended_s is None and progress.eta_s is not None:
        left = f", {phrases.length(progress.eta_s)} left"
    return (*bar, (done, "text"), (left, "muted"))


def with_other(rows: list[Row], other: Job | None) -> list[Row]:
    """The same head, with the job that this one is compared with at the end of its first line."""
    if other is None:
        return rows
    mark, ink = phrases.JOB_MARKS[other.state]
    spans: tuple[Span, ...] = (
        ("   ┅ beside ", "muted"),
        (f"#{other.id} {other.name} ", "text bold"),
        (f"{mark} {other.state}", ink),
    )
    first = rows[0].cells[0]
    assert isinstance(first, tuple)
    return [Row("", ((*first, *spans),)), *rows[1:]]
