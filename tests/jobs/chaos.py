"""Chaos on a simulated box: real agents, shims, jobs and clients, killed at random.

`python tests/jobs/chaos.py [--rounds N] [--seed N]` plays N rounds in a private directory and says
what did not hold; the same seed makes the same choices again. See `chaos_truth.py` for what holds.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from chaos_truth import Truth, left

from cockpit import paths, protocol
from cockpit.agent.jobs import shim
from cockpit.client import Box
from cockpit.errors import BoxError
from cockpit.model import ENDED_STATES, Job, JobRequest
from cockpit.settings import AgentSettings
from cockpit.transports.local import LocalTransport

T = TypeVar("T")

GPUS = 10
ALIVE_MOST = 30
"""Jobs that may wait or run at once; with more, the oldest long ones are stopped."""
SETTLE_EVERY = 100
PATIENCE_S = 90.0
LINES = 400

# Holds a lock on every GPU it was given, and so does whatever it leaves behind: a GPU that is given
# away while any process of an earlier job lives is found out here, by nothing that cockpit says.
WRAPPER = """
mode=$1; shift; IFS=,
for gpu in $CUDA_VISIBLE_DEVICES; do
    exec {held}>>"$CHAOS/$gpu"
    flock -n "$mode" "$held" || echo "job $COCKPIT_JOB_ID was given $gpu too" >> "$CHAOS/violations"
done
unset IFS
"""
COUNT = f"for ((i = 0; i < {LINES}; i++)); do echo line $i; done"
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "short": ("echo line 0", {}),
    "failing": ("exit 3", {}),
    "counting": (COUNT, {}),
    "long": ("sleep 600", {}),
    "stubborn": ("trap '' TERM; while :; do sleep 0.1; done", {}),
    "daemon": ("(trap '' TERM; env -i setsid sleep 600 & ) ; (setsid sleep 600 &) ; exit 0", {}),
    "reporting": (
        """for i in 1 2 3; do echo '{"type": "metrics", "step": '$i', "time_s": 1,"""
        """ "values": {"loss": 1}}' >> $COCKPIT_EVENTS; done""",
        {},
    ),
    "limited": ("sleep 600", {"time_limit_s": 0.4}),
    "again": ("[ -e again ] || { touch again; exit 4; }", {"retries": 1}),
    "array": ("echo line 0", {"array": (3, 5, 8), "array_parallel": 2}),
    "sharing": ("sleep 0.2", {"shared": True, "gpu_memory_bytes": 20 << 30}),
}
ENDLESS = ("long", "stubborn")
WEIGHTS = {"short": 6, "counting": 6, "long": 4, "again": 1}


@dataclass
class Submitted:
    """One request, what was answered, and what was done to its jobs."""

    kind: str
    token: str
    ids: tuple[str, ...] = ()
    disturbed: set[str] = field(default_factory=set)
    """`stop`, `shim` or `job`: its end may then be another than the one by nature."""


