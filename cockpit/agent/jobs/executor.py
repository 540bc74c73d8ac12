"""Where a job runs: the seam between the queue and processes on this box."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cockpit.agent.jobs import shim
from cockpit.agent.jobs.store import JobDirectory

BURIAL_PATIENCE_S = 10.0
NOT_INHERITED = ("PYTHONPATH", "PYTHONHOME", "CUDA_VISIBLE_DEVICES", "COCKPIT_JOB_ID")
"""Of the agent's own environment: what would change a job without anybody having asked for it."""


@dataclass(frozen=True)
class Stage:
    """One command of a start; the next one runs when it ended with 0."""

    command: tuple[str, ...]
    directory: str
    environment: Mapping[str, str]
    text: str = ""
    """The job's reason while it runs."""


@dataclass(frozen=True)
class Start:
    """What is to run, and on which GPUs (UUIDs)."""

    stages: tuple[Stage, ...]
    gpus: tuple[str, ...]
    time_limit_s: float | None = None


@dataclass(frozen=True)
class Running:
    """A job that was started here. `news` gets a byte per change and ends with the shim."""

    process: subprocess.Popen[bytes]
    news: int


class Executor(Protocol):
    """Runs jobs whose directories exist. The directory tells how they are doing."""

    def start(self, directory: JobDirectory, start: Start) -> Running | None:
        """Start the job; None if it already runs. Raises OSError if no process can be made."""

    def alive(self, directory: JobDirectory) -> bool:
        """True while the job's `status.json` is being looked after."""

    def cancel(self, directory: JobDirectory, grace_s: float, reason: str = "") -> None:
        """Ask for the end of a job; returns at once. `reason`: why, of one that never started."""

    def bury(self, directory: JobDirectory) -> None:
        """Bring a started job that nobody looks after to a true end. Blocks for some seconds."""


class LocalExecutor:
    """Jobs as processes of this machine, each under a shim."""

    def start(self, directory: JobDirectory, start: Start) -> Running | None:
        lock = directory.try_lock()
        if lock is None:
            return None
        news, tell = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            directory.write("start.json", _plain(start))
            script = str(Path(shim.__file__))
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", script, str(directory.path), str(lock), str(tell)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={k: v for k, v in os.environ.items() if k not in NOT_INHERITED},
                pass_fds=(lock, tell),
                start_new_session=True,
            )
        except OSError:
            os.close(news)
            raise
        finally:
            # The shim has inherited both: from here on the lock is its own.
            os.close(lock)
            os.close(tell)
        return Running(process, news)

    def alive(self, directory: JobDirectory) -> bool:
        try:
            lock = directory.try_lock()
        except FileNotFoundError:
            return False
        if lock is None:
            return True
        os.close(lock)
        return False

    def cancel(self, directory: JobDirectory, grace_s: float, reason: str = "") -> None:
        status = directory.read("status.json") or {}
        pid = status.get("shim_pid")
        try:
            wish = {"asked_s": time.time(), "grace_s": grace_s, "reason": reason}
            directory.write("cancel.json", wish)
        except OSError:
            # A full disk must not keep a job running: the signal alone says enough.
            if pid is None:
                raise
        # Read anew: a shim that came up meanwhile may have looked for cancel.json too early.
        status = directory.read("status.json") or status
        pid = status.get("shim_pid")
        if isinstance(pid, int) and "ended_s" not in status:
            _signal_same_process(pid, status.get("shim_start_ticks"), signal.SIGTERM)

    def bury(self, directory: JobDirectory) -> None:
        try:
            lock = directory.try_lock()
        except FileNotFoundError:
            _kill_members(str(directory.path))
            return
        if lock is None:
            return
        try:
            status = directory.read("status.json") or {}
            if "ended_s" in status:
                return
            words = _last_words(directory, status)
            status.setdefault("gpus", (directory.read("start.json") or {}).get("gpus", []))
            status.update(words, ended_s=time.time())
            directory.write("status.json", status)
        finally:
            os.close(lock)


def _last_words(directory: JobDirectory, status: Mapping[str, Any]) -> dict[str, Any]:
    """Kill what is left of a job whose shim died, and say what happened to it."""
    if not status and not (directory.path / "status.json").exists():
        cancel = directory.read("cancel.json")
        if cancel is not None:
            reason = cancel.get("reason") or "stopped before it started"
            return {"state": "CANCELLED", "reason": reason}
        return {"state": "LOST", "reason": "its shim ended before the job began"}
    if status.get("boot_id") not in (None, shim.boot_id()):
        return {"state": "LOST", "reason": "the machine was restarted while it ran"}
    left = _kill_members(str(directory.path))
    words = "its shim was killed, and the job with it"
    if not status:
        words = "its status.json cannot be read"
    if left:
        words += f"; still there: process {', '.join(map(str, left))}"
    return {"state": "LOST", "reason": words}


def _kill_members(directory: str) -> list[int]:
    """SIGKILL every process that has this job directory in its environment; who is left of them."""
    mark = f"COCKPIT_JOB_DIR={directory}".encode()
    deadline = time.monotonic() + BURIAL_PATIENCE_S
    while True:
        members = [pid for pid in _own_processes() if mark in _environment(pid)]
        if not members or time.monotonic() > deadline:
            return members
        for pid in members:
            _signal_same_process(pid, shim.start_ticks(pid), signal.SIGKILL)
        time.sleep(0.05)


def _own_processes() -> list[int]:
    return [
        pid
        for entry in os.scandir("/proc")
        if entry.name.isdecimal() and shim.start_ticks(pid := int(entry.name)) is not None
    ]


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _signal_same_process(pid: int, ticks: int | None, number: int) -> None:
    """Signal `pid` only if it is still the process that started at `ticks`."""
    try:
        descriptor = os.pidfd_open(pid)
    except OSError as error:
        # Linux before 5.3 has no pidfd; the moment between the look and the signal is short.
        if error.errno == errno.ENOSYS and ticks is not None and shim.start_ticks(pid) == ticks:
            with contextlib.suppress(OSError):
                os.kill(pid, number)
        return
    try:
        if ticks is not None and shim.start_ticks(pid) == ticks:
            signal.pidfd_send_signal(descriptor, number)
    except OSError:
        pass
    finally:
        os.close(descriptor)


def _plain(start: Start) -> dict[str, Any]:
    return {
        "gpus": list(start.gpus),
        "grace_s": shim.DEFAULT_GRACE_S,
        "time_limit_s": start.time_limit_s,
        "stages": [
            {**vars(stage), "command": list(stage.command), "environment": dict(stage.environment)}
            for stage in start.stages
        ],
    }
