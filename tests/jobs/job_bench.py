"""A job service over real processes, without an agent around it."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cockpit import codec
from cockpit.agent.jobs import shim
from cockpit.agent.jobs.executor import Executor
from cockpit.agent.jobs.service import JobService
from cockpit.model import BoxInfo, Event, Gpu, GpuInfo, Job, JobRequest, Process, Snapshot
from cockpit.settings import AgentSettings

DEADLINE_S = 30.0

Say = Callable[..., tuple[int, str, str]]
"""Runs a command line: exit code, stdout, stderr."""


def uuid(index: int) -> str:
    return f"GPU-{index:08d}"


def box(count: int = 4, price: float | None = None) -> BoxInfo:
    gpus = tuple(GpuInfo(index, uuid(index), "H100") for index in range(count))
    return BoxInfo("test", "simulated", None, count, gpus, price_per_kwh=price)


def snapshot(
    count: int = 4,
    time_s: float | None = None,
    energy_j: float | None = None,
    lost: tuple[int, ...] = (),
    critical: tuple[int, ...] = (),
    external: tuple[int, ...] = (),
) -> Snapshot:
    return Snapshot(
        time.time() if time_s is None else time_s,
        tuple(
            Gpu(
                index,
                uuid(index),
                "H100",
                state="lost" if index in lost else "critical" if index in critical else "ok",
                energy_j=energy_j,
                processes=(Process(4242, "someone"),) if index in external else (),
            )
            for index in range(count)
        ),
    )


async def until(condition: Callable[[], Any], what: str = "the condition") -> Any:
    """Wait for something to become true; the deadline only ends a test that fails."""
    deadline = time.monotonic() + DEADLINE_S
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} never came true"
        await asyncio.sleep(0.01)
    return value


def alive(pid: int) -> bool:
    return shim.start_ticks(pid) is not None


class Bench:
    """A service and what it published; `restart` is what a new agent would do."""

    def __init__(self, directory: Path, executor: Executor | None = None) -> None:
        self.directory = directory
        self.executor = executor
        self.settings = AgentSettings()
        self.published: list[Job] = []
        self.events: list[Event] = []
        self.service = self._make()

    def _make(self) -> JobService:
        return JobService(
            self.directory,
            "test",
            self.published.append,
            self.events.append,
            self.executor,
            settings=self.settings,
        )

    async def start(self, observed: bool = True) -> None:
        await self.service.start()
        if observed:
            self.service.observe(box(), snapshot())

    def observe(self) -> None:
        """The box is read once more: every GPU is there and nobody uses one."""
        self.service.observe(box(), snapshot())

    async def restart(self, observed: bool = True, settings: AgentSettings | None = None) -> None:
        await self.service.close()
        self.settings = settings or self.settings
        self.service = self._make()
        await self.start(observed)

    async def call(self, method: str, **params: Any) -> Any:
        return await self.service.methods[method](params)

    async def submit(self, *command: str, **options: Any) -> Job:
        options.setdefault("gpus", 0)
        request = JobRequest(options.pop("name", "work"), command, **options)
        return await self.service.methods["job.submit"](_plain(request))

    async def show(self, job: Job) -> Job:
        return await self.call("job.show", id=job.id)

    async def stop(self, job: Job, grace_s: float = 10.0) -> Job:
        return await self.call("job.stop", id=job.id, grace_s=grace_s)

    async def reach(self, job: Job, *states: str) -> Job:
        """The job once it is in one of `states`."""
        deadline = time.monotonic() + DEADLINE_S
        while (now := await self.show(job)).state not in states:
            assert time.monotonic() < deadline, f"still {now.state} ({now.reason}): {self.log(job)}"
            await asyncio.sleep(0.01)
        return now

    async def end(self, job: Job) -> Job:
        return await self.reach(job, "COMPLETED", "FAILED", "CANCELLED", "LOST")

    def path(self, job: Job, name: str) -> Path:
        return self.directory / job.id / name

    def log(self, job: Job) -> str:
        return self.path(job, "output.log").read_text()

    def status(self, job: Job) -> dict[str, Any]:
        return shim.read_json(str(self.path(job, "status.json"))) or {}

    async def all_log(self, job: Job) -> bytes:
        """Every byte of the log that is kept, as a reader gets it by `job.log`."""
        found, offset = b"", 0
        while True:
            answer = await self.call("job.log", id=job.id, offset=offset, limit=1 << 20)
            found += base64.b64decode(answer["data"])
            offset = answer["end"]
            if offset >= answer["size"]:
                return found

    async def pid_in_log(self, job: Job) -> int:
        """The number that a job's command printed first."""
        text = await until(lambda: self.log(job).endswith("\n") and self.log(job), "a printed pid")
        return int(text.split()[0])

    async def stop_all(self) -> None:
        """Leave no process behind, and nothing that still writes into the directory."""
        for job in (await self.call("job.list"))["jobs"]:
            await self.stop(job, grace_s=0.0)


def _plain(request: JobRequest) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(codec.dumps(request))
    return value
