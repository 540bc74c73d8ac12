"""What a waiting job waits for besides devices: other jobs, its turn in an array, its next attempt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from cockpit.agent.jobs import retries
from cockpit.agent.jobs.record import Record

RELEASED = "released.json"
"""In the directory of a waiting job of whose predecessors some completed and were then removed."""


@dataclass(frozen=True)
class Hold:
    """What the predecessors of a waiting job mean for it, with the reason where there is one."""

    kind: Literal["free", "wait", "never"]
    reason: str = ""


FREE = Hold("free")


def hold(record: Record, records: Mapping[str, Record]) -> Hold:
    """Whether a waiting job may start, as far as the jobs that it comes after are concerned."""
    waits: list[str] = []
    for job_id in record.spec.request.after:
        before = records.get(job_id)
        if before is None:
            if job_id not in _released(record):
                reason = f"job {job_id}, after which it was to start, is not here any more"
                return Hold("never", reason)
        elif not before.over.is_set():
            waits.append(job_id)
        elif before.state != "COMPLETED":
            reason = f"job {job_id}, after which it was to start, ended as {before.state}"
            return Hold("never", reason)
    if waits:
        return Hold("wait", f"waiting for job {', '.join(waits)} to complete")
    return FREE


class Turns:
    """How many of each array's jobs may still begin, given how many of them run."""

    def __init__(self, live: Iterable[Record]) -> None:
        self._running = Counter(
            record.spec.array.id
            for record in live
            if record.spec.array is not None and record.status and not record.over.is_set()
        )

    def take(self, record: Record) -> Hold:
        """Whether this job may begin now; if so, it counts as one that runs."""
        array, most = record.spec.array, record.spec.request.array_parallel
        if array is None or most is None:
            return FREE
        if self._running[array.id] >= most:
            return Hold("wait", f"waiting: at most {most} of array {array.id}[] run at once")
        self._running[array.id] += 1
        return FREE


def pause(record: Record, now_s: float) -> Hold:
    """Whether the pause before the next attempt is over; `now_s` on the monotonic clock."""
    left_s = record.not_before_s - now_s
    return Hold("wait", retries.words(record, left_s)) if left_s > 0 else FREE


def release(removed: Record, waiting: Mapping[str, Record]) -> None:
    """Before a job is removed: write down that it completed for those that come after it.

    Raises OSError.
    """
    if removed.state != "COMPLETED":
        return
    for record in waiting.values():
        if removed.id in record.spec.request.after and not record.status:
            released = [*_released(record), removed.id]
            record.directory.write(RELEASED, {"after": released})


def _released(record: Record) -> list[str]:
    """The jobs before this one that completed and were then removed."""
    return list((record.directory.read(RELEASED) or {}).get("after", ()))
