"""The load that real jobs put on the GPUs that they were given, from the CPU time of their trees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cockpit.agent.telemetry.processes import ProcessStat, ProcessTable, cpu_seconds
from cockpit.agent.telemetry.simulated.cards import MIB
from cockpit.agent.telemetry.simulated.load import Load
from cockpit.agent.telemetry.source import JobLoad
from cockpit.model import Process

_CONTEXT_BYTES = 520 * MIB
"""What CUDA takes on a GPU for one process before it allocates anything."""


@dataclass(frozen=True)
class _Seen:
    time_s: float
    cpu_seconds: float
    share: float
    """Busy share of one core, as last measured."""


class JobLoads:
    """Turns running jobs into loads, by GPU or slice UUID."""

    def __init__(self, processes: ProcessTable) -> None:
        self._processes = processes
        self._seen: dict[str, _Seen] = {}

    def read(self, jobs: Sequence[JobLoad], now_s: float) -> dict[str, list[Load]]:
        """Called once a sample; a job's share of a core is that since the sample before."""
        loads: dict[str, list[Load]] = {}
        for job in jobs:
            tree = self._processes.tree(job.pid)
            if not tree or not job.gpus:
                continue
            load = self._load(job, tree, now_s)
            for uuid in job.gpus:
                loads.setdefault(uuid, []).append(load)
        running = {job.job for job in jobs}
        self._seen = {job: seen for job, seen in self._seen.items() if job in running}
        return loads

    def _load(self, job: JobLoad, tree: dict[int, ProcessStat], now_s: float) -> Load:
        share = self._share(job.job, cpu_seconds(tree.values()), now_s)
        processes = tuple(self._process(job, pid, tree[pid]) for pid in _workers(tree))
        return Load(
            busy=share,
            sm=0.94 * share,
            occupancy=0.55 * share,
            tensor=0.20 * share,
            dram=0.78 * share,
            pcie_rx=2.4e9 * share,
            pcie_tx=0.9e9 * share,
            nvlink_rx=11e9 * share if len(job.gpus) > 1 else 0.0,
            nvlink_tx=11e9 * share if len(job.gpus) > 1 else 0.0,
            memory_bytes=sum(process.memory_used_bytes or 0 for process in processes),
            processes=processes,
        )

    def _share(self, job: str, spent_s: float, now_s: float) -> float:
        before = self._seen.get(job)
        if before is None:
            share = 0.0
        elif now_s <= before.time_s:
            return before.share
        else:
            # A child that ends without being waited for takes its CPU time with it.
            more_s = max(0.0, spent_s - before.cpu_seconds)
            share = min(1.0, more_s / (now_s - before.time_s))
        self._seen[job] = _Seen(now_s, spent_s, share)
        return share

    def _process(self, job: JobLoad, pid: int, stat: ProcessStat) -> Process:
        held = _CONTEXT_BYTES + stat.resident_bytes // len(job.gpus)
        process = self._processes.describe(pid, held, "compute")
        return process if process.job == job.job else replace(process, job=job.job)


def _workers(tree: dict[int, ProcessStat]) -> list[int]:
    """Those of a job's processes that would be on a GPU: not the shells and launchers above them.

    A process is taken for a launcher when it has children and hardly any CPU time of its own.
    """
    parents = {stat.parent for stat in tree.values()}
    most_s = max(stat.cpu_seconds for stat in tree.values())
    return [
        pid
        for pid, stat in tree.items()
        if stat.resident_bytes and (pid not in parents or stat.cpu_seconds > 0.2 * most_s > 0.02)
    ]
