"""Runs uv, or where there is none venv and pip, with its output passed on and its progress read."""

from __future__ import annotations

import contextlib
import os
import pty
import shutil
import subprocess
import sys
import sysconfig
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cockpit.agent.environments.drawn import Drawn
from cockpit.agent.environments.explain import BuildError, explain

LINES_KEPT = 400

Say = Callable[[str], None]


@dataclass(frozen=True)
class Wishes:
    """How the installer is to behave."""

    offline: bool = False
    torch_backend: str = "auto"
    """`index` leaves PyTorch to the usual index."""


def find_uv() -> str | None:
    """The uv beside this Python, else the one on PATH."""
    beside = Path(sysconfig.get_path("scripts")) / "uv"
    return str(beside) if os.access(beside, os.X_OK) else shutil.which("uv")


class Installer:
    """Makes environments and fills them. Methods raise BuildError with the reason in words."""

    def __init__(self, wishes: Wishes, say: Say, progress: Say, place: Path) -> None:
        self.uv = find_uv()
        self.torch_backend = wishes.torch_backend
        self._offline = wishes.offline
        self._say, self._progress = say, progress
        self._place = place

    @property
    def name(self) -> str:
        """`uv`, or what stands in for it."""
        return "uv" if self.uv else "pip"

    def make(self, directory: Path) -> None:
        """An empty environment of this Python."""
        if self.uv:
            self._run([self.uv, "venv", "--quiet", "--python", sys.executable, str(directory)])
        else:
            self._run([sys.executable, "-m", "venv", str(directory)])

    def resolve(self, directory: Path, requires: Sequence[str], quiet: bool = False) -> str:
        """The lock of these requirements: every package with its version and hashes. uv only."""
        assert self.uv is not None
        wanted, lock = directory / "requirements.in", directory / ".lock"
        wanted.write_text("".join(f"{line}\n" for line in requires))
        lock.unlink(missing_ok=True)
        command = [self.uv, "pip", "compile", "--no-header", "--generate-hashes", "--quiet"]
        python = str(directory / "bin" / "python")
        self._progress("resolving")
        self._run([*command, "--python", python, "-o", str(lock), str(wanted)], quiet)
        return lock.read_text()

    def check(self, directory: Path, requires: Sequence[str]) -> None:
        """Raise BuildError if these requirements cannot be had together. Nothing is installed."""
        if self.uv:
            self.resolve(directory, requires, quiet=True)
        else:
            pip = self._pip(str(directory / "bin" / "python"))
            self._run([*pip, "--dry-run", "--ignore-installed", "--", *requires], quiet=True)

    def fill(self, directory: Path, lock: Path) -> None:
        """Install exactly what a lock says."""
        python = str(directory / "bin" / "python")
        if self.uv:
            self._run([self.uv, "pip", "sync", "--python", python, str(lock)])
        else:
            self._run([*self._pip(python), "-r", str(lock)])

    def fill_unlocked(self, directory: Path, requires: Sequence[str]) -> str:
        """Install what is required, with pip; the lock of what that came to, without hashes."""
        python = str(directory / "bin" / "python")
        self._run([*self._pip(python), "--", *requires])
        freeze = [python, "-m", "pip", "freeze", "--disable-pip-version-check"]
        return subprocess.run(freeze, capture_output=True, text=True, check=False).stdout

    @staticmethod
    def _pip(python: str) -> list[str]:
        return [python, "-m", "pip", "install", "--disable-pip-version-check"]

    def _environment(self) -> Mapping[str, str]:
        environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "120"}
        # How far it is stands in the job's reason, whatever the person's own uv is told to print.
        for name in ("VIRTUAL_ENV", "UV_NO_PROGRESS", "UV_QUIET"):
            environment.pop(name, None)
        if self._offline:
            environment.update(UV_OFFLINE="1", PIP_NO_INDEX="1")
        if self.torch_backend == "index":
            environment.pop("UV_TORCH_BACKEND", None)
        else:
            environment.setdefault("UV_TORCH_BACKEND", self.torch_backend)
        return environment

    def _run(self, command: list[str], quiet: bool = False) -> None:
        """Run it with every whole line passed on; on failure its last ones are explained."""
        last: deque[str] = deque(maxlen=LINES_KEPT)
        # uv counts its packages only for a terminal. Its log is told what stays on the screen.
        master, slave = pty.openpty() if command[0] == self.uv else os.pipe()
        with open(master, "rb", buffering=0) as output:  # noqa: PTH123
            try:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=slave,
                    stderr=slave,
                    env=self._environment(),
                    cwd=self._place,
                )
            finally:
                os.close(slave)
            with process:
                for line in self._lines(output.fileno()):
                    last.append(line)
                    if not quiet:
                        self._say(line)
        if process.returncode != 0:
            raise BuildError(explain(list(last), self._place))

    def _lines(self, descriptor: int) -> Iterator[str]:
        """The lines of a log; meanwhile `progress` is told."""
        drawn = Drawn()
        with contextlib.suppress(OSError):  # the end of a terminal is an error
            while data := os.read(descriptor, 65536):
                yield from drawn.feed(data.decode(errors="replace"))
                if drawn.progress:
                    self._progress(drawn.progress)
        yield from drawn.close()
