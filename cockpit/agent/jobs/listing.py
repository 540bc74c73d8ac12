"""The list of jobs, in pages that fit into a message."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from cockpit import codec
from cockpit.agent.jobs.record import Record
from cockpit.model import Job
from cockpit.protocol import MAX_LINE_BYTES

PAGE_JOBS = 1000
PAGE_BYTES = MAX_LINE_BYTES // 4
"""Of the jobs of one page, in characters: a message has to stay below the protocol's limit."""
PLAIN_BYTES = 1500
"""More than a job takes that has reported nothing, its command left out."""


def page(records: Iterable[Record], show: Callable[[Record], Job]) -> dict[str, Any]:
    """As many of the jobs as fit, at least one, and whether there are more after them."""
    jobs: list[Job] = []
    size = 0
    for record in records:
        job = show(record)
        size += _size(record, job)
        if jobs and (size > PAGE_BYTES or len(jobs) >= PAGE_JOBS):
            return {"jobs": jobs, "more": True}
        jobs.append(job)
    return {"jobs": jobs, "more": False}


def _size(record: Record, job: Job) -> int:
    """What a job takes in a message, or a little more."""
    if record.row is not None:
        return len(record.row.document)
    if job.started_s is not None or job.views:
        return len(codec.dumps(job))
    return PLAIN_BYTES + sum(map(len, job.command)) + len(job.name) + len(job.reason)
