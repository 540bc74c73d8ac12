"""A job's log and events as they grow, across agents that are replaced, until the job has ended."""

from __future__ import annotations

import asyncio
import base64
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, BinaryIO

from cockpit.cli.patience import patiently
from cockpit.client import Box
from cockpit.model import ENDED_STATES, Job

LOOK_FIRST_S, LOOK_MOST_S = 0.05, 0.5
"""How long to wait before looking again: ever longer while nothing happens."""


async def follow_log(box: Box, job_id: str, offset: int = 0, to: BinaryIO | None = None) -> None:
    """Write the log's bytes to stdout, or `to`, from `offset` on, until the job has ended."""
    delay_s = LOOK_FIRST_S
    while True:
        before = offset
        offset, ended = await write_log(box, job_id, offset, to)
        if ended:
            return
        delay_s = LOOK_FIRST_S if offset > before else longer(delay_s)
        await asyncio.sleep(delay_s)


def longer(delay_s: float) -> float:
    """The next delay, when there was nothing new."""
    return min(delay_s * 1.5, LOOK_MOST_S)


async def write_log(
    box: Box, job_id: str, offset: int, to: BinaryIO | None = None
) -> tuple[int, bool]:
    """Write what there is from `offset` on; where to go on, and whether that was all for ever."""
    stream = to or sys.stdout.buffer
    while True:
        answer = await patiently(box, partial(box.job_log, job_id, offset))
        if answer["offset"] > offset:
            gap = f"bytes {offset} to {answer['offset']} of its log are not kept any more"
            print(f"cockpit: job {job_id}: {gap}", file=sys.stderr)
        stream.write(base64.b64decode(answer["data"]))
        stream.flush()
        offset = answer["end"]
        if offset >= answer["size"]:
            return offset, bool(answer["ended"])


async def each_event(
    box: Box, job_id: str, follow: bool, tell: Callable[[dict[str, Any]], None]
) -> None:
    """`tell` everything that the job reported; with `follow` until it has ended."""
    offset, delay_s = 0, LOOK_FIRST_S
    while True:
        answer = await patiently(box, partial(box.job_events, job_id, offset))
        for event in answer["events"]:
            tell(event)
        if answer["end"] > offset:
            offset, delay_s = answer["end"], LOOK_FIRST_S
        elif not follow or answer["ended"]:
            return
        else:
            await asyncio.sleep(delay_s)
            delay_s = longer(delay_s)


async def wait_started(box: Box, job: Job) -> Job:
    """The job once it no longer waits; every reason why it waits is told once."""
    told, delay_s = "", LOOK_FIRST_S
    while job.state == "PENDING":
        if job.reason and job.reason != told:
            told = job.reason
            print(f"cockpit: job {job.id} is waiting: {told}", file=sys.stderr)
        await asyncio.sleep(delay_s)
        delay_s = longer(delay_s)
        job = await patiently(box, partial(box.job, job.id))
    return job


async def wait_ended(box: Box, job_id: str) -> Job:
    """The job once it has ended."""
    delay_s = LOOK_FIRST_S
    while True:
        job = await patiently(box, partial(box.job, job_id))
        if job.state in ENDED_STATES:
            return job
        await asyncio.sleep(delay_s)
        delay_s = longer(delay_s)


async def wait_ready(box: Box, job_id: str) -> Job:
    """The job once the service that it is can be used, has failed or ended; one that is no service
    at once."""
    delay_s = LOOK_FIRST_S
    while True:
        job = await patiently(box, partial(box.job, job_id))
        if job.service is None or job.state in ENDED_STATES or job.service.state in _SETTLED:
            return job
        await asyncio.sleep(delay_s)
        delay_s = longer(delay_s)


_SETTLED = ("ready", "failed", "ended", "draining")


def exit_code(job: Job) -> int:
    """The job's own exit code; 1 for a job that has none or that was cut off without an error."""
    if job.state == "COMPLETED":
        return job.exit_code or 0
    return job.exit_code or 1
