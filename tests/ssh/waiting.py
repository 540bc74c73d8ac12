"""Waiting for what a box says, without looking again and again."""

from __future__ import annotations

from cockpit.client import Box, Connected
from cockpit.model import ENDED_STATES, Job


async def ended(box: Box, job: Job) -> Job:
    """The job once it has ended."""
    async for update in box.follow(("job",)):
        if isinstance(update, Connected):
            update_ = await box.job(job.id)
        elif isinstance(update, Job) and update.id == job.id:
            update_ = update
        else:
            continue
        if update_.state in ENDED_STATES:
            return update_
    raise AssertionError("following ends only when it is left")
