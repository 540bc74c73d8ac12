"""What must hold after any chaos, found out from the disk, /proc and locks, not from what an agent says."""

from __future__ import annotations

import fcntl
import itertools
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cockpit.agent.jobs import logs, shim
from cockpit.agent.jobs.shim.cgroup import Group
from cockpit.model import Job

if TYPE_CHECKING:
    from chaos import Submitted

NATURE: dict[str, tuple[str, int | None]] = {
    "short": ("COMPLETED", 0),
    "failing": ("FAILED", 3),
    "counting": ("COMPLETED", 0),
    "daemon": ("COMPLETED", 0),
    "reporting": ("COMPLETED", 0),
    "limited": ("TIMEOUT", None),
    "again": ("COMPLETED", 0),
    "array": ("COMPLETED", 0),
    "sharing": ("COMPLETED", 0),
}
"""How a job ends that nobody disturbs; the others never do."""
DISTURBED = {"stop": {"CANCELLED"}, "shim": {"LOST"}, "job": {"FAILED"}}
CLOCK_S = 0.002
"""Two times of day are told apart by no less."""


class Truth:
    """The state of one box whose jobs have all ended."""

    def __init__(self, jobs: Path, locks: Path, agent: int | None) -> None:
        self.jobs, self.locks, self.agent = jobs, locks, agent

    def problems(self, told: Sequence[Job], submitted: Sequence[Submitted]) -> list[str]:
        """Everything that does not hold, in words."""
        return [
            *self._lost_or_doubled(told, submitted),
            *self._ends(told, submitted),
            *self._shared_gpus(),
            *self._processes(),
            *self._locks(),
            *self._logs(submitted),
            *self._litter(),
        ]

    def _lost_or_doubled(
        self, told: Sequence[Job], submitted: Sequence[Submitted]
    ) -> Iterator[str]:
        known = {job.id for job in told}
        for each in submitted:
            for job_id in each.ids:
                if job_id not in known:
                    yield f"job {job_id} ({each.kind}) was accepted and is lost"
        tokens = Counter(
            spec["request"]["token"]
            for path in self.jobs.glob("*/spec.json")
            if (spec := shim.read_json(str(path)))
        )
        for each in submitted:
            if tokens[each.token] != len(each.ids):
                yield f"token {each.token} ({each.kind}) made {tokens[each.token]} jobs: {each.ids}"

    def _ends(self, told: Sequence[Job], submitted: Sequence[Submitted]) -> Iterator[str]:
        jobs = {job.id: job for job in told}
        for each in submitted:
            allowed = {NATURE[each.kind][0]} if each.kind in NATURE else set()
            for what in each.disturbed:
                allowed |= DISTURBED[what]
            for job in (jobs[job_id] for job_id in each.ids if job_id in jobs):
                where = f"job {job.id} ({each.kind}, {sorted(each.disturbed) or 'undisturbed'})"
                if job.state not in allowed:
                    yield f"{where} is {job.state}: {job.reason}"
                elif not each.disturbed and NATURE[each.kind][1] not in (None, job.exit_code):
                    yield f"{where} has the exit code {job.exit_code}"
                status = self._status(job.id)
                if status.get("state") != job.state:
                    yield f"{where} is told as {job.state}, its directory says {status}"

    def _status(self, job_id: str) -> dict[str, Any]:
        return shim.read_json(str(self.jobs / job_id / "status.json")) or {}

    def _shared_gpus(self) -> Iterator[str]:
        """Overlapping times on one GPU by what the directories say, and by the jobs' own locks."""
        spans: dict[str, list[tuple[float, float, str]]] = {}
        for directory in self.jobs.iterdir():
            request = (shim.read_json(str(directory / "spec.json")) or {}).get("request", {})
            start = shim.read_json(str(directory / "start.json")) or {}
            status = self._status(directory.name)
            if request.get("shared") or "started_s" not in status:
                continue
            for gpu in start.get("gpus", ()):
                span = (status["started_s"], status["ended_s"], directory.name)
                spans.setdefault(gpu, []).append(span)
        for gpu, found in spans.items():
            found.sort()
            for (_, end, one), (start_s, _, other) in itertools.pairwise(found):
                if start_s < end - CLOCK_S:
                    yield f"jobs {one} and {other} had {gpu} at the same time"
        violations = self.locks / "violations"
        if violations.exists():
            yield from violations.read_text().splitlines()

    def _processes(self) -> Iterator[str]:
        for entry in os.scandir("/proc"):
            if not entry.name.isdecimal():
                continue
            stat = _read(f"/proc/{entry.name}/stat").rpartition(b")")[2].split()
            if not stat:
                continue
            if stat[0] == b"Z" and stat[1] == str(self.agent).encode():
                yield f"process {entry.name} is a zombie of the agent"
        for pid in left(self.jobs):
            yield f"process {pid} is left: {_read(f'/proc/{pid}/cmdline')!r}"

    def _locks(self) -> Iterator[str]:
        paths = [*self.jobs.glob("*/lock"), *self.locks.glob("GPU-*")]
        for path in paths:
            with path.open() as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    yield f"{path} is held by a process that should be gone"

    def _logs(self, submitted: Sequence[Submitted]) -> Iterator[str]:
        from chaos import LINES

        for each in submitted:
            for job_id in each.ids if each.kind == "counting" else ():
                size = (self.jobs / job_id / "output.log").stat().st_size
                lines = logs.reader(self.jobs / job_id)(0, size).decode().splitlines()
                wanted = [f"line {number}" for number in range(LINES)]
                whole = self._status(job_id).get("state") == "COMPLETED"
                if lines != (wanted if whole else wanted[: len(lines)]):
                    yield f"the log of job {job_id} has lost or doubled a line: {lines[:3]}…"

    def _litter(self) -> Iterator[str]:
        """What a cut off submission, start or removal leaves is cleared away."""
        for path in (*self.jobs.glob(".taken-*"), *self.jobs.glob("*.removed")):
            yield f"{path} is left"
        for directory in self.jobs.iterdir():
            group = (shim.read_json(str(directory / "start.json")) or {}).get("cgroup")
            if group and os.path.isdir(group):  # noqa: PTH112
                yield f"{group} is left, with {Group(group).members()}"


def left(jobs: Path) -> Iterator[int]:
    """Every process that has the directory of these jobs in its environment or its arguments."""
    mark = str(jobs).encode()
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal() and any(
            mark in _read(f"/proc/{entry.name}/{name}") for name in ("environ", "cmdline")
        ):
            yield int(entry.name)


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""
