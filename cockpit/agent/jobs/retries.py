"""Another attempt at a job that failed: when it is due, and what becomes of the last one.

`attempts/N.json` is the last `status.json` of attempt N. The one rename that makes it so, under the
job's lock, is the moment at which the job waits again: a crash before it leaves a job that failed
and whose next attempt is still due, one after it a job that waits, and nothing in between.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
from typing import Any

from cockpit.agent.jobs import shim
from cockpit.agent.jobs.record import Record
from cockpit.agent.jobs.store import JobDirectory

FIRST_PAUSE_S, MOST_PAUSE_S = 10.0, 600.0
LOCK_PATIENCE_S = 30.0
"""How long a shim that has written its last status may take to be gone."""


def pause_s(attempt: int) -> float:
    """How long to wait after the end of that attempt: 10 s, doubled each time, at most 10 min."""
    return float(min(FIRST_PAUSE_S * 2.0 ** (attempt - 1), MOST_PAUSE_S))


def due(record: Record) -> bool:
    """Whether a job that has ended is to have another attempt: only if it FAILED by itself."""
    return (
        record.state == "FAILED"
        and record.attempt <= record.spec.request.retries
        and record.directory.read("cancel.json") is None
        # Its accounts are closed: an earlier agent has decided that this was the end.
        and not (record.directory.path / "ended.json").exists()
    )


async def put_aside(record: Record) -> bool:
    """Make the job one that waits again; False if that could not be written down."""
    record.trying_again = True
    deadline = asyncio.get_running_loop().time() + LOCK_PATIENCE_S
    lock = None
    try:
        while (lock := record.directory.try_lock()) is None:
            if asyncio.get_running_loop().time() > deadline:
                raise OSError("its shim does not end")
            await asyncio.sleep(0.01)
        _move(record.directory, record.attempt)
    except OSError:
        record.trying_again = False
        return False
    finally:
        if lock is not None:
            os.close(lock)
    record.begin_again()
    return True


def _move(directory: JobDirectory, attempt: int) -> None:
    aside = directory.path / "attempts"
    aside.mkdir(mode=0o700, exist_ok=True)
    shim.sync_directory(str(directory.path))
    (directory.path / "status.json").rename(aside / f"{attempt}.json")
    shim.sync_directory(str(aside))
    shim.sync_directory(str(directory.path))
    for name in ("start.json", "explanation.txt"):
        with contextlib.suppress(FileNotFoundError):
            (directory.path / name).unlink()


def earlier(directory: JobDirectory) -> list[dict[str, Any]]:
    """The last status of each attempt before the present one, oldest first."""
    found: list[dict[str, Any]] = []
    while (status := directory.read(f"attempts/{len(found) + 1}.json")) is not None:
        found.append(status)
    return found


def words(record: Record, left_s: float) -> str:
    """`attempt 2 of 4 in 20 s`, rounded so that it does not change all the time."""
    step_s = 10 if left_s > 10 else 5
    seconds = math.ceil(left_s / step_s) * step_s
    return f"attempt {record.attempt} of {record.spec.request.retries + 1} in {seconds} s"
