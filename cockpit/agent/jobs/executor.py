"""Where a job runs: the seam between the queue and processes on this box."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from cockpit.agent.jobs import shim
from cockpit.agent.jobs.ending import bury, signal_same_process
from cockpit.agent.jobs.shim.cgroup import delegated
from cockpit.agent.jobs.spare import Spares
from cockpit.agent.jobs.store import JobDirectory

NO_SECRETS: Mapping[str, str] = {}
OWN_CGROUP = "own"


@dataclass(frozen=True)
class Stage:
    """One command of a start; the next one runs when it ended with 0."""

    command: tuple[str, ...]
    directory: str
    environment: Mapping[str, str]
    text: str = ""
    """The job's reason while it runs."""
    secrets: tuple[str, ...] = ()
    """Names of the secrets that are in its environment too."""


@dataclass(frozen=True)
class Grant:
    """The devices that a job was given, by UUID, and why these."""

    gpus: tuple[str, ...] = ()
    slices: tuple[str, ...] = ()
    placement: str = ""


@dataclass(frozen=True)
class Start:
    """What is to run, and on which devices."""

    stages: tuple[Stage, ...]
    grant: Grant
    time_limit_s: float | None = None


@dataclass(frozen=True)
class Running:
    """A job that was started here. `news` gets a byte per change and ends with the shim."""

    process: subprocess.Popen[bytes]
    news: int


class Executor(Protocol):
    """Runs jobs whose directories exist. The directory tells how they are doing."""

    def start(
        self, directory: JobDirectory, start: Start, secrets: Mapping[str, str] = NO_SECRETS
    ) -> Running | None:
        """Start the job; None if it already runs. Raises OSError if no process can be made.

        The values of `secrets` reach the environment of the stages that name them, and nothing else.
        """

    def alive(self, directory: JobDirectory) -> bool:
        """True while the job's `status.json` is being looked after."""

    def cancel(self, directory: JobDirectory, grace_s: float) -> None:
        """Ask for the end of a job that runs; returns at once. Raises OSError if nobody was told."""

    def bury(self, directory: JobDirectory, cancelled: str = "") -> None:
        """Bring a job that nobody looks after to a true end; for one that never started `cancelled`
        is why. Blocks, for some seconds if processes are left. Raises OSError."""

    def prepare(self) -> None:
        """Get ready for another start, so that it is a quick one. Takes some milliseconds."""

    def close(self) -> None:
        """Let go of what was got ready. The jobs go on."""


class LocalExecutor:
    """Jobs as processes of this machine, each under a shim.

    `log` are arguments of the shim's Rotation that differ from its own. `cgroup` is the group in
    which jobs get theirs; None if they get none.
    """

    def __init__(
        self, log: Mapping[str, float] | None = None, cgroup: str | None = OWN_CGROUP
    ) -> None:
        self._log = dict(log or {})
        self._spares = Spares()
        self._cgroup = delegated() if cgroup == OWN_CGROUP else cgroup

    def start(
        self, directory: JobDirectory, start: Start, secrets: Mapping[str, str] = NO_SECRETS
    ) -> Running | None:
        lock = directory.try_lock()
        if lock is None:
            return None
        news, tell = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        hidden = -1
        try:
            directory.write("start.json", self._plain(directory, start))
            hidden = _hidden_file(secrets)
            handed = (lock, tell, hidden) if hidden >= 0 else (lock, tell)
            process = self._spares.start(directory.path, handed)
        except OSError:
            os.close(news)
            raise
        finally:
            # The shim has copies: from here on the lock is its own.
            for descriptor in (lock, tell, hidden):
                if descriptor >= 0:
                    os.close(descriptor)
        return Running(process, news)

    def _plain(self, directory: JobDirectory, start: Start) -> dict[str, Any]:
        # The same directory gets the same group, so that a later agent finds it without being told.
        mark = hashlib.sha256(str(directory.path).encode()).hexdigest()[:16]
        return {
            "gpus": list(start.grant.gpus),
            "slices": list(start.grant.slices),
            "placement": start.grant.placement,
            "grace_s": shim.DEFAULT_GRACE_S,
            "time_limit_s": start.time_limit_s,
            "log": self._log,
            "cgroup": f"{self._cgroup}/cockpit-job-{mark}" if self._cgroup else None,
            "stages": [
                {
                    **vars(stage),
                    "command": list(stage.command),
                    "environment": dict(stage.environment),
                }
                for stage in start.stages
            ],
        }

    def alive(self, directory: JobDirectory) -> bool:
        try:
            lock = directory.try_lock()
        except FileNotFoundError:
            return False
        if lock is None:
            return True
        os.close(lock)
        return False

    def cancel(self, directory: JobDirectory, grace_s: float) -> None:
        status = directory.read("status.json") or {}
        pid = status.get("shim_pid")
        try:
            directory.write("cancel.json", {"asked_s": time.time(), "grace_s": grace_s})
        except OSError:
            # A full disk must not keep a job running: the signal alone says enough.
            if pid is None:
                raise
        # Read anew: a shim that came up meanwhile may have looked for cancel.json too early.
        status = directory.read("status.json") or status
        pid = status.get("shim_pid")
        if isinstance(pid, int) and "ended_s" not in status:
            signal_same_process(pid, status.get("shim_start_ticks"), signal.SIGTERM)

    def bury(self, directory: JobDirectory, cancelled: str = "") -> None:
        bury(directory, cancelled)

    def prepare(self) -> None:
        # A machine that can make no process now starts the next job when it can.
        with contextlib.suppress(OSError):
            self._spares.prepare()

    def close(self) -> None:
        self._spares.close()


def _hidden_file(secrets: Mapping[str, str]) -> int:
    """The values in a file that exists in memory only and has no name; -1 if there are none."""
    if not secrets:
        return -1
    descriptor = os.memfd_create("cockpit")
    with open(descriptor, "wb", closefd=False) as file:
        file.write(json.dumps(dict(secrets)).encode())
    return descriptor
