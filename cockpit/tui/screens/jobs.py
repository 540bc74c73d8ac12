"""JobsScreen: every job, live."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical

from cockpit.client import Update
from cockpit.errors import CockpitError
from cockpit.model import ENDED_STATES, Event, Job, Snapshot
from cockpit.tui import phrases
from cockpit.tui.keys import bindings
from cockpit.tui.screens.listing import ListingScreen
from cockpit.tui.widgets.confirm import Confirm
from cockpit.tui.widgets.scale import duration
from cockpit.tui.widgets.table import Column, Row, Span, Table

COLUMNS: tuple[Column, ...] = (
    Column("id", 6),
    Column("name", 10, flex=True),
    Column("state", 12),
    Column("GPUs", 7),
    Column("progress", 13),
    Column("left", 8, right=True),
    Column("elapsed", 8, right=True, drop=2),
    Column("power", 7, right=True),
    Column("energy", 9, right=True, drop=3),
    Column("reason", 16, flex=True, drop=4),
)
SORTS = ("newest", "state", "name")
_BAR = " ▏▎▍▌▋▊▉█"


def progress_bar(share: float | None, width: int) -> tuple[Span, ...]:
    """A bar of `width` cells and the percentage after it; dots where there is no progress to tell."""
    if share is None:
        return (("·" * width, "faint"), ("    ", ""))
    share = min(max(share, 0.0), 1.0)
    eighths = int(share * width * 8)
    full, part = divmod(eighths, 8)
    bar = "█" * full + (_BAR[part] if part else "")
    return (
        (bar, "primary"),
        ("·" * (width - len(bar)), "faint"),
        (f"{int(share * 100):>3}%", "text"),
    )


def share_done(job: Job) -> float | None:
    """How much of the job is done, from 0 to 1."""
    progress = job.progress
    if progress is None or not progress.total > 0:
        return None
    return progress.done / progress.total


def stop_question(job: Job, indices: dict[str, int]) -> Confirm:
    """The question before a job is stopped."""
    where = phrases.gpu_numbers((*job.gpus, *job.slices), indices)
    return Confirm(
        f"Stop job #{job.id} {job.name} on {where}?",
        f"{' '.join(job.command)[:180]}\nIts whole process tree is asked to end, then made to.",
        "Stop it",
    )


class JobsScreen(ListingScreen):
    """A line for each job; Enter opens it."""

    place = "jobs"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("jobs")]
    DEFAULT_CSS = """
    JobsScreen #body { height: 1fr; padding: 0 1; }
    JobsScreen #summary { height: 1; margin-bottom: 1; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._sort = "newest"

    def compose_body(self) -> ComposeResult:
        self._sort = self.app.memory.text("jobs.sort", "newest")
        with Vertical(id="body"):
            yield Table((Column("", flex=True),), header=False, cursor=False, id="summary")
            yield Table(COLUMNS, empty="No jobs yet: L launches one.", id="jobs")

    def on_screen_resume(self) -> None:
        self.refill()

    def on_live(self, update: Update) -> None:
        """Times and powers go on with each snapshot."""
        if self.ready and not isinstance(update, Event):
            self.refill()

    def table(self) -> Table:
        return self.query_one("#jobs", Table)

    def refill(self) -> None:
        jobs = list(self.app.live.jobs.values())
        rows = [self._row(job) for job in self._ordered(jobs)]
        self.table().show([row for row in rows if row.matches(self.needle)])
        running = sum(job.state in ("RUNNING", "COMPLETING") for job in jobs)
        pending = sum(job.state == "PENDING" for job in jobs)
        ended = sum(job.state in ENDED_STATES for job in jobs)
        line: tuple[Span, ...] = (
            ("Jobs", "text bold"),
            (f"   ▶ {running} running", "success"),
            (f"   ○ {pending} waiting", "text"),
            (f"   {ended} ended", "muted"),
            (f"   by {self._sort}", "muted"),
        )
        self.query_one("#summary", Table).show([Row("", (line,))])

    def _ordered(self, jobs: list[Job]) -> list[Job]:
        jobs = sorted(jobs, key=lambda job: (job.submitted_s, job.id), reverse=True)
        if self._sort == "state":
            first = ["RUNNING", "COMPLETING", "PENDING"]
            order = [*first, *(state for state in phrases.JOB_MARKS if state not in first)]
            return sorted(jobs, key=lambda job: order.index(job.state))
        return sorted(jobs, key=lambda job: job.name) if self._sort == "name" else jobs

    def _row(self, job: Job) -> Row:
        mark, ink = phrases.JOB_MARKS[job.state]
        left = job.progress.eta_s if job.progress and job.state == "RUNNING" else None
        ended = job.state in ENDED_STATES
        return Row(
            job.id,
            (
                (job.id, "primary"),
                (job.name, "muted" if ended else "text bold"),
                (f"{mark} {job.state}", ink),
                (
                    phrases.gpu_numbers((*job.gpus, *job.slices), self.gpu_indices).removeprefix(
                        "GPU "
                    ),
                    "text",
                ),
                progress_bar(share_done(job), 9),
                (_short(left), "text"),
                (_short(phrases.elapsed(job, self.now_s)), "muted"),
                (
                    phrases.power(None if ended else job_power(job, self.app.live.snapshot)),
                    "text",
                ),
                (phrases.energy(job.energy_j), "text"),
                (job.reason, "muted"),
            ),
        )

    def on_table_chosen(self, event: Table.Chosen) -> None:
        self.app.open_job(event.key)

    def action_sort(self) -> None:
        """Order by the next column."""
        at = SORTS.index(self._sort) if self._sort in SORTS else 0
        self._sort = SORTS[(at + 1) % len(SORTS)]
        self.app.memory.set("jobs.sort", self._sort)
        self.refill()

    def action_stop(self) -> None:
        """Stop the selected job after a question that names it."""
        job = self.app.live.jobs.get(self.table().selected or "")
        if job is not None:
            ask_to_stop(self, job)


def ask_to_stop(screen: ListingScreen, job: Job) -> None:
    """Ask, stop, and say how it went."""
    if job.state in ENDED_STATES:
        screen.notify(f"Job #{job.id} has ended already ({job.state}).", timeout=3)
        return

    async def stop() -> None:
        try:
            ended = await screen.app.box.stop_job(job.id)
        except CockpitError as error:
            screen.notify(str(error), title=f"Job #{job.id} not stopped", severity="error")
        else:
            screen.notify(f"Job #{job.id} {job.name} is {ended.state}.")

    def answered(yes: bool | None) -> None:
        if yes:
            screen.run_worker(stop(), group="stop")

    screen.app.push_screen(stop_question(job, screen.gpu_indices), answered)


def job_power(job: Job, snapshot: Snapshot | None) -> float | None:
    """What the whole GPUs of a job draw now; None if none of them can be read."""
    powers = [
        gpu.power_w
        for gpu in (snapshot.gpus if snapshot else ())
        if gpu.uuid in job.gpus and gpu.power_w is not None
    ]
    return sum(powers) if powers else None


def _short(seconds: float | None) -> str:
    return phrases.NONE if seconds is None else duration(seconds)
