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

News = Connected | Disconnected | BoxInfo | Snapshot | Event | tuple[Job, ...]
"""What a screen is told. Jobs come together, the newest of each: many that run report all the time."""


@runtime_checkable
class LiveScreen(Protocol):
    """A screen that shows live data. Only the active one is told; on resume it reads `app.live`."""

    def on_live(self, news: News) -> None:
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
    _told: set[str] = field(default_factory=set)
    """Ids of the jobs there was news of since the connection was made."""
    _open: list[Job] | None = None
    _holders: dict[str, Job] = field(default_factory=dict)
    """UUID of a GPU or slice → the newest open job that has it; of the same jobs as `_open`."""

    def take(self, update: Update) -> None:
        """Let one update of `Box.follow` in."""
        if isinstance(update, Connected):
            self.box, self.disconnected = update.box, None
            self._told = set()
        elif isinstance(update, BoxInfo):
            self.box = update
        elif isinstance(update, Snapshot):
            self.snapshot, self.received_s = update, self.clock()
        elif isinstance(update, Event):
            self.events.append(update)
        elif isinstance(update, Job):
            self._told.add(update.id)
            if update.removed:
                self.jobs.pop(update.id, None)
            else:
                self.jobs[update.id] = update
            self._open = None
        else:
            self.disconnected = update

    def fill(self, jobs: Iterable[Job], events: Iterable[Event]) -> None:
        """Let in what was asked for once after connecting; newer news already here stays."""
        told = {key: job for key, job in self.jobs.items() if key in self._told}
        # What was removed while nobody listened is in neither; what was removed since is in `_told`.
        listed = {job.id: job for job in jobs if job.id not in self._told}
        self.jobs = listed | told
        self._open = None
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

    def forget(self, job_id: str) -> None:
        """Let go of a job that was removed."""
        self.jobs.pop(job_id, None)
        self._open = None

    def arrays(self) -> dict[str, list[str]]:
        """Id of each array → the ids of its jobs."""
        found: dict[str, list[str]] = {}
        for job in self.jobs.values():
            if job.array is not None:
                found.setdefault(job.array.id, []).append(job.id)
        return found

    def open_jobs(self) -> list[Job]:
        """Jobs that have not ended, oldest first."""
        if self._open is None:
            jobs = [job for job in self.jobs.values() if job.state not in ENDED_STATES]
            self._open = sorted(jobs, key=lambda job: (job.submitted_s, job.id))
            self._holders = {uuid: job for job in self._open for uuid in (*job.gpus, *job.slices)}
        return self._open

    def holder(self, uuid: str) -> Job | None:
        """The newest open job that has this GPU or slice."""
        self.open_jobs()
        return self._holders.get(uuid)

    def job_on(self, gpu: Gpu) -> Job | None:
        """The job that has this GPU or one of its slices, the newest first."""
        held = [self.holder(uuid) for uuid in (gpu.uuid, *(part.uuid for part in gpu.slices))]
        return max(
            (job for job in held if job is not None),
            key=lambda job: (job.submitted_s, job.id),
            default=None,
        )
