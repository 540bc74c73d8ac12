"""The load on the simulated box follows the real processes of its jobs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from simulated_box import Box

from cockpit.agent.telemetry.processes import ProcessTable
from cockpit.agent.telemetry.source import JobLoad

BUSY = "import sys\nprint('up', flush=True)\nwhile True: pass"
PARENT = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {BUSY!r}])
sys.stdin.read()
child.kill()
child.wait()
"""


@pytest.fixture
def busy_job() -> Iterator[int]:
    """The pid of a process whose child keeps a core busy."""
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "COCKPIT_JOB_ID": "41"},
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdout.readline()
    yield process.pid
    process.stdin.close()
    process.wait(20)
    process.stdout.close()


def wait_for_cpu(pid: int, seconds: float) -> None:
    table = ProcessTable()
    target = table.tree_cpu_seconds(pid) + seconds
    deadline = time.monotonic() + 30
    while table.tree_cpu_seconds(pid) < target:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_busy_process_tree_loads_its_gpu_and_no_other(busy_job: int) -> None:
    box = Box(gpu_count=4)
    idle = box.sample().gpus[1]
    box.jobs = [JobLoad("41", busy_job, (box.info.gpus[1].uuid,))]
    box.sample()
    wait_for_cpu(busy_job, 0.3)
    # The clock of the box says that all of this happened in 0.3 s: a full core.
    gpus = box.sample(0.3).gpus
    gpu = box.gpu(1, 0.0)
    assert (gpus[1].utilization_percent or 0) >= 95
    assert (gpus[1].sm_active_percent or 0) > 85
    assert (gpu.memory_used_bytes or 0) > (idle.memory_used_bytes or 0) + (500 << 20)
    assert (gpus[1].power_w or 0) > (idle.power_w or 0) + 20
    for other in (0, 2, 3):
        assert gpus[other].utilization_percent == 0
        assert gpus[other].processes == ()


def test_its_processes_are_the_real_ones_that_work_not_their_launcher(busy_job: int) -> None:
    box = Box(gpu_count=2)
    box.jobs = [JobLoad("41", busy_job, (box.info.gpus[0].uuid,))]
    wait_for_cpu(busy_job, 0.5)
    gpu = box.gpu(0)
    launcher, worker = ProcessTable().tree(busy_job)
    assert [process.pid for process in gpu.processes] == [worker]
    assert launcher == busy_job
    process = gpu.processes[0]
    assert process.job == "41"
    assert process.mine
    assert process.memory_used_bytes is not None
    assert process.memory_used_bytes <= (gpu.memory_used_bytes or 0)


def test_half_a_core_is_half_a_load(busy_job: int) -> None:
    box = Box(gpu_count=2)
    box.jobs = [JobLoad("41", busy_job, (box.info.gpus[0].uuid,))]
    table = ProcessTable()
    box.sample()
    before_s = table.tree_cpu_seconds(busy_job)
    wait_for_cpu(busy_job, 0.3)
    spent_s = table.tree_cpu_seconds(busy_job) - before_s
    busy = box.gpu(0, 2 * spent_s).utilization_percent or 0
    assert 35 <= busy <= 70


def test_a_job_that_ended_leaves_its_gpu_free(busy_job: int) -> None:
    box = Box(gpu_count=2)
    box.jobs = [JobLoad("41", busy_job, (box.info.gpus[0].uuid,))]
    box.sample()
    box.jobs = []
    gpu = box.gpu(0)
    assert gpu.processes == ()
    assert (gpu.memory_used_bytes or 0) < 16 << 20
    assert "idle" in gpu.throttle_reasons


def test_a_job_on_a_slice_shows_on_that_slice(busy_job: int) -> None:
    box = Box(demo=True)
    target = box.gpu(8).slices[2]
    box.jobs = [JobLoad("41", busy_job, (target.uuid,))]
    gpu = box.gpu(8)
    found = [each for each in gpu.slices if any(p.job == "41" for p in each.processes)]
    assert [each.uuid for each in found] == [target.uuid]
    assert any(process.job == "41" for process in gpu.processes)


def test_a_job_whose_process_is_gone_loads_nothing() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    box = Box(gpu_count=2)
    box.jobs = [JobLoad("9", gone.pid, (box.info.gpus[0].uuid,))]
    assert box.gpu(0).processes == ()