class Chaos:
    """A box in the private directories that XDG_* name, and a seeded source of trouble."""

    def __init__(self, seed: int, directory: Path) -> None:
        self.random = random.Random(seed)
        self.directory = directory
        self.locks = directory / "chaos"
        self.locks.mkdir()
        settings = AgentSettings(name="chaos", source="simulated", interval_s=0.5)
        self.transport = LocalTransport(settings)
        self.box = Box(self.transport)
        self.jobs_directory = paths.box_state_dir("chaos") / "jobs"
        self.submitted: list[Submitted] = []
        self.counts: dict[str, int] = {}

    async def run(self, rounds: int) -> dict[str, int]:
        """Play; how often each trouble was made. Raises AssertionError with what did not hold."""
        try:
            await self.patiently(self.box.connect)
            for number in range(1, rounds + 1):
                await self._round()
                if number % SETTLE_EVERY == 0 or number == rounds:
                    await self._settle()
            return self.counts
        finally:
            await self.box.close()
            await self.transport.end()
            # What a fault has left behind, if there was one.
            for pid in left(self.jobs_directory):
                send(pid, signal.SIGKILL)

    async def patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """What `call` returns, however many agents die over it."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return await call()
            except BoxError as error:
                if error.code or time.monotonic() > deadline:
                    raise
            await asyncio.sleep(0.02)

    async def _round(self) -> None:
        for _ in range(self.random.choice((0, 1, 1, 2))):
            await self._submit()
        troubles = (
            self._kill_agent,
            self._kill_shim,
            self._kill_shim,
            self._kill_job,
            self._stop_jobs,
            self._restart_agent,
            self._kill_client,
        )
        await asyncio.sleep(self.random.choice((0.0, 0.01, 0.05, 0.15)))
        trouble = self.random.choice(troubles)
        await trouble()
        name = trouble.__name__.strip("_")
        self.counts[name] = self.counts.get(name, 0) + 1
        await self._make_room()

    # Work

    def _request(self) -> tuple[Submitted, JobRequest]:
        kind = self.random.choices(list(KINDS), [WEIGHTS.get(kind, 2) for kind in KINDS])[0]
        script, options = KINDS[kind]
        gpus = self.random.choice((0, 1, 1, 2, 3, 5, GPUS))
        if options.get("shared"):
            gpus = 1
        submitted = Submitted(kind, f"{self.random.getrandbits(64):016x}")
        mode = "-s" if options.get("shared") else "-x"
        request = JobRequest(
            name=kind,
            command=("bash", "-c", WRAPPER + script, "chaos", mode),
            gpus=gpus,
            environment={"CHAOS": str(self.locks), "PATH": os.environ["PATH"]},
            token=submitted.token,
            priority=self.random.choice((0, 0, 0, 5)),
        )
        return submitted, replace(request, **options)

    async def _submit(self) -> None:
        submitted, request = self._request()
        job = await self.patiently(lambda: self.box.submit(request))
        await self._note(submitted, job)

    async def _note(self, submitted: Submitted, job: Job) -> None:
        first, size = int(job.id), job.array.size if job.array else 1
        submitted.ids = tuple(str(number) for number in range(first, first + size))
        self.submitted.append(submitted)

    # Trouble

    def _agent(self) -> int | None:
        try:
            text = (paths.runtime_dir() / "agent-chaos.lock").read_text().strip()
        except OSError:
            return None
        return int(text) if text.isdigit() else None

    async def _kill_agent(self) -> None:
        """At once, or while it is busy with a submission whose answer then never comes."""
        agent = self._agent()
        if agent is None:
            return
        if self.random.random() < 0.5:
            submitted, request = self._request()
            asking = asyncio.create_task(self.box.submit(request))
            await asyncio.sleep(self.random.uniform(0.0, 0.03))
            send(agent, signal.SIGKILL)
            await asyncio.gather(asking, return_exceptions=True)
            job = await self.patiently(lambda: self.box.submit(request))
            await self._note(submitted, job)
        else:
            send(agent, signal.SIGKILL)

    async def _restart_agent(self) -> None:
        agent = self._agent()
        if agent is not None:
            send(agent, signal.SIGTERM)

    async def _kill_client(self) -> None:
        """A client that dies right after it has asked; it, or another, asks again."""
        submitted, request = self._request()
        streams = await self.transport.connect()
        if streams is not None:
            _, writer = streams
            writer.write(protocol.encode_request("job.submit", request, 1))
            await asyncio.sleep(self.random.choice((0.0, 0.001, 0.01)))
            writer.transport.abort()
        job = await self.patiently(lambda: self.box.submit(request))
        await self._note(submitted, job)

    async def _kill_shim(self) -> None:
        self._kill("shim_pid", "shim_start_ticks", "shim")

    async def _kill_job(self) -> None:
        self._kill("pid", "pid_start_ticks", "job")

    def _kill(self, pid: str, ticks: str, what: str) -> None:
        found = self._alive()
        if not found:
            return
        submitted, job_id = self.random.choice(found)
        status = shim.read_json(str(self.jobs_directory / job_id / "status.json")) or {}
        victim = status.get(pid)
        if victim is not None and shim.start_ticks(victim) == status.get(ticks):
            submitted.disturbed.add(what)
            send(victim, signal.SIGKILL)

    async def _stop_jobs(self) -> None:
        found = self._alive()
        for submitted, job_id in self.random.sample(found, min(2, len(found))):
            await self._stop(submitted, job_id)

    async def _stop(self, submitted: Submitted, job_id: str) -> None:
        submitted.disturbed.add("stop")
        grace_s = self.random.choice((0.0, 0.1, 0.3))
        await self.patiently(lambda: self.box.stop_job(job_id, grace_s))

    def _alive(self) -> list[tuple[Submitted, str]]:
        """Those that have not ended, as their directories say."""
        return [
            (submitted, job_id)
            for submitted in self.submitted
            for job_id in submitted.ids
            if "ended_s" not in (self._status(job_id) or {})
        ]

    def _status(self, job_id: str) -> dict[str, Any] | None:
        return shim.read_json(str(self.jobs_directory / job_id / "status.json"))

    async def _make_room(self) -> None:
        alive = self._alive()
        if len(alive) > ALIVE_MOST:
            for submitted, job_id in alive:
                if submitted.kind in (*ENDLESS, "daemon"):
                    await self._stop(submitted, job_id)

    # Truth

    async def _settle(self) -> None:
        """Let everything come to its end, and see whether what should be true is."""
        for submitted, job_id in self._alive():
            if submitted.kind in (*ENDLESS, "daemon"):
                await self._stop(submitted, job_id)
        deadline = time.monotonic() + PATIENCE_S
        while left := [j for j in await self._jobs() if j.state not in ENDED_STATES]:
            words = "; ".join(f"{job.id} {job.name} {job.state} ({job.reason})" for job in left)
            assert time.monotonic() < deadline, f"these jobs never ended: {words}"
            await asyncio.sleep(0.1)
        full = JobRequest("full", ("true",), gpus=GPUS, token=f"full-{len(self.submitted)}")
        job = await self.patiently(lambda: self.box.submit(full))
        while (job := await self.patiently(lambda: self.box.job(job.id))).state != "COMPLETED":
            words = f"a job on the whole box is {job.state}: {job.reason}"
            assert job.state not in ENDED_STATES and time.monotonic() < deadline, words
            await asyncio.sleep(0.05)
        truth = Truth(self.jobs_directory, self.locks, self._agent())
        before = await self._jobs()
        problems = truth.problems(before, self.submitted)
        assert not problems, "\n".join(problems)
        await self._restart_agent()
        after = await self._jobs()
        states = [[(job.id, job.state, job.exit_code) for job in jobs] for jobs in (before, after)]
        assert states[0] == states[1], "another agent tells another story"

    async def _jobs(self) -> tuple[Job, ...]:
        return await self.patiently(self.box.jobs)


def send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill agents, shims, jobs and clients at random.")
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    options = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="ckc-", dir="/tmp"))
    for name in ("RUNTIME_DIR", "STATE_HOME", "CONFIG_HOME", "CACHE_HOME"):
        (directory / name).mkdir(mode=0o700)
        os.environ[f"XDG_{name}"] = str(directory / name)
    print(f"seed {options.seed}, {options.rounds} rounds in {directory}", flush=True)
    begun = time.monotonic()
    try:
        counts = asyncio.run(Chaos(options.seed, directory).run(options.rounds))
    except AssertionError as error:
        print(f"seed {options.seed} after {time.monotonic() - begun:.0f} s:\n{error}")
        print(f"left in {directory}: see what happened there")
        return 1
    shutil.rmtree(directory, ignore_errors=True)
    print(f"all of it held, {time.monotonic() - begun:.0f} s: {counts}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
