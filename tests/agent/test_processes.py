"""Telling who a pid is, against real processes."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from cockpit.agent.telemetry.processes import ProcessTable

BUSY_THEN_WAIT = """
import subprocess, sys, time
end = time.process_time() + 0.2
while time.process_time() < end:
    pass
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], env={})
print(child.pid, flush=True)
sys.stdin.read()
child.kill()
child.wait()
"""


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def job() -> Iterator[tuple[int, int]]:
    """The pids of a job's process and of its child, whose own environment is empty."""
    process = subprocess.Popen(
        [sys.executable, "-c", BUSY_THEN_WAIT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "COCKPIT_JOB_ID": "41"},
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    yield process.pid, int(process.stdout.readline())
    process.stdin.close()
    process.wait(20)
    process.stdout.close()


def test_a_process_is_told_with_its_user_command_and_job(job: tuple[int, int]) -> None:
    process = ProcessTable().describe(job[0], 5 << 30, "compute")
    assert process.pid == job[0]
    assert process.user == pwd.getpwuid(os.getuid()).pw_name
    assert process.mine
    assert process.job == "41"
    assert process.memory_used_bytes == 5 << 30
    assert process.kind == "compute"
    assert process.command is not None
    assert process.command.startswith(sys.executable)
    assert len(process.command) <= 200


def test_a_grandchild_with_an_empty_environment_belongs_to_its_ancestors_job(
    job: tuple[int, int],
) -> None:
    table = ProcessTable()
    assert table.describe(job[1], None, "compute").job == "41"
    assert table.describe(os.getpid(), None, "compute").job != "41"


def test_the_tree_holds_every_descendant_and_their_cpu_time(job: tuple[int, int]) -> None:
    table = ProcessTable()
    assert list(table.tree(job[0])) == list(job)
    assert table.tree_cpu_seconds(job[0]) >= 0.15
    assert table.tree_cpu_seconds(job[1]) < table.tree_cpu_seconds(job[0])


def test_a_process_that_is_gone_is_told_by_its_pid_alone() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    table = ProcessTable()
    process = table.describe(gone.pid, None, "graphics")
    assert (process.pid, process.kind) == (gone.pid, "graphics")
    assert process.command is None
    assert process.user is None
    assert not process.mine
    assert table.tree(gone.pid) == {}
    assert table.tree_cpu_seconds(gone.pid) == 0


def test_a_young_process_that_calls_exec_is_told_by_its_new_command() -> None:
    process = subprocess.Popen(
        ["sh", "-c", "read line; exec sleep 60"], stdin=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    table = ProcessTable()
    try:
        until(lambda: "read" in (table.describe(process.pid, None, "compute").command or ""))
        process.stdin.write("go\n")
        process.stdin.flush()
        until(lambda: table.describe(process.pid, None, "compute").command == "sleep 60")
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
