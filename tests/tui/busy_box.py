"""A fake box with a queue: an array, jobs that wait, jobs that ended, slices, or a thousand of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fake_box import NOW_S, FakeBox, box_info, job, sliced, snapshot
from story_box import story_box

from cockpit.client import Connected
from cockpit.model import Job, JobState, Progress
from cockpit.model.job import ArrayMember

_SWEEP: tuple[JobState, ...] = (*("COMPLETED",) * 6, "FAILED", "RUNNING", "PENDING", "PENDING")
_ENDS: tuple[JobState, ...] = ("COMPLETED", "CANCELLED", "TIMEOUT", "LOST")
FULL = "waiting for 2 GPUs: 1 of 10 free (7 held by jobs, 2 EXTERNAL)"


def waiting(number: int, name: str, **changes: Any) -> Job:
    """A job that waits for GPUs."""
    plain = job(number, name, (), state="PENDING", started_s=None, progress=None, plugin=None)
    return replace(plain, **changes)


def sweep() -> list[Job]:
    """The array 50: six done, one failed, one runs on GPU 9, two wait."""
    made = []
    for index, state in enumerate(_SWEEP):
        begun = state != "PENDING"
        made.append(
            replace(
                job(50 + index, "sweep", (9,) if state == "RUNNING" else ()),
                plugin="cfd",
                state=state,
                array=ArrayMember("50", index, len(_SWEEP)),
                started_s=NOW_S - 900 + index * 30 if begun else None,
                ended_s=NOW_S - 100 + index if state in ("COMPLETED", "FAILED") else None,
                progress=Progress(20 + index * 8, 100, 120.0) if begun else None,
                energy_j=2.1e5 if begun else None,
                cost=0.0175 if begun else None,
                exit_code=1 if state == "FAILED" else None,
                reason="exit code 1" if state == "FAILED" else "",
            )
        )
    return made


def ended() -> list[Job]:
    """Eight jobs of yesterday, in every way a job can end."""
    return [
        replace(
            job(20 + n, ("render", "embed", "train")[n % 3], ()),
            state=_ENDS[n % 4],
            submitted_s=NOW_S - 90_000 + n * 700,
            started_s=NOW_S - 80_000,
            ended_s=NOW_S - 70_000 + n * 777,
            energy_j=4.2e6 * n,
            cost=0.35 * n,
            progress=None,
        )
        for n in range(8)
    ]


def busy_box() -> FakeBox:
    """The story's box with an array, six jobs that wait for GPUs, and yesterday's jobs."""
    box = story_box()
    queue = [waiting(100 + n, ("fold", "dock", "md-run")[n % 3]) for n in range(6)]
    queue[0] = replace(queue[0], reason=FULL)
    queue[5] = replace(queue[5], after=("41",), reason="waiting for job 41")
    queue[4] = replace(queue[4], priority=10)
    for entry in (*sweep(), *queue, *ended()):
        box.known_jobs[entry.id] = entry
    box.known_jobs["41"] = replace(box.known_jobs["41"], energy_j=4.4e6, cost=0.37)
    return box


def crowded_box(queued: int = 1000, running: int = 70) -> FakeBox:
    """Ten GPUs in seven slices each, all in use, and a long queue."""
    cards = [sliced(index) for index in range(10)]
    cards = [
        replace(
            gpu,
            slices=tuple(
                replace(gpu.slices[2], uuid=f"MIG-{gpu.index}-{n}", gpu_instance=n + 7)
                for n in range(7)
            ),
        )
        for gpu in cards
    ]
    box = FakeBox(Connected(box_info()), snapshot(gpus=cards))
    for n in range(running):
        slot = cards[n // 7 % 10].slices[n % 7].uuid
        made = job(n + 1, f"embed-{n % 5}", (), slices=(slot,), energy_j=1e4 * n, cost=0.01 * n)
        box.known_jobs[made.id] = made
    for n in range(queued):
        made = waiting(running + n + 1, ("fold", "dock", "md-run")[n % 3])
        box.known_jobs[made.id] = made
    return box


__all__ = ["FULL", "busy_box", "crowded_box", "ended", "sweep", "waiting"]
