"""A job as a row of the table of jobs, and what is said of all of them together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cockpit.model import ENDED_STATES, Job
from cockpit.tui import phrases
from cockpit.tui.job_list import RUNNING_STATES, JobList, left_s, money, share_done
from cockpit.tui.layout import Cell, Column, Row, Span
from cockpit.tui.widgets.scale import duration

COLUMNS: tuple[Column, ...] = (
    Column("id", 7),
    Column("name", 12, flex=1),
    Column("plugin", 12, drop=7),
    Column("state", 13),
    Column("GPUs", 8),
    Column("progress", 14),
    Column("left", 8, right=True, drop=1),
    Column("time", 8, right=True, drop=2),
    Column("power", 7, right=True),
    Column("energy", 9, right=True, drop=3),
    Column("cost", 8, right=True, drop=4),
    Column("submitted", 12, right=True, drop=6),
    Column("reason", 18, flex=3, drop=5, gap=2),
)
_BAR = " ▏▎▍▌▋▊▉█"
_FOLDED, _UNFOLDED = "▸", "▾"
_SERVICE_INKS = {"ready": "success", "failed": "error", "draining": "warning"}


def progress_bar(share: float | None, width: int) -> tuple[Span, ...]:
    """A bar of `width` cells and the percentage after it; dots where there is no progress to tell."""
    if share is None:
        return (("·" * width, "faint"), ("    ", ""))
    share = min(max(share, 0.0), 1.0)
    percent = f"{int(share * 100)}%"
    # A blank between a full bar and its figure, in as much room as there is for `99%`.
    return (*_bar(share, width - 1), (f"{percent:>5}", "text"))


def _bar(share: float, width: int) -> tuple[Span, ...]:
    eighths = int(share * width * 8)
    full, part = divmod(eighths, 8)
    bar = "█" * full + (_BAR[part] if part else "")
    return ((bar, "primary"), ("·" * (width - len(bar)), "faint"))


def job_row(listed: JobList, job: Job, unfolded: frozenset[str]) -> Row:
    """One job; an array's row has a mark to unfold it, its jobs are set in."""
    mark, ink = phrases.JOB_MARKS[job.state]
    ended = job.state in ENDED_STATES
    figure = "muted" if ended else "text"
    now_s = listed.now.time_s
    return Row(
        job.id,
        (
            _id(listed, job, unfolded),
            (job.name if job.array is None else f"└ {job.name}", "muted" if ended else "text bold"),
            _figure(job.plugin or phrases.NONE, "muted"),
            (f"{mark} {job.state}", ink),
            _figure(listed.where(job), figure),
            _progress(listed, job),
            _figure(_short(left_s(job)), "text"),
            _figure(_short(phrases.elapsed(job, now_s)), "muted"),
            _figure(phrases.power(listed.power_w(job)), "text"),
            _figure(phrases.energy(job.energy_j), figure),
            _figure(money(job.cost, listed.now.currency), figure),
            (phrases.clock(job.submitted_s, now_s), "muted"),
            (job.reason, "muted"),
        ),
    )


def _figure(text: str, ink: str) -> Span:
    """What is not there, or not yet, stays in the background."""
    return (text, "faint" if text == phrases.NONE else ink)


def _id(listed: JobList, job: Job, unfolded: frozenset[str]) -> Cell:
    if not listed.is_array(job.id):
        return (job.id, "primary")
    return (
        (f"{_UNFOLDED if job.id in unfolded else _FOLDED} ", "accent bold"),
        (job.id, "primary"),
    )


def _progress(listed: JobList, job: Job) -> tuple[Span, ...]:
    """How far it is; of an array how many have ended; of a waiting job its place in the queue."""
    if listed.is_array(job.id) and job.progress is not None:
        text = f" {job.progress.done:.0f}/{job.progress.total:.0f}"
        return (*_bar(share_done(job) or 0.0, max(14 - len(text), 3)), (text, "text"))
    if job.state == "PENDING":
        return ((listed.place(job), "text"),)
    if job.service is not None and job.progress is None and job.state not in ENDED_STATES:
        return ((job.service.state, _SERVICE_INKS.get(job.service.state, "text")),)
    share = share_done(job)
    if share is None and job.state in ENDED_STATES:
        return (("", ""),)
    return progress_bar(share, 10)


def _short(seconds: float | None) -> str:
    return phrases.NONE if seconds is None else duration(seconds)


def totals(listed: JobList, jobs: Iterable[Job]) -> tuple[Span, ...]:
    """How many run and wait, what they draw now, and what all of them took."""
    jobs = list(jobs)
    running = [job for job in jobs if job.state in RUNNING_STATES]
    waiting = sum(job.state == "PENDING" for job in jobs)
    ended = sum(job.state in ENDED_STATES for job in jobs)
    failed = sum(job.state in ENDED_STATES - {"COMPLETED", "CANCELLED"} for job in jobs)
    spans: list[Span] = [
        (f"▶ {len(running)} running", "success"),
        (f"   ○ {waiting} waiting", "text"),
        (f"   {ended} ended", "muted"),
    ]
    if failed:
        spans.append((f", {failed} of them failed", "error"))
    spans += [(f"   {text}", ink) for text, ink in sums(listed, running, jobs)]
    return tuple(spans)


def sums(listed: JobList, running: Sequence[Job], jobs: Sequence[Job]) -> list[Span]:
    """Watts now, energy and cost of jobs, as far as they are known."""
    powers = [power for power in map(listed.power_w, running) if power is not None]
    energies = [job.energy_j for job in jobs if job.energy_j is not None]
    costs = [job.cost for job in jobs if job.cost is not None]
    spans: list[Span] = []
    if powers:
        spans.append((f"{phrases.power(sum(powers))} now", "text"))
    if energies:
        spans.append((phrases.energy(sum(energies)), "text"))
    if costs:
        spans.append((money(sum(costs), listed.now.currency), "text"))
    return spans


def detail(listed: JobList, job: Job | None) -> tuple[Span, ...]:
    """What has no room in the row of the selected job: why it waits, or how it ended."""
    if job is None:
        return (("", ""),)
    mark, ink = phrases.JOB_MARKS[job.state]
    spans: list[Span] = [(f"{mark} #{job.id} ", ink), (f"{job.name}  ", "text bold")]
    parts = []
    if job.state == "PENDING" and not listed.is_array(job.id):
        parts.append(listed.place(job))
    parts.append(job.reason)
    if job.state not in ENDED_STATES:
        parts.append(job.placement)
    if job.exit_code:
        parts.append(f"exit code {job.exit_code}")
    if job.requeued_from:
        parts.append(f"runs #{job.requeued_from} again")
    said = " · ".join(part for part in parts if part)
    return (*spans, (said, "text" if job.state == "PENDING" else "muted"))
