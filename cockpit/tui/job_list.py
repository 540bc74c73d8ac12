"""The list of jobs: which are shown, in which order, arrays as one row, places in the queue.

Pure: no Textual. `arrange` costs little per job, `row` is only asked for rows that can be seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cockpit.model import ENDED_STATES, Gpu, Job, JobState, Progress
from cockpit.tui import phrases

RUNNING_STATES = frozenset({"RUNNING", "COMPLETING", "UNREACHABLE"})
_STATE_ORDER = {state: n for n, state in enumerate(("RUNNING", "COMPLETING", "UNREACHABLE"))}
ARRAY_MARK = "[]"

Order = tuple[str, bool]
"""The column to order by, and whether from high to low."""
FIRST_ORDER: Order = ("state", False)


@dataclass(frozen=True)
class Now:
    """What the figures of jobs are worked out from beside the jobs themselves."""

    time_s: float
    gpus: tuple[Gpu, ...] = ()
    indices: Mapping[str, int] = field(default_factory=dict)
    currency: str = ""


class JobList:
    """The jobs as they are shown: `look` and `arrange`, then whatever `keys` are seen are asked for."""

    def __init__(self) -> None:
        self.keys: tuple[str, ...] = ()
        self.shown = 0
        """How many jobs match the filter, folded ones included."""
        self._entries: dict[str, Job] = {}
        self._members: dict[str, tuple[Job, ...]] = {}
        self._places: dict[str, int] = {}
        self._texts: dict[str, tuple[Job, str]] = {}
        self._watts: dict[str, float] = {}
        self._slots: dict[str, str] = {}
        self.now = Now(0.0)

    def look(self, now: Now) -> None:
        """Take the newest figures of the GPUs."""
        self.now = now
        self._watts = watts_of(now.gpus)
        self._slots = {
            part.uuid: f"{gpu.index}:{part.profile.split('.')[0]}"
            for gpu in now.gpus
            for part in gpu.slices
        }

    def arrange(
        self, jobs: Mapping[str, Job], order: Order, needle: str, unfolded: frozenset[str]
    ) -> None:
        """Filter, group and order."""
        self._places = queue_places(jobs)
        words = needle.casefold().split()
        single: list[Job] = []
        arrays: dict[str, list[Job]] = {}
        for job in jobs.values():
            if job.array is None:
                single.append(job)
            else:
                arrays.setdefault(job.array.id, []).append(job)
        found = [job for job in single if self._has(job, words)]
        self.shown = len(found)
        self._members = {}
        inside: dict[str, list[Job]] = {}
        for array_id, members in arrays.items():
            members.sort(key=lambda job: job.array.index if job.array else 0)
            matching = [job for job in members if self._has(job, words)]
            if matching:
                whole = array_of(array_id, members)
                self._members[whole.id] = tuple(members)
                inside[whole.id] = matching if whole.id in unfolded else []
                self.shown += len(matching)
                found.append(whole)
        self._entries = {}
        for job in self._ordered(found, order):
            self._entries[job.id] = job
            for member in inside.get(job.id, ()):
                self._entries[member.id] = member
        self.keys = tuple(self._entries)
        if len(self._texts) > 2 * len(jobs):
            self._texts = {key: kept for key, kept in self._texts.items() if key in jobs}

    def job(self, key: str) -> Job | None:
        """The job of a row; of an array's row, all of it as if it were one."""
        return self._entries.get(key)

    def jobs(self, keys: Iterable[str]) -> list[Job]:
        """The jobs behind rows, an array's row standing for all of its jobs; each once."""
        found: dict[str, Job] = {}
        for key in keys:
            for job in self._members.get(key) or (self._entries.get(key),):
                if job is not None:
                    found[job.id] = job
        return list(found.values())

    def is_array(self, key: str) -> bool:
        """Whether a row stands for an array."""
        return key in self._members

    def array_key(self, job: Job) -> str:
        """The key of the row of the array that a job belongs to."""
        return f"{job.array.id}{ARRAY_MARK}" if job.array else ""

    # What is said of a job

    def power_w(self, job: Job) -> float | None:
        """What its whole GPUs draw now; None if it has ended or none can be read."""
        return power_of(job, self._watts)

    def where(self, job: Job) -> str:
        """`0-3`, or `7:1g` for a slice of GPU 7; the em dash for nothing."""
        slots = [self._slots.get(uuid, "?") for uuid in job.slices]
        whole = phrases.gpu_numbers(job.gpus, self.now.indices).removeprefix("GPU ")
        return ",".join(([whole] if job.gpus else []) + slots) or phrases.NONE

    def place(self, job: Job) -> str:
        """Where a waiting job stands: `next in line`, `3rd in line`, `after #12`."""
        number = self._places.get(job.id)
        if number is not None:
            return "next in line" if number == 1 else f"{ordinal(number)} in line"
        return f"after #{job.after[0]}" if job.after else ""

    def _has(self, job: Job, words: Sequence[str]) -> bool:
        if not words:
            return True
        known = self._texts.get(job.id)
        if known is None or known[0] is not job:
            known = self._texts[job.id] = (job, self._text(job))
        return all(word in known[1] for word in words)

    def _text(self, job: Job) -> str:
        """What the filter looks in: every column that does not change by itself."""
        array = f"{job.array.id}{ARRAY_MARK}" if job.array else ""
        figures = (phrases.energy(job.energy_j), money(job.cost, self.now.currency))
        submitted = phrases.clock(job.submitted_s, self.now.time_s)
        named = (f"#{job.id}", array, job.name, job.plugin or "", job.state, self.where(job))
        return " ".join((*named, job.reason, submitted, *figures)).casefold()

    def _ordered(self, jobs: list[Job], order: Order) -> list[Job]:
        column, descending = order
        jobs.sort(key=lambda job: (job.submitted_s, number_of(job.id)), reverse=True)
        if column == "state":
            jobs.sort(key=self._by_state, reverse=descending)
            return jobs
        value = _VALUES.get(column, _VALUES["submitted"])
        known = [(value(self, job), job) for job in jobs]
        there = [pair for pair in known if pair[0] is not None]
        there.sort(key=lambda pair: pair[0], reverse=descending)
        return [job for _, job in there] + [job for key, job in known if key is None]

    def _by_state(self, job: Job) -> tuple[float, float]:
        """What runs, then the queue in its order, then what ended, the last first."""
        if job.state == "PENDING":
            return 10.0, float(self._places.get(job.id, 1 << 30))
        if job.state in ENDED_STATES:
            return 20.0, -(job.ended_s or job.submitted_s)
        return float(_STATE_ORDER.get(job.state, 5)), 0.0


