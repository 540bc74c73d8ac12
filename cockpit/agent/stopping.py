"""Ending one process on a GPU: your own only, and surely the one that was meant."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from pathlib import Path

from cockpit.agent.connection import user_name
from cockpit.model import Process, Snapshot
from cockpit.protocol import NOT_FOUND, NOT_PERMITTED, REFUSED, RpcError


def stop_process(snapshot: Snapshot | None, pid: int, start_ticks: int, force: bool) -> None:
    """SIGTERM, or SIGKILL with `force`, to a process that is on a GPU of this box.

    RpcError when it is not on any GPU, is somebody else's, or is no longer the same process.
    """
    if not any(process.pid == pid for process in _on_gpus(snapshot)):
        raise RpcError(
            NOT_FOUND,
            f"process {pid} is on no GPU of this box",
            "cockpit status lists those that are.",
        )
    handle = _open(pid)
    try:
        if start_time(pid) != start_ticks:
            raise _gone(pid)
        _check_owner(pid)
        _signal(handle, pid, signal.SIGKILL if force else signal.SIGTERM)
    finally:
        if handle is not None:
            os.close(handle)


def start_time(pid: int) -> int | None:
    """Field 22 of /proc/PID/stat in clock ticks since the boot; None when there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return int(stat.rpartition(")")[2].split()[19])


def _on_gpus(snapshot: Snapshot | None) -> Iterable[Process]:
    for gpu in snapshot.gpus if snapshot else ():
        yield from gpu.processes
        for part in gpu.slices:
            yield from part.processes


def _open(pid: int) -> int | None:
    """A handle that stays with the process, even when its number is given to another one."""
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        raise _gone(pid) from None
    except (AttributeError, OSError):
        return None  # a kernel before 5.3: the start time alone has to do


def _check_owner(pid: int) -> None:
    try:
        owner = Path(f"/proc/{pid}").stat().st_uid
    except OSError:
        raise _gone(pid) from None
    if owner != os.getuid():
        raise RpcError(
            NOT_PERMITTED,
            f"process {pid} belongs to {user_name(owner)}, not to you ({user_name(os.getuid())})",
            "cockpit ends only your own processes; ask its owner or an administrator.",
        )


def _signal(handle: int | None, pid: int, number: signal.Signals) -> None:
    try:
        if handle is None:
            os.kill(pid, number)
        else:
            signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        raise _gone(pid) from None
    except PermissionError:
        raise RpcError(REFUSED, f"the kernel does not let you end process {pid}") from None


def _gone(pid: int) -> RpcError:
    return RpcError(NOT_FOUND, f"process {pid} has ended, or its number now names another process")
