"""One agent per name: a lock that is held for as long as the agent lives."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class AgentLock:
    """An exclusive flock on `path`, which holds the pid of its owner."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """True when this process is now the agent of that name, False when another one is."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Let the next agent in. The file stays: removing it would let two agents hold the name."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
