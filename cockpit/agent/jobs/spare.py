"""Shims that were loaded before there is a job for them: a start need not wait for an interpreter."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from cockpit.agent.jobs import shim

NOT_INHERITED = ("PYTHONPATH", "PYTHONHOME", "CUDA_VISIBLE_DEVICES", "COCKPIT_JOB_ID")
"""Of the agent's own environment: what would change a job without anybody having asked for it."""


class Waiting:
    """A shim that waits for its job, and ends if it gets none: when this agent lets go of it."""

    def __init__(self) -> None:
        """Raises OSError if no process can be made."""
        self.environment = _inherited()
        script = str(Path(shim.__file__).with_name("__main__.py"))
        # Every message is whole or not there, and the end of the agent, however it comes, is one.
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                self.process = subprocess.Popen(
                    [sys.executable, "-I", "-S", script, str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    cwd="/",
                    env=self.environment,
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                )
        except OSError:
            self._line.close()
            raise

    def give(self, directory: Path, descriptors: Sequence[int]) -> subprocess.Popen[bytes]:
        """Give it its job and copies of the descriptors. Raises OSError if it has ended meanwhile.

        One that is killed with its job still unread takes the lock with it: nobody looks after the
        job then, as after any shim that was killed.
        """
        with self._line:
            socket.send_fds(self._line, [os.fsencode(directory)], descriptors)
        return self.process

    def let_go(self) -> None:
        """End it: there is no job for it."""
        self._line.close()
        self.process.wait()


class Spares:
    """At most one shim that waits. Costs nothing until the first job was started."""

    def __init__(self) -> None:
        self._waiting: Waiting | None = None

    def start(self, directory: Path, descriptors: Sequence[int]) -> subprocess.Popen[bytes]:
        """A shim with this job. Raises OSError if no process can be made."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            if waiting.environment == _inherited():
                with contextlib.suppress(OSError):
                    return waiting.give(directory, descriptors)
            waiting.let_go()
        return Waiting().give(directory, descriptors)

    def prepare(self) -> None:
        """Have one wait from now on. Raises OSError if no process can be made."""
        if self._waiting is None:
            self._waiting = Waiting()

    def close(self) -> None:
        """Let go of the one that waits."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.let_go()


def _inherited() -> dict[str, str]:
    """What a shim, and with it a job, gets of the environment of this process."""
    return {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
