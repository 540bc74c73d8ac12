"""Whether the devices of an ended job are truly free, and what it has left on them if not."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cockpit.agent.jobs import shim
from cockpit.agent.jobs.resources import GIB, people
from cockpit.model import Gpu, Process, Slice, Snapshot

LEAK_BYTES = 256 << 20
"""Memory beyond what was there before the job, with no process to show for it, that counts as left."""
FILE = "leaks.json"


@dataclass(frozen=True)
class Left:
    """What one job left on one device."""

    job: str
    device: str
    memory_bytes: int
    who: str
    """`pid 123 of ana`, or that no process shows it."""
    pids: Mapping[str, int] = field(default_factory=dict)
    """Leftover processes: pid → start ticks."""

    @property
    def words(self) -> str:
        """`2.1 GiB of job 7: pid 123 of ana`."""
        return f"{_gib(self.memory_bytes)} of job {self.job}: {self.who}"

    @property
    def sentence(self) -> str:
        """`left 2.1 GiB on GPU 3 (pid 123 of ana)`."""
        return f"left {_gib(self.memory_bytes)} on {self.device} ({self.who})"


@dataclass(frozen=True)
class Verdict:
    """How a job has left its devices: `text` is empty when they are free."""

    job: str
    text: str


@dataclass
class _Ended:
    """A job that is over and whose devices have not been judged yet."""

    job: str
    uuids: tuple[str, ...]
    ended_s: float


@dataclass(frozen=True)
class _Seen:
    """A device in a snapshot."""

    name: str
    processes: tuple[Process, ...]
    unexplained_bytes: int | None


class LeakWatch:
    """Judges devices by snapshots that are newer than the end of the job that had them.

    A list of processes may be `settle_s` old, so memory that no process shows counts only after
    that: until then a device is handed on as free. Processes of the job count at once, and only
    while they are alive.
    """

    def __init__(self, directory: Path, settle_s: float) -> None:
        self._directory, self._settle_s = directory, settle_s
        self._ended: dict[str, _Ended] = {}
        self._left: dict[str, Left] = {}
        self._before: dict[str, int] = {}
        """Memory without a process on each device when no job of ours had touched it."""

    def load(self) -> None:
        """Take over what an earlier agent knew."""
        document = shim.read_json(str(self._directory / FILE)) or {}
        for uuid, entry in document.items():
            with contextlib.suppress(TypeError, ValueError):
                self._before[uuid] = int(entry.pop("before_bytes", 0))
                self._left[uuid] = Left(**entry)

    @property
    def words(self) -> dict[str, str]:
        """UUID → what was left there."""
        return {uuid: left.words for uuid, left in self._left.items()}

    def ended(self, job: str, uuids: tuple[str, ...], ended_s: float) -> None:
        """A job is over that had these devices."""
        self._ended[job] = _Ended(job, uuids, ended_s)

    def observe(self, snapshot: Snapshot, held: Collection[str]) -> list[Verdict]:
        """Look again at what was left, and judge the jobs that can be judged; `held`: UUIDs."""
        seen = _devices(snapshot)
        before = dict(self._left)
        self._look_again(seen, held)
        verdicts = [
            verdict
            for ended in tuple(self._ended.values())
            if (verdict := self._judge(ended, seen, held, snapshot.time_s)) is not None
        ]
        waiting = {uuid for ended in self._ended.values() for uuid in ended.uuids}
        for uuid, device in seen.items():
            known = device.unexplained_bytes
            if known is not None and uuid not in {*held, *waiting, *self._left}:
                self._before[uuid] = known
        if self._left != before:
            self._save()
        return verdicts

    def _look_again(self, seen: Mapping[str, _Seen], held: Collection[str]) -> None:
        for uuid, left in tuple(self._left.items()):
            device = seen.get(uuid)
            alive = any(shim.start_ticks(int(pid)) == ticks for pid, ticks in left.pids.items())
            if device is None or alive:
                continue
            if uuid in held or not self._beyond(uuid, device):
                del self._left[uuid]

    def _judge(
        self, ended: _Ended, seen: Mapping[str, _Seen], held: Collection[str], now_s: float
    ) -> Verdict | None:
        if now_s <= ended.ended_s:
            return None
        settled = now_s >= ended.ended_s + self._settle_s
        found = []
        for uuid in ended.uuids:
            device = seen.get(uuid)
            left = device and self._leftover(ended, uuid, device, settled and uuid not in held)
            if left:
                self._left[uuid] = left
                found.append(left)
        if not found and not settled:
            return None
        del self._ended[ended.job]
        return Verdict(ended.job, "; ".join(left.sentence for left in found))

    def _leftover(self, ended: _Ended, uuid: str, device: _Seen, count_memory: bool) -> Left | None:
        # By the mark in its environment or an ancestor's: without one it is a stranger's.
        processes = [each for each in device.processes if each.job == ended.job]
        if processes:
            held = sum(process.memory_used_bytes or 0 for process in processes)
            pids = {str(each.pid): each.start_ticks or 0 for each in processes}
            return Left(ended.job, device.name, held, people(processes), pids)
        beyond = self._beyond(uuid, device) if count_memory else 0
        return Left(ended.job, device.name, beyond, "no process shows it") if beyond else None

    def _beyond(self, uuid: str, device: _Seen) -> int:
        """Memory that no process shows and that was not there before; 0 where that is unknown."""
        before, now = self._before.get(uuid), device.unexplained_bytes
        if before is None or now is None or now - before < LEAK_BYTES:
            return 0
        return now - before

    def _save(self) -> None:
        document: dict[str, Any] = {
            uuid: {**vars(left), "before_bytes": self._before.get(uuid, 0)}
            for uuid, left in self._left.items()
        }
        with contextlib.suppress(OSError):
            shim.write_json(str(self._directory), FILE, json.loads(json.dumps(document)))


def alive(process: Process) -> bool:
    """False for a process that has ended since it was listed; one that /proc never showed counts."""
    return process.start_ticks is None or shim.start_ticks(process.pid) == process.start_ticks


def _devices(snapshot: Snapshot) -> dict[str, _Seen]:
    seen = {}
    for gpu in snapshot.gpus:
        if gpu.state == "lost":
            continue
        seen[gpu.uuid] = _device(gpu, gpu.processes, f"GPU {gpu.index}", gpu)
        for part in gpu.slices:
            name = f"slice {part.profile} of GPU {gpu.index}"
            seen[part.uuid] = _device(part, part.processes, name, gpu)
    return seen


def _device(holder: Gpu | Slice, listed: Sequence[Process], name: str, gpu: Gpu) -> _Seen:
    processes = tuple(process for process in listed if alive(process))
    used = holder.memory_used_bytes
    held = [process.memory_used_bytes for process in processes]
    if used is None or "processes" in gpu.errors or None in held:
        return _Seen(name, processes, None)
    return _Seen(name, processes, max(0, used - sum(filter(None, held))))


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"
