"""One shim is loaded before there is a job for it: it takes the next job, and never stays behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from job_bench import Bench, alive, until

from cockpit.agent.jobs.executor import LocalExecutor
from cockpit.agent.jobs.spare import Spares, Waiting

AGENT = """
import sys, time
from cockpit.agent.jobs.spare import Waiting
waiting = Waiting()
print(waiting.process.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def executor() -> LocalExecutor:
    return LocalExecutor(cgroup=None)


def waiting_of(executor: LocalExecutor) -> Waiting | None:
    return executor._spares._waiting


async def test_the_next_job_is_given_to_the_shim_that_waits(
    short_tmp: Path, executor: LocalExecutor
) -> None:
    bench = Bench(short_tmp / "jobs", executor)
    await bench.start()
    first = await bench.end(await bench.submit("true"))
    waiting: Waiting = await until(lambda: waiting_of(executor), "a shim that waits")
    second = await bench.end(await bench.submit("sh", "-c", "cat /proc/$PPID/comm"))
    assert first.state == second.state == "COMPLETED"
    assert bench.status(second)["shim_pid"] == waiting.process.pid
    assert bench.log(second) == f"cockpit {second.id}\n"
    await bench.service.close()


async def test_a_waiting_shim_that_was_killed_costs_no_job(
    short_tmp: Path, executor: LocalExecutor
) -> None:
    bench = Bench(short_tmp / "jobs", executor)
    await bench.start()
    await bench.end(await bench.submit("true"))
    waiting: Waiting = await until(lambda: waiting_of(executor), "a shim that waits")
    os.kill(waiting.process.pid, signal.SIGKILL)
    await until(lambda: not alive(waiting.process.pid), "its death")
    job = await bench.end(await bench.submit("true"))
    assert job.state == "COMPLETED"
    await bench.service.close()


async def test_the_waiting_shim_ends_with_the_service(
    short_tmp: Path, executor: LocalExecutor
) -> None:
    bench = Bench(short_tmp / "jobs", executor)
    await bench.start()
    await bench.end(await bench.submit("true"))
    waiting: Waiting = await until(lambda: waiting_of(executor), "a shim that waits")
    await bench.service.close()
    assert waiting.process.returncode == 0


async def test_the_waiting_shim_ends_with_an_agent_that_is_killed() -> None:
    agent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", AGENT, stdout=subprocess.PIPE
    )
    assert agent.stdout is not None
    pid = int(await agent.stdout.readline())
    assert alive(pid)
    agent.kill()
    await agent.wait()
    await until(lambda: not alive(pid), "the end of the shim that waited")


def test_no_more_than_one_waits() -> None:
    spares = Spares()
    spares.prepare()
    waiting = spares._waiting
    spares.prepare()
    assert spares._waiting is waiting
    spares.close()
    spares.close()
