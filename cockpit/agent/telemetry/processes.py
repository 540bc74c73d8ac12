"""Who a pid is: user, command, container and job, read from /proc once per process."""

from __future__ import annotations

import os
import pwd
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast

from cockpit.model import Process

COMMAND_LENGTH = 200
_JOB_VARIABLE = b"COCKPIT_JOB_ID="
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_SETTLED_AFTER_S = 5.0
"""A younger process may still call exec and become another command: it is read again each time."""
_CONTAINER = re.compile(
    rb"(?:[/:-])([0-9a-f]{64})(?:\.scope)?(?:/|$)|/lxc\.payload\.([^/\n]+)", re.M
)


@dataclass(frozen=True)
class ProcessStat:
    """The figures of /proc/PID/stat that telemetry needs."""

    parent: int
    start_ticks: int
    cpu_seconds: float
    """Its own user and system time."""
    waited_cpu_seconds: float
    """That of the children it has waited for."""
    resident_bytes: int


def read_stat(pid: int) -> ProcessStat | None:
    """None when the process is gone."""
    text = _read_bytes(f"/proc/{pid}/stat")
    if not text:
        return None
    # The command may hold spaces and parentheses; what follows the last one is regular.
    fields = text[text.rfind(b")") + 2 :].split()
    return ProcessStat(
        parent=int(fields[1]),
        start_ticks=int(fields[19]),
        cpu_seconds=(int(fields[11]) + int(fields[12])) / _TICKS_PER_S,
        waited_cpu_seconds=(int(fields[13]) + int(fields[14])) / _TICKS_PER_S,
        resident_bytes=int(fields[21]) * _PAGE_BYTES,
    )


def cpu_seconds(tree: Iterable[ProcessStat]) -> float:
    """CPU time of these processes and of those that they have waited for."""
    return sum(stat.cpu_seconds + stat.waited_cpu_seconds for stat in tree)


class ProcessTable:
    """Describes processes; what it has read is kept for as long as the same process lives."""

    def __init__(self) -> None:
        self._known: dict[int, Process] = {}
        self._users: dict[int, str] = {}

    def describe(self, pid: int, memory_used_bytes: int | None, kind: str) -> Process:
        """The process with what it holds; only pid, memory and kind where /proc has no such pid."""
        stat = read_stat(pid)
        if stat is None:
            self._known.pop(pid, None)
            return Process(pid, memory_used_bytes=memory_used_bytes, kind=_kind(kind))
        known = self._known.get(pid)
        if known is None or known.start_ticks != stat.start_ticks:
            known = self._read(pid, stat)
            if _age_s(stat) >= _SETTLED_AFTER_S:
                self._forget_the_dead()
                self._known[pid] = known
        return replace(known, memory_used_bytes=memory_used_bytes, kind=_kind(kind))

    def tree(self, pid: int) -> dict[int, ProcessStat]:
        """The process and all its living descendants, parents first; empty when it is gone."""
        found: dict[int, ProcessStat] = {}
        waiting = [pid]
        while waiting:
            each = waiting.pop(0)
            stat = read_stat(each) if each not in found else None
            if stat is not None:
                found[each] = stat
                waiting.extend(_children(each))
        return found

    def tree_cpu_seconds(self, pid: int) -> float:
        """CPU time of the process, its living descendants, and those that they have waited for."""
        return cpu_seconds(self.tree(pid).values())

    def _read(self, pid: int, stat: ProcessStat) -> Process:
        uid = _owner(pid)
        return Process(
            pid,
            user=None if uid is None else self._user(uid),
            command=_command(pid),
            job=_job(pid, stat),
            container=_container(pid),
            start_ticks=stat.start_ticks,
            mine=uid == os.getuid(),
        )

    def _user(self, uid: int) -> str:
        if uid not in self._users:
            try:
                self._users[uid] = pwd.getpwuid(uid).pw_name
            except KeyError:
                self._users[uid] = str(uid)
        return self._users[uid]

    def _forget_the_dead(self) -> None:
        for pid, process in list(self._known.items()):
            stat = read_stat(pid)
            if stat is None or stat.start_ticks != process.start_ticks:
                self._known.pop(pid, None)


def _kind(kind: str) -> Literal["compute", "graphics", "mps"]:
    return cast(Literal["compute", "graphics", "mps"], kind)


def _age_s(stat: ProcessStat) -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME) - stat.start_ticks / _TICKS_PER_S


def _read_bytes(path: str) -> bytes | None:
    try:
        return Path(path).read_bytes()
    except OSError:
        return None


def _owner(pid: int) -> int | None:
    try:
        return Path(f"/proc/{pid}").stat().st_uid
    except OSError:
        return None


def _command(pid: int) -> str | None:
    line = _read_bytes(f"/proc/{pid}/cmdline")
    if not line:
        # A kernel thread or a zombie has no command line, but still a name.
        line = _read_bytes(f"/proc/{pid}/comm") or b""
    text = line.replace(b"\0", b" ").decode(errors="replace").strip()
    return "".join(c if c.isprintable() else "?" for c in text)[:COMMAND_LENGTH] or None


def _container(pid: int) -> str | None:
    """The short id of a Docker, containerd or Podman container, or an LXC container's name."""
    found = _CONTAINER.search(_read_bytes(f"/proc/{pid}/cgroup") or b"")
    if found is None:
        return None
    identity, name = found.groups()
    return str(identity[:12].decode() if identity else name.decode(errors="replace"))


def _job(pid: int, stat: ProcessStat) -> str | None:
    """The job from the process's environment, or from that of the nearest ancestor that has one."""
    while True:
        for entry in (_read_bytes(f"/proc/{pid}/environ") or b"").split(b"\0"):
            if entry.startswith(_JOB_VARIABLE):
                return entry[len(_JOB_VARIABLE) :].decode(errors="replace") or None
        parent = read_stat(stat.parent) if stat.parent > 1 else None
        if parent is None:
            return None
        pid, stat = stat.parent, parent


def _children(pid: int) -> Iterator[int]:
    """A child is listed under the thread that started it, so every thread is asked."""
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return
    for thread in threads:
        yield from map(int, (_read_bytes(f"{thread}/children") or b"").split())
