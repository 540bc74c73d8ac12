"""Jobs that start only after others: whether they may, still wait, or never will."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from cockpit.agent.jobs.record import Record

RELEASED = "released.json"
"""In the directory of a waiting job of whose predecessors some completed and were then removed."""


@dataclass(frozen=True)
class Hold:
    """What the predecessors of a waiting job mean for it, with the reason where there is one."""

    kind: Literal["free", "wait", "never"]
    reason: str = ""


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
    return Hold("free")


def release(removed: Record, waiting: Mapping[str, Record]) -> None:
    """Before a job is removed: write down that it completed for those that come after it.

    Raises OSError.
    """
    if removed.state != "COMPLETED":
        return
    for record in waiting.values():
        if removed.spec.id in record.spec.request.after and not record.status:
            released = [*_released(record), removed.spec.id]
            record.directory.write(RELEASED, {"after": released})


def _released(record: Record) -> list[str]:
    """The jobs before this one that completed and were then removed."""
    return list((record.directory.read(RELEASED) or {}).get("after", ()))
