"""Ending a process: your own, on a GPU, and surely the one that was meant."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from agents import snapshot

from cockpit.agent import stopping
from cockpit.agent.stopping import start_time, stop_process
from cockpit.model import Process
from cockpit.protocol import NOT_FOUND, NOT_PERMITTED, RpcError


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()


def ticks(pid: int) -> int:
    found = start_time(pid)
    assert found is not None
    return found


@pytest.mark.parametrize(("force", "number"), [(False, signal.SIGTERM), (True, signal.SIGKILL)])
def test_an_own_process_is_ended(
    sleeper: subprocess.Popen[bytes], force: bool, number: signal.Signals
) -> None:
    stop_process(snapshot(1, (Process(sleeper.pid),)), sleeper.pid, ticks(sleeper.pid), force)
    assert sleeper.wait(10) == -number


def test_a_kernel_without_pidfd_does_too(
    sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "pidfd_open")
    stop_process(snapshot(1, (Process(sleeper.pid),)), sleeper.pid, ticks(sleeper.pid), False)
    assert sleeper.wait(10) == -signal.SIGTERM


def test_a_process_that_is_on_no_gpu_is_left_alone(sleeper: subprocess.Popen[bytes]) -> None:
    with pytest.raises(RpcError, match="on no GPU") as caught:
        stop_process(snapshot(1), sleeper.pid, ticks(sleeper.pid), False)
    assert caught.value.code == NOT_FOUND
    assert sleeper.poll() is None


def test_a_number_that_was_given_to_another_process_is_left_alone(
    sleeper: subprocess.Popen[bytes],
) -> None:
    with pytest.raises(RpcError, match="another process") as caught:
        stop_process(
            snapshot(1, (Process(sleeper.pid),)), sleeper.pid, ticks(sleeper.pid) - 1, False
        )
    assert caught.value.code == NOT_FOUND
    assert sleeper.poll() is None


def test_somebody_elses_process_is_refused_by_name(
    sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = stopping.user_name(os.getuid())
    monkeypatch.setattr(stopping.os, "getuid", lambda: 65534)
    with pytest.raises(RpcError) as caught:
        stop_process(snapshot(1, (Process(sleeper.pid),)), sleeper.pid, ticks(sleeper.pid), True)
    assert caught.value.code == NOT_PERMITTED
    assert f"belongs to {owner}," in caught.value.message
    assert sleeper.poll() is None
