"""Ending processes: the very one that is meant, and all that a dead shim has left."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cockpit.agent.jobs import shim
from cockpit.agent.jobs.shim import rotation
from cockpit.agent.jobs.shim.cgroup import Group
from cockpit.agent.jobs.store import JobDirectory

BURIAL_PATIENCE_S = 10.0


STOPPED = "stopped before it started"


def bury(directory: JobDirectory, cancelled: str = "") -> None:
    """Bring a job that nobody looks after to a true end; see `Executor.bury`."""
    try:
        lock = directory.try_lock()
    except FileNotFoundError:
        _kill_members(directory, None)
        return
    if lock is None:
        return
    try:
        status = directory.read("status.json") or {}
        if "ended_s" in status:
            return
        words = _last_words(directory, status, cancelled)
        rotation.discard(str(directory.path))
        status.setdefault("gpus", (directory.read("start.json") or {}).get("gpus", []))
        status.update(words, ended_s=time.time())
        directory.write("status.json", status)
    finally:
        os.close(lock)


def _last_words(
    directory: JobDirectory, status: Mapping[str, Any], cancelled: str
) -> dict[str, Any]:
    """Kill what is left of a job whose shim died, and say what happened to it."""
    if not status and not (directory.path / "status.json").exists():
        if cancelled or directory.read("cancel.json") is not None:
            return {"state": "CANCELLED", "reason": cancelled or STOPPED}
        group = _group(directory)
        if group is not None:
            group.remove()
        return {"state": "LOST", "reason": "its shim ended before the job began"}
    if status.get("boot_id") not in (None, shim.boot_id()):
        return {"state": "LOST", "reason": "the machine was restarted while it ran"}
    left = _kill_members(directory, _group(directory))
    words = "its shim was killed, and the job with it"
    if not status:
        words = "its status.json cannot be read"
    if left:
        words += f"; still there: process {', '.join(map(str, left))}"
    return {"state": "LOST", "reason": words}


def _group(directory: JobDirectory) -> Group | None:
    path = (directory.read("start.json") or {}).get("cgroup")
    return Group(path) if path else None


def _kill_members(directory: JobDirectory, group: Group | None) -> list[int]:
    """SIGKILL to every process of a job that has no shim any more; who is left of them."""
    deadline = time.monotonic() + BURIAL_PATIENCE_S
    while True:
        members = [pid for pid in _own_processes() if _belongs(pid, directory)]
        if group is not None:
            group.kill()
            members += [pid for pid in group.members() if pid not in members]
        if not members or time.monotonic() > deadline:
            break
        for pid in members:
            signal_same_process(pid, shim.start_ticks(pid), signal.SIGKILL)
        time.sleep(0.05)
    if group is not None:
        group.remove()
    return members


def _belongs(pid: int, directory: JobDirectory) -> bool:
    """Whether a process has this job in its environment, or writes its output to this job's log."""
    if f"COCKPIT_JOB_DIR={directory.path}".encode() in _environment(pid):
        return True
    log = (str(directory.log), f"{directory.log} (deleted)")
    return any(_target(f"/proc/{pid}/fd/{number}") in log for number in (1, 2))


def _target(link: str) -> str:
    try:
        return os.readlink(link)  # noqa: PTH115
    except OSError:
        return ""


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


def signal_same_process(pid: int, ticks: int | None, number: int) -> None:
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