_VALUES: dict[str, Callable[[JobList, Job], Any]] = {
    "id": lambda _, job: number_of(job.id),
    "name": lambda _, job: job.name.casefold(),
    "plugin": lambda _, job: job.plugin,
    "GPUs": lambda listed, job: listed.where(job) if job.gpus or job.slices else None,
    "progress": lambda _, job: share_done(job),
    "left": lambda _, job: left_s(job),
    "time": lambda listed, job: phrases.elapsed(job, listed.now.time_s),
    "power": lambda listed, job: listed.power_w(job),
    "energy": lambda _, job: job.energy_j,
    "cost": lambda _, job: job.cost,
    "submitted": lambda _, job: job.submitted_s,
    "reason": lambda _, job: job.reason or None,
}
ORDERS = ("state", *_VALUES)
"""What the list can be ordered by."""
HIGH_FIRST = frozenset({"id", "progress", "time", "power", "energy", "cost", "submitted"})
"""Where the high ones are of more interest."""


def queue_places(jobs: Mapping[str, Job]) -> dict[str, int]:
    """Id → place in the queue for GPUs, from 1, of every job that waits for nothing else."""
    waiting = [job for job in jobs.values() if job.state == "PENDING" and not _held_back(job, jobs)]
    waiting.sort(key=lambda job: (-job.priority, job.submitted_s, number_of(job.id)))
    return {job.id: place for place, job in enumerate(waiting, 1)}


