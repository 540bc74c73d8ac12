"""What the terminal knows about the box at this moment; every screen reads it, one worker feeds it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from cockpit.client import Connected, Disconnected, Update
from cockpit.model import ENDED_STATES, BoxInfo, Event, Gpu, Job, Snapshot

KEPT_EVENTS = 500
STALE_INTERVALS = 3.0
"""A snapshot older than this many intervals is stale."""


@runtime_checkable
class LiveScreen(Protocol):
    """A screen that shows live data. Only the active one is told; on resume it reads `app.live`."""

    def on_live(self, update: Update) -> None:
        """Something happened; `app.live` already holds it."""


@dataclass
class Live:
    """The newest of everything."""

    clock: Callable[[], float]
    box: BoxInfo | None = None
    snapshot: Snapshot | None = None
    jobs: dict[str, Job] = field(default_factory=dict)
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=KEPT_EVENTS))
    """Oldest first."""
    disconnected: Disconnected | None = None
    received_s: float = 0.0
    """When the newest snapshot came in, by this machine's clock."""

    def take(self, update: Update) -> None:
        """Let one update of `Box.follow` in."""
        if isinstance(update, Connected):
            self.box, self.disconnected = update.box, None
        elif isinstance(update, BoxInfo):
            self.box = update
        elif isinstance(update, Snapshot):
            self.snapshot, self.received_s = update, self.clock()
        elif isinstance(update, Event):
            self.events.append(update)
        elif isinstance(update, Job):
            self.jobs[update.id] = update
        else:
            self.disconnected = update

    def fill(self, jobs: Iterable[Job], events: Iterable[Event]) -> None:
        """Let in what was asked for once after connecting; newer news already here stays."""
        self.jobs = {job.id: job for job in jobs} | self.jobs
        known = {event.id for event in self.events}
        merged = sorted(
            [event for event in events if event.id not in known] + list(self.events),
            key=lambda event: (event.time_s, event.id),
        )
        self.events = deque(merged, maxlen=KEPT_EVENTS)

    def age_s(self) -> float | None:
        """Seconds since the newest snapshot came in; None before the first."""
        return None if self.snapshot is None else max(0.0, self.clock() - self.received_s)

    @property
    def stale(self) -> bool:
        """Whether the figures on the screen can no longer be taken for the present."""
        if self.disconnected is not None:
            return True
        age = self.age_s()
        if age is None or self.snapshot is None:
            return False
        return age > max(3.0, STALE_INTERVALS * self.snapshot.interval_s)

    def gpu(self, uuid: str) -> Gpu | None:
        """The newest figures of one GPU."""
        gpus = self.snapshot.gpus if self.snapshot else ()
        return next((gpu for gpu in gpus if gpu.uuid == uuid), None)

    def open_jobs(self) -> list[Job]:
        """Jobs that have not ended, oldest first."""
        jobs = [job for job in self.jobs.values() if job.state not in ENDED_STATES]
        return sorted(jobs, key=lambda job: (job.submitted_s, job.id))

    def job_on(self, gpu: Gpu) -> Job | None:
        """The job that has this GPU or one of its slices, the newest first."""
        slices = {part.uuid for part in gpu.slices}
        for job in reversed(self.open_jobs()):
            if gpu.uuid in job.gpus or slices.intersection(job.slices):
                return job
        return None
