"""Builds the Python environment of a workload, as a stage of the first job that needs it.

Run as `python -I build_environment.py DIRECTORY EXPLANATION REQUIREMENT…`, standard library only. Its
output is the job's log, so the progress of a long download is seen; the reason of a failure goes to
the file EXPLANATION. Two jobs that need the same environment at once: the second waits for the lock.

An environment is whole when it holds the file `complete`, written last. It is built where it will
stay, because the scripts in its `bin` name their interpreter by path; one without that file is a
leftover of a build that was cut off, and is thrown away.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections import deque
from pathlib import Path

COMPLETE = "complete"
LINES_EXPLAINED = 6


class BuildError(Exception):
    """Why the environment could not be built, in a line or a few."""


def is_whole(directory: Path) -> bool:
    """True if an environment was built here to its end."""
    return (directory / COMPLETE).exists()


def build(directory: Path, requires: list[str]) -> None:
    """Make `directory` an environment that has all of `requires`. Raises BuildError or OSError."""
    directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(f"{directory}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _take(lock)
        if is_whole(directory):
            return
        shutil.rmtree(directory, ignore_errors=True)
        _say(f"Building an environment for {', '.join(requires)}")
        for command in _commands(directory, requires):
            _run(command)
        (directory / "requirements.txt").write_text("".join(f"{line}\n" for line in requires))
        (directory / COMPLETE).touch()
    finally:
        os.close(lock)


def _take(lock: int) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        _say("Another job is building this environment; waiting for it")
        fcntl.flock(lock, fcntl.LOCK_EX)


def _commands(directory: Path, requires: list[str]) -> list[list[str]]:
    python = str(directory / "bin" / "python")
    uv = shutil.which("uv")
    if uv is not None:
        return [
            [uv, "venv", "--python", sys.executable, str(directory)],
            [uv, "pip", "install", "--python", python, "--", *requires],
        ]
    return [
        [sys.executable, "-m", "venv", str(directory)],
        [python, "-m", "pip", "install", "--disable-pip-version-check", "--", *requires],
    ]


def _run(command: list[str]) -> None:
    """Run it with its output passed on; on failure its last lines are the explanation."""
    last: deque[str] = deque(maxlen=LINES_EXPLAINED)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            _say(line.rstrip("\n"))
            if line.strip():
                last.append(line.strip())
    if process.returncode != 0:
        lines = list(last)
        first = next((n for n, line in enumerate(lines) if "error" in line.lower()), 0)
        raise BuildError(" ".join(lines[first:]) or f"{command[0]} ended with an error")


def _say(line: str) -> None:
    print(line, flush=True)


def main(arguments: list[str]) -> int:
    """Exit code 0 when the environment is there, 1 with an explanation when it could not be built."""
    directory, explanation, requires = Path(arguments[0]), Path(arguments[1]), arguments[2:]
    try:
        build(directory, requires)
    except (BuildError, OSError) as error:
        reason = f"its environment could not be built: {error}"
        _say(reason)
        explanation.write_text(reason)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
