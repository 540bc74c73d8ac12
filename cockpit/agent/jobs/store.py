"""Job directories: the truth about every job, one folder each.

`DIRECTORY/numbers.json` remembers the highest number of a removed job: no number is used twice.
Inside `DIRECTORY/<id>/`:

| file | written by | holds |
|---|---|---|
| `spec.json` | the agent, once | what was asked for, and when |
| `code/` | the agent, once | the plugin's folder as it was at submit |
| `parameters.json` | the agent, once | what `COCKPIT_PARAMETERS` points to |
| `start.json` | the agent, holding the lock | the commands, environment and GPUs of the start |
| `cancel.json` | the agent | that the end was asked for, and with what grace |
| `released.json` | the agent | that the job which this one comes after completed, and is removed |
| `status.json` | whoever holds `lock`: the shim while it lives | state, exit code, times |
| `output.log` | the job itself | its stdout and stderr |
| `events.jsonl`, `frames/`, `images/` | the job itself | what `cockpit.sdk` reports |
| `accounting.json` | the agent | energy so far |
| `ended.json` | the agent | the job as it was shown last; made again from the others if missing |
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cockpit import codec
from cockpit.agent.jobs import shim
from cockpit.model import JobRequest

REMOVED = ".removed"
"""Ends the name of a directory that is being deleted: it is no job any more."""
NOT_COPIED = ("__pycache__", ".git", ".venv", ".mypy_cache", ".ruff_cache", "node_modules")


@dataclass(frozen=True)
class Spec:
    """What was asked for; never changes."""

    id: str
    submitted_s: float
    request: JobRequest
    requeued_from: str | None = None


class JobDirectory:
    """The files of one job."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log = path / "output.log"
        self.events = path / "events.jsonl"
        self.frames = path / "frames"
        self.code = path / "code"

    def read(self, name: str) -> dict[str, Any] | None:
        """The object in `name`; None if there is none or it is not whole."""
        return shim.read_json(str(self.path / name))

    def write(self, name: str, value: dict[str, Any]) -> None:
        """Replace `name` at once, and for good."""
        shim.write_json(str(self.path), name, value)

    def log_bytes(self) -> int:
        """Size of the log; 0 before there is one."""
        try:
            return self.log.stat().st_size
        except OSError:
            return 0

    def try_lock(self) -> int | None:
        """The lock as an open descriptor, or None while a shim (or another agent) holds it."""
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor


class JobStore:
    """The directory of all job directories."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def create(
        self, request: JobRequest, requeued_from: str | None = None
    ) -> tuple[Spec, JobDirectory]:
        """Make a new job's directory, its plugin folder copied; it exists once this returns.

        Raises OSError if the plugin folder cannot be read or the disk takes no more.
        """
        job_id, directory = self._allocate()
        try:
            if request.plugin_directory is not None:
                ignore = shutil.ignore_patterns(*NOT_COPIED)
                shutil.copytree(request.plugin_directory, directory.code, ignore=ignore)
            directory.frames.mkdir(mode=0o700)
            directory.log.touch(mode=0o600)
            directory.events.touch(mode=0o600)
            directory.write("parameters.json", dict(request.parameters))
            spec = Spec(job_id, time.time(), request, requeued_from)
            # Written last: a directory without it is no job.
            directory.write("spec.json", json.loads(codec.dumps(spec)))
            shim.sync_directory(str(self.directory))
        except (OSError, shutil.Error):
            shutil.rmtree(directory.path, ignore_errors=True)
            raise
        return spec, directory

    def _allocate(self) -> tuple[str, JobDirectory]:
        """The next free number; making its directory is what takes it."""
        number = max(self._removed_last(), *self._numbers(), 0) + 1
        while True:
            path = self.directory / str(number)
            try:
                path.mkdir(mode=0o700)
            except FileExistsError:
                number += 1
                continue
            return str(number), JobDirectory(path)

    def _numbers(self) -> Iterator[int]:
        for entry in os.scandir(self.directory):
            if entry.name.isdecimal():
                yield int(entry.name)

    def _removed_last(self) -> int:
        numbers = shim.read_json(str(self.directory / "numbers.json")) or {}
        return int(numbers.get("removed_last", 0))

    def detach(self, job_id: str) -> Path:
        """Make a job none at once; what is returned is to be deleted. Raises OSError."""
        last = max(self._removed_last(), int(job_id))
        shim.write_json(str(self.directory), "numbers.json", {"removed_last": last})
        path = self.directory / f"{job_id}{REMOVED}"
        (self.directory / job_id).rename(path)
        shim.sync_directory(str(self.directory))
        return path

    def sweep(self) -> None:
        """Delete what a removal that was cut off has left."""
        for path in self.directory.glob(f"*{REMOVED}"):
            shutil.rmtree(path, ignore_errors=True)

    def load(self) -> list[tuple[Spec, JobDirectory]]:
        """Every job on disk, oldest first. A directory that is not whole is left alone."""
        found = []
        for number in sorted(self._numbers()):
            directory = JobDirectory(self.directory / str(number))
            try:
                found.append((codec.loads(Spec, directory.read("spec.json")), directory))
            except ValueError:
                continue
        return found
