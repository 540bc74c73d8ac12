"""What /proc and the kernel know of processes."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NAME, PR_SET_CHILD_SUBREAPER = 1, 4, 15, 36


def boot_id() -> str:
    """The kernel's name for this boot of the machine; empty where it cannot be read."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:  # noqa: PTH123
            return file.read().strip()
    except OSError:
        return ""


def _stat(pid: int | str) -> list[str] | None:
    """The fields of /proc/PID/stat from the third on; None if there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", errors="replace") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()
    except OSError:
        return None


def start_ticks(pid: int) -> int | None:
    """When `pid` started, in ticks since boot; None if it is gone or a zombie."""
    fields = _stat(pid)
    return None if not fields or fields[0] in "ZX" else int(fields[19])


def descendants(root: int) -> list[int]:
    """Every living process below `root`, zombies left out (but not what lives below them).

    /proc is read one process after another: one whose parent ends meanwhile can be missed.
    """
    children: dict[int, list[tuple[int, str]]] = {}
    for entry in os.listdir("/proc"):  # noqa: PTH208
        if entry.isdigit() and (fields := _stat(entry)):
            children.setdefault(int(fields[1]), []).append((int(entry), fields[0]))
    found: list[int] = []
    todo = [root]
    while todo:
        for pid, state in children.get(todo.pop(), []):
            todo.append(pid)
            if state not in "ZX":
                found.append(pid)
    return found


def reap(pid: int) -> tuple[int | None, bool]:
    """Collect every child that has ended: the wait status of `pid` if it is one of them, and
    whether no child is left, ended or not.

    For a sub-reaper the latter means that its whole tree is gone: an orphan becomes its child.
    """
    found = None
    while True:
        try:
            ended, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found, True
        if ended == 0:
            return found, False
        if ended == pid:
            found = status


def send(pid: int, number: int) -> None:
    """Signal a process that may be gone or another's by now."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def prctl(option: int, value: int) -> None:
    """Change a trait of this process."""
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def rename_process(name: str) -> None:
    """Have `ps` and `top` call this process so; the kernel keeps 15 bytes."""
    ctypes.CDLL(None).prctl(PR_SET_NAME, os.fsencode(name), 0, 0, 0)


def signal_name(number: int) -> str:
    """SIGTERM, or `signal 40` for one without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