def _held_back(job: Job, jobs: Mapping[str, Job]) -> bool:
    return any(key in jobs and jobs[key].state not in ENDED_STATES for key in job.after)


def array_of(array_id: str, members: Sequence[Job]) -> Job:
    """An array as if it were one job: its progress counts jobs, its figures are sums."""
    states = [job.state for job in members]
    size = max(max(job.array.size if job.array else 0 for job in members), len(members))
    done = sum(state in ENDED_STATES for state in states)
    ended = [job.ended_s for job in members if job.ended_s is not None]
    started = [job.started_s for job in members if job.started_s is not None]
    return replace(
        members[0],
        id=f"{array_id}{ARRAY_MARK}",
        state=array_state(states),
        reason=_counts(states),
        gpus=_held(members, "gpus"),
        slices=_held(members, "slices"),
        submitted_s=max(job.submitted_s for job in members),
        started_s=min(started, default=None),
        ended_s=max(ended) if done == len(states) and ended else None,
        progress=Progress(done, size, None, "jobs"),
        energy_j=_sum(job.energy_j for job in members),
        cost=_sum(job.cost for job in members),
        array=None,
        placement="",
        exit_code=None,
        requeued_from=None,
    )


def array_state(states: Sequence[JobState]) -> JobState:
    """RUNNING while any runs, PENDING while any waits; then the worst end of all."""
    for state in ("RUNNING", "COMPLETING", "UNREACHABLE", "PENDING"):
        if state in states:
            return state
    worst: tuple[JobState, ...] = ("LOST", "NODE_FAIL", "FAILED", "TIMEOUT", "CANCELLED")
    return next((state for state in worst if state in states), "COMPLETED")


def _counts(states: Sequence[str]) -> str:
    """`2 FAILED, 3 RUNNING, 5 COMPLETED`."""
    order = ("FAILED", "LOST", "NODE_FAIL", "TIMEOUT", "CANCELLED", "RUNNING", "PENDING")
    names = dict.fromkeys((*(name for name in order if name in states), *states))
    return ", ".join(f"{states.count(name)} {name}" for name in names)


def _held(members: Sequence[Job], field: str) -> tuple[str, ...]:
    open_jobs = [job for job in members if job.state not in ENDED_STATES]
    return tuple(dict.fromkeys(uuid for job in open_jobs for uuid in getattr(job, field)))


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def watts_of(gpus: Iterable[Gpu]) -> dict[str, float]:
    """UUID → what that GPU draws now, of those that can be read."""
    return {gpu.uuid: gpu.power_w for gpu in gpus if gpu.power_w is not None}


def power_of(job: Job, watts: Mapping[str, float]) -> float | None:
    """What the whole GPUs of a job draw now; None if it has ended or none can be read."""
    if job.state in ENDED_STATES:
        return None
    powers = [watts[uuid] for uuid in job.gpus if uuid in watts]
    return sum(powers) if powers else None


def share_done(job: Job) -> float | None:
    """How much of the job is done, from 0 to 1."""
    progress = job.progress
    if progress is None or not progress.total > 0:
        return None
    return min(max(progress.done / progress.total, 0.0), 1.0)


def left_s(job: Job) -> float | None:
    """Seconds that a running job still needs at its pace."""
    return job.progress.eta_s if job.progress and job.state == "RUNNING" else None


def money(amount: float | None, currency: str) -> str:
    """`3.20 €`, or the em dash."""
    return phrases.NONE if amount is None else f"{amount:.2f} {currency}".strip()


def number_of(job_id: str) -> tuple[int, str]:
    """Sorts ids as the numbers they are; others after them."""
    return (int(job_id), "") if job_id.isdecimal() else (1 << 62, job_id)


def ordinal(number: int) -> str:
    """`1st`, `2nd`, `11th`, `23rd`."""
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
