"""Where the agent's control group is delegated, a job has one of its own that ends with it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from job_bench import Bench, alive, until

from cockpit.agent.jobs.executor import LocalExecutor
from cockpit.agent.jobs.shim import read_json
from cockpit.agent.jobs.shim.cgroup import Group, delegated

HIDDEN = "env -i setsid sleep 600 > /dev/null 2>&1 & echo $!; sleep 600"
"""Leaves a process that neither its session, nor its environment, nor its output tells of."""


@pytest.fixture
def parent() -> Iterator[Path]:
    """A real group for the groups of jobs."""
    own = delegated()
    if own is None:
        pytest.skip("the control group of these tests is not delegated (cgroup v2, writable)")
    path = Path(own) / f"cockpit-test-{os.getpid()}"
    path.mkdir()
    yield path
    Group(str(path)).remove()


@pytest.fixture
async def grouped(short_tmp: Path, parent: Path) -> AsyncIterator[Bench]:
    bench = Bench(short_tmp / "jobs", LocalExecutor(cgroup=str(parent)))
    await bench.start()
    yield bench
    await bench.stop_all()
    await bench.service.close()


def groups(parent: Path) -> list[Path]:
    return [path for path in parent.iterdir() if path.is_dir()]


async def test_a_job_has_a_group_with_all_its_processes_and_it_goes_with_the_job(
    grouped: Bench, parent: Path
) -> None:
    job = await grouped.submit("bash", "-c", HIDDEN)
    hidden = await grouped.pid_in_log(job)
    (group,) = groups(parent)
    members = Group(str(group)).members()
    assert hidden in members and grouped.status(job)["pid"] in members
    assert grouped.status(job)["shim_pid"] not in members
    await grouped.stop(job)
    assert not alive(hidden) and not groups(parent)


async def test_when_the_shim_is_killed_the_group_finds_what_hides_from_everything_else(
    grouped: Bench, parent: Path
) -> None:
    job = await grouped.submit("bash", "-c", HIDDEN, gpus=4)
    hidden = await grouped.pid_in_log(job)
    os.kill(grouped.status(job)["shim_pid"], signal.SIGKILL)
    assert (await grouped.end(job)).state == "LOST"
    assert not alive(hidden) and not groups(parent)


async def test_a_job_that_forks_without_end_is_killed_at_once(grouped: Bench) -> None:
    script = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(os.getpid(), flush=True)
while True:
    if os.fork():
        time.sleep(0.002)
        os._exit(0)
"""
    job = await grouped.submit(sys.executable, "-c", script)
    await grouped.pid_in_log(job)
    assert (await grouped.stop(job, grace_s=0.1)).state == "CANCELLED"


async def test_groups_that_a_job_makes_below_its_own_go_too(grouped: Bench, parent: Path) -> None:
    script = (
        f'group=$(echo {parent}/cockpit-job-*); mkdir "$group/inner";'
        ' echo 0 > "$group/inner/cgroup.procs"; echo $$; sleep 600'
    )
    job = await grouped.submit("bash", "-c", script)
    await grouped.pid_in_log(job)
    await grouped.stop(job)
    assert not groups(parent)


async def test_without_a_group_a_job_runs_as_well(short_tmp: Path) -> None:
    bench = Bench(short_tmp / "jobs", LocalExecutor(cgroup=str(short_tmp / "no" / "such")))
    await bench.start()
    assert (await bench.end(await bench.submit("true"))).state == "COMPLETED"
    await bench.service.close()
    bench = Bench(short_tmp / "jobs", LocalExecutor(cgroup=None))
    await bench.start()
    job = await bench.end(await bench.submit("true"))
    start = await until(lambda: read_json(str(bench.path(job, "start.json"))))
    assert job.state == "COMPLETED" and start["cgroup"] is None
    await bench.service.close()
