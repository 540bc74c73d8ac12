"""Arrays of jobs on the command line: `--array 1-100:2%4`, and `12[]` for all jobs of one."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Iterable
from functools import partial

from cockpit.cli.following import exit_code
from cockpit.cli.patience import patiently
from cockpit.client import Box
from cockpit.errors import UsageError
from cockpit.model import ENDED_STATES, Job

LOOK_S = 0.5
_WHOLE = re.compile(r"(\d+)\[(\d*)\]")


async def expand(box: Box, words: Iterable[str]) -> list[str]:
    """Ids of jobs from what was written: `7`, `12[]` for a whole array, `12[3]` for its index 3.

    Each once, in that order. Raises UsageError for an array that is not there.
    """
    ids: dict[str, None] = {}
    for word in words:
        match = _WHOLE.fullmatch(word)
        if match is None:
            ids[word] = None
            continue
        members = await box.jobs(array=match[1])
        chosen = [
            job.id
            for job in reversed(members)
            if job.array and match[2] in ("", str(job.array.index))
        ]
        if not chosen:
            what = f"no array {match[1]}[]" if not members else f"no index {match[2]} in it"
            raise UsageError(f"{word}: there is {what} here", "`cockpit jobs` lists them.")
        ids.update(dict.fromkeys(chosen))
    return list(ids)


async def wait_for_array(box: Box, array: str) -> int:
    """Tell of each job of an array as it ends; the first exit code that is not 0, by index."""
    told: set[str] = set()
    while True:
        members = await patiently(box, partial(box.jobs, array))
        for job in reversed(members):
            if job.state in ENDED_STATES and job.id not in told:
                told.add(job.id)
                reason = f": {job.reason}" if job.reason else ""
                print(f"cockpit: job {job.id} {label(job)}{job.state}{reason}", file=sys.stderr)
        if len(told) >= len(members):
            return next((code for job in reversed(members) if (code := exit_code(job))), 0)
        await asyncio.sleep(LOOK_S)


def label(job: Job) -> str:
    """`12[3] `, or nothing for a job of no array."""
    return f"{job.array.id}[{job.array.index}] " if job.array else ""
