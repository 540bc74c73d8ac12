"""Jobs that start only after another one: whether they may, still wait, or never will."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from cockpit.agent.jobs.record import Record

RELEASED = "released.json"
"""In the directory of a waiting job whose predecessor completed and was then removed."""


@dataclass(frozen=True)
class Hold:
    """What the predecessor of a waiting job means for it, with the reason where there is one."""

    kind: Literal["free", "wait", "never"]
    reason: str = ""


def hold(record: Record, records: Mapping[str, Record]) -> Hold:
    """Whether a waiting job may start, as far as the job that it comes after is concerned."""
    after = record.spec.request.after
    if after is None:
        return Hold("free")
    before = records.get(after)
    if before is None:
        if record.directory.read(RELEASED) is not None:
            return Hold("free")
        return Hold("never", f"job {after}, after which it was to start, is not here any more")
    if not before.over.is_set():
        return Hold("wait", f"waiting for job {after} to complete")
    if before.state == "COMPLETED":
        return Hold("free")
    return Hold("never", f"job {after}, after which it was to start, ended as {before.state}")


def release(removed: Record, waiting: Mapping[str, Record]) -> None:
    """Before a job is removed: write down that it completed for those that come after it.

    Raises OSError.
    """
    if removed.state != "COMPLETED":
        return
    for record in waiting.values():
        if record.spec.request.after == removed.spec.id and not record.status:
            record.directory.write(RELEASED, {"after": removed.spec.id})
