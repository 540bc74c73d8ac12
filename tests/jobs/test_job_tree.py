"""Stopping a job ends every process it started, however it tries to stay."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from job_bench import Bench, alive

from cockpit.agent.jobs.executor import LocalExecutor
from cockpit.agent.jobs.shim import child


@pytest.fixture
async def plain(short_tmp: Path) -> AsyncIterator[Bench]:
    """A service whose jobs have no control group: processes are found by descent alone."""
    bench = Bench(short_tmp / "jobs", LocalExecutor(cgroup=None))
    await bench.start()
    yield bench
    await bench.stop_all()
    await bench.service.close()


DAEMON = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.environ.clear()
        print(os.getpid(), flush=True)
        time.sleep(600)
    os._exit(0)
os.wait()
time.sleep(600)
"""
TRACED = """
import ctypes, os, signal, time
child = os.fork()
if child == 0:
    ctypes.CDLL(None).ptrace(0, 0, 0, 0)
    os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(600)
os.waitpid(child, os.WUNTRACED)
print(child, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize(
    "command",
    [
        (sys.executable, "-c", DAEMON),
        (sys.executable, "-c", TRACED),
        ("bash", "-c", "sleep 600 & kill -STOP $!; echo $!; sleep 600"),
        ("bash", "-c", "(trap '' TERM; setsid nohup sleep 600 & echo $!); sleep 600"),
    ],
    ids=["a daemon without environment", "a traced child", "a stopped child", "no SIGTERM"],
)
async def test_everything_is_gone_after_the_grace(plain: Bench, command: tuple[str, ...]) -> None:
    job = await plain.submit(*command)
    pid = await plain.pid_in_log(job)
    assert alive(pid)
    assert (await plain.stop(job, grace_s=0.3)).state == "CANCELLED"
    assert not alive(pid)


async def test_a_daemon_that_a_job_leaves_behind_ends_with_it(plain: Bench) -> None:
    script = DAEMON.replace("os.wait()\ntime.sleep(600)", "os.wait()")
    job = await plain.submit(sys.executable, "-c", script)
    pid = await plain.pid_in_log(job)
    await plain.reach(job, "COMPLETING")
    assert (await plain.stop(job, grace_s=0.0)).state == "CANCELLED"
    assert not alive(pid)


async def test_when_the_shim_is_killed_what_hides_its_environment_is_found_by_its_log(
    plain: Bench,
) -> None:
    job = await plain.submit("bash", "-c", "env -i setsid sleep 600 & echo $!; sleep 600", gpus=4)
    pid = await plain.pid_in_log(job)
    os.kill(plain.status(job)["shim_pid"], signal.SIGKILL)
    assert (await plain.end(job)).state == "LOST"
    assert not alive(pid)


async def test_a_job_with_a_damaged_start_fails_and_says_so(plain: Bench) -> None:

    class Damaging(LocalExecutor):
        def _plain(self, *arguments: object) -> dict[str, object]:
            return {}

    plain.executor = Damaging(cgroup=None)
    await plain.restart()
    job = await plain.end(await plain.submit("true"))
    assert (job.state, job.reason) == ("FAILED", "its start.json cannot be read")


class ToldToEnd:
    """In place of a cgroup: a job's process that is signalled the moment it exists."""

    def enter(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_process_that_is_told_to_end_before_its_command_runs_ends(tmp_path: Path) -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    try:
        stage = {"command": ["touch", "ran"], "directory": str(tmp_path)}
        pid, told = child.spawn(str(tmp_path), stage, {}, ToldToEnd())  # type: ignore[arg-type]
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == -signal.SIGTERM
        assert child.problem(told) == "" and not (tmp_path / "ran").exists()
        os.kill(os.getpid(), signal.SIGTERM)
        assert heard == [signal.SIGTERM], "the shim itself hears of it as before"
    finally:
        signal.signal(signal.SIGTERM, before)
