"""After a job has ended: whether its GPUs are truly free, and what is said and done if not."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from job_bench import snapshot, uuid

from cockpit.agent.jobs import shim
from cockpit.agent.jobs.leaks import LeakWatch, Verdict
from cockpit.model import Process, Snapshot

GIB = 1 << 30
SETTLE_S = 5.0


def seen(time_s: float, used: int = 0, processes: tuple[Process, ...] = ()) -> Snapshot:
    """GPU 0 with this on it; GPU 1 is empty."""
    gpus = snapshot(2).gpus
    first = replace(gpus[0], memory_used_bytes=used, processes=processes)
    return Snapshot(time_s, (first, replace(gpus[1], memory_used_bytes=0)))


@pytest.fixture
def watch(tmp_path: Path) -> LeakWatch:
    watch = LeakWatch(tmp_path, SETTLE_S)
    watch.observe(seen(90.0), ())
    return watch


@pytest.fixture
def leftover() -> Iterator[Process]:
    child = subprocess.Popen(["sleep", "600"])
    yield Process(child.pid, "ana", None, 2 * GIB, job="7", start_ticks=shim.start_ticks(child.pid))
    child.kill()
    child.wait()


def test_a_process_of_the_job_that_lives_on_is_named_until_it_is_gone(
    watch: LeakWatch, leftover: Process, tmp_path: Path
) -> None:
    watch.ended("7", (uuid(0), uuid(1)), 100.0)
    (verdict,) = watch.observe(seen(101.0, 2 * GIB, (leftover,)), ())
    assert verdict == Verdict("7", f"left 2.0 GiB on GPU 0 (pid {leftover.pid} of ana)")
    assert watch.words == {uuid(0): f"2.0 GiB of job 7: pid {leftover.pid} of ana"}
    later = LeakWatch(tmp_path, SETTLE_S)
    later.load()
    assert later.words == watch.words
    os.kill(leftover.pid, 9)
    os.waitpid(leftover.pid, 0)
    for each in (watch, later):
        each.observe(seen(102.0, 0, (leftover,)), ())
        assert each.words == {}


def test_what_an_old_list_of_processes_still_shows_is_no_leak(watch: LeakWatch) -> None:
    gone = subprocess.Popen(["true"])
    ticks = shim.start_ticks(gone.pid) or 1
    gone.wait()
    dead = Process(gone.pid, "ana", None, 2 * GIB, job="7", start_ticks=ticks)
    watch.ended("7", (uuid(0),), 100.0)
    assert watch.observe(seen(100.5, 2 * GIB, (dead,)), ()) == []
    assert watch.words == {}
    assert watch.observe(seen(106.0), ()) == [Verdict("7", "")]


def test_memory_that_no_process_shows_counts_once_the_list_is_new_and_until_it_drops(
    watch: LeakWatch,
) -> None:
    watch.ended("7", (uuid(0),), 100.0)
    assert watch.observe(seen(101.0, 3 * GIB), ()) == []
    assert watch.words == {}
    assert watch.observe(seen(105.0, 3 * GIB), ()) == [
        Verdict("7", "left 3.0 GiB on GPU 0 (no process shows it)")
    ]
    watch.observe(seen(106.0, 3 * GIB), ())
    assert uuid(0) in watch.words
    watch.observe(seen(107.0, 10 << 20), ())
    assert watch.words == {}


def test_memory_that_was_there_before_the_job_is_not_the_jobs(tmp_path: Path) -> None:
    watch = LeakWatch(tmp_path, SETTLE_S)
    watch.observe(seen(90.0, 3 * GIB), ())
    watch.ended("7", (uuid(0),), 100.0)
    assert watch.observe(seen(106.0, 3 * GIB), ()) == [Verdict("7", "")]


def test_memory_of_the_next_job_on_the_gpu_is_not_the_last_ones(watch: LeakWatch) -> None:
    watch.ended("7", (uuid(0),), 100.0)
    assert watch.observe(seen(106.0, 30 * GIB), {uuid(0)}) == [Verdict("7", "")]


def test_a_reading_from_before_the_end_judges_nothing(watch: LeakWatch) -> None:
    watch.ended("7", (uuid(0),), 100.0)
    assert watch.observe(seen(100.0, 3 * GIB), ()) == []
