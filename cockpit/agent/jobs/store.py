"""Job directories: the truth about every job, one folder each.

`DIRECTORY/numbers.json` remembers the highest number of a removed job: no number is used twice.
Inside `DIRECTORY/<id>/`:

| file | written by | holds |
|---|---|---|
| `spec.json` | the agent, once | what was asked for, and when |
| `code/` | the agent, once | the plugin's folder as it was at submit |
| `workdir/` | the agent, once, then the job | the directory of `--workdir` as it was at submit |
| `workdir.list` | the agent, once | what was copied there, so that a requeue copies no more |
| `parameters.json` | the agent, once | what `COCKPIT_PARAMETERS` points to |
| `start.json` | the agent, holding the lock | the commands, environment and devices of the start |
| `cancel.json` | the agent | that the end was asked for, and with what grace |
| `released.json` | the agent | that the job which this one comes after completed, and is removed |
| `attempts/N.json` | the agent, holding the lock | the last status of attempt N, which failed |
| `status.json` | whoever holds `lock`: the shim while it lives | state, exit code, times |
| `output.log` | the job itself | its stdout and stderr, but what was put aside |
| `output.*.log.gz`, `dropped.json` | the shim | see `shim/rotation.py` |
| `events.jsonl`, `frames/`, `images/` | the job itself | what `cockpit.sdk` reports |
| `environment` | whoever found or built it | leads to the Python environment it runs in |
| `requirements.lock` | the same | every package of that environment, with its version |
| `building.json`, `explanation.txt` | the build of that environment | how far it is; why it failed |
| `accounting.json` | the agent | energy, power and memory so far |
| `noticed.json` | the agent | that it was decided whom to tell of its end |
| `ended.json` | the agent | the job as it was shown last; made again from the others if missing |
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cockpit import codec
from cockpit.agent.jobs import shim
from cockpit.agent.jobs.snapshot import HIDDEN, NOT_COPIED, Taken
from cockpit.model import ArrayMember, JobRequest

REMOVED = ".removed"
"""Ends the name of a directory that is being deleted: it is no job any more."""
SYNCS_AT_ONCE = 16
PREPARED = "prepared.json"
"""What becomes `spec.json` once every job of a submission is on disk."""


@dataclass(frozen=True)
class Spec:
    """What was asked for; never changes."""

    id: str
    submitted_s: float
    request: JobRequest
    requeued_from: str | None = None
    array: ArrayMember | None = None
    """Of a member of an array; its request is that of one job."""


class JobDirectory:
    """The files of one job."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def log(self) -> Path:
        return self.path / "output.log"

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def frames(self) -> Path:
        return self.path / "frames"

    @property
    def code(self) -> Path:
        return self.path / "code"

    @property
    def workdir(self) -> Path:
        return self.path / "workdir"

    def read(self, name: str) -> dict[str, Any] | None:
        """The object in `name`; None if there is none or it is not whole."""
        return shim.read_json(str(self.path / name))

    def write(self, name: str, value: dict[str, Any], synced: bool = True) -> None:
        """Replace `name` at once, and for good if it is `synced`. Raises OSError."""
        shim.write_json(str(self.path), name, value, synced)

    def put(self, name: str, value: dict[str, Any]) -> None:
        """Make `name`, which nobody reads before it is synced. Raises OSError."""
        descriptor = os.open(f"{self.path}/{name}", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(json.dumps(value))

    def spec(self) -> Spec | None:
        """What was asked for; None if this is no job (yet)."""
        try:
            return codec.loads(Spec, self.read("spec.json"))
        except ValueError:
            return None

    def stamp(self) -> str:
        """Tells one `ended.json` from another; empty without one."""
        try:
            seen = os.stat(f"{self.path}/ended.json")  # noqa: PTH116
        except OSError:
            return ""
        return f"{seen.st_mtime_ns} {seen.st_size} {seen.st_ino}"

    def make_real(self) -> None:
        """From now on this directory is a job; for good once it is synced."""
        os.rename(f"{self.path}/{PREPARED}", f"{self.path}/spec.json")  # noqa: PTH104

    def keep_workdir(self, taken: Taken, last: bool) -> None:
        """Take over a copy of the directory to run in. Raises OSError."""
        taken.give(self.workdir, keep=not last)
        names = "\0".join(entry.path for entry in taken.entries)
        (self.path / "workdir.list").write_text(names, "utf-8", "surrogateescape")

    def copied(self) -> frozenset[str]:
        """The paths of what `workdir` held at submit. Raises OSError."""
        text = (self.path / "workdir.list").read_text("utf-8", "surrogateescape")
        return frozenset(text.split("\0"))

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
        self._last: int | None = None
        """The highest number that was ever used, once it was looked for."""

    def create(
        self,
        request: JobRequest,
        requeued_from: str | None = None,
        member: ArrayMember | None = None,
        taken: Taken | None = None,
    ) -> list[tuple[Spec, JobDirectory]]:
        """Make a new job's directory, or one for each job of an array; they exist once this returns.

        `taken` is the copy of its working directory, which is given away. `member` is the place in
        an array of a job that runs again by itself. Raises OSError if the plugin folder cannot be
        read or the disk takes no more: then none of them exists.
        """
        found = self._allocate(max(1, len(request.array)))
        ids = [directory.path.name for directory in found]
        members = [member and replace(member, id=ids[0])]
        if request.array:
            size = len(request.array)
            members = [ArrayMember(ids[0], index, size) for index in request.array]
        one, now_s = replace(request, array=()), time.time()
        specs = [
            Spec(job_id, now_s, one, requeued_from, array)
            for job_id, array in zip(ids, members, strict=True)
        ]
        jobs = list(zip(specs, found, strict=True))
        try:
            for spec, directory in jobs:
                self._fill(directory, request)
                if taken is not None:
                    directory.keep_workdir(taken, last=directory is found[-1])
                directory.put(PREPARED, json.loads(codec.dumps(spec)))
            _sync_all(found)
            shim.sync_directory(str(self.directory))
            # Made real at this moment, an array as a whole: `_finish` does the rest after a crash.
            found[0].make_real()
            shim.sync_directory(str(found[0].path))
        except (OSError, shutil.Error):
            for directory in found:
                shutil.rmtree(directory.path, ignore_errors=True)
            raise
        # Not synced: what a power cut takes back here, `_finish` makes again.
        for directory in found[1:]:
            directory.make_real()
        return jobs

    def _fill(self, directory: JobDirectory, request: JobRequest) -> None:
        if request.plugin_directory is not None:
            ignore = shutil.ignore_patterns(*NOT_COPIED)
            shutil.copytree(request.plugin_directory, directory.code, ignore=ignore)
        directory.frames.mkdir(mode=0o700)
        directory.log.touch(mode=0o600)
        directory.events.touch(mode=0o600)
        directory.put("parameters.json", dict(request.parameters))

    def _allocate(self, count: int) -> list[JobDirectory]:
        """The next free numbers in a row; making their directories is what takes them."""
        if self._last is None:
            self._last = max(self._removed_last(), *self._numbers(), 0)
        made: list[JobDirectory] = []
        while len(made) < count:
            self._last += 1
            path = self.directory / str(self._last)
            try:
                path.mkdir(mode=0o700)
            except FileExistsError:
                for directory in made:
                    directory.path.rmdir()
                made = []
                continue
            made.append(JobDirectory(path))
        return made

    def _numbers(self) -> Iterator[int]:
        for entry in os.scandir(self.directory):
            if entry.name.isdecimal():
                yield int(entry.name)

    def _removed_last(self) -> int:
        numbers = shim.read_json(str(self.directory / "numbers.json")) or {}
        last = numbers.get("removed_last")
        return last if type(last) is int else 0

    def detach(self, job_id: str) -> Path:
        """Make a job none at once; what is returned is to be deleted. Raises OSError."""
        last = max(self._removed_last(), int(job_id))
        shim.write_json(str(self.directory), "numbers.json", {"removed_last": last})
        path = self.directory / f"{job_id}{REMOVED}"
        (self.directory / job_id).rename(path)
        shim.sync_directory(str(self.directory))
        return path

    def sweep(self) -> None:
        """Delete what a removal or a submission that was cut off has left."""
        for pattern in (f"*{REMOVED}", f"{HIDDEN}*"):
            for path in self.directory.glob(pattern):
                shutil.rmtree(path, ignore_errors=True)

    def directories(self) -> list[JobDirectory]:
        """Every directory that may be a job's, oldest first."""
        return [JobDirectory(self.directory / str(number)) for number in sorted(self._numbers())]

    def complete(self, directory: JobDirectory) -> Spec | None:
        """What was asked for, once the submission is whole; a directory that is none is left alone."""
        return directory.spec() or self._finish(directory) or _recovered(directory)

    def _finish(self, directory: JobDirectory) -> Spec | None:
        """A member of an array whose submission was cut off: real if the array's first job is."""
        try:
            spec = codec.loads(Spec, directory.read(PREPARED))
        except ValueError:
            return None
        if spec.array is None or not (self.directory / spec.array.id / "spec.json").exists():
            shutil.rmtree(directory.path, ignore_errors=True)
            return None
        directory.make_real()
        shim.sync_directory(str(directory.path))
        return spec


def _sync_all(directories: Sequence[JobDirectory]) -> None:
    """Have what was written for these jobs survive a power cut. Raises OSError.

    Each file by itself, because a sync of the whole file system would wait for all that other jobs
    write. Many at once, because a journal takes those that come together in one go.
    """
    if len(directories) == 1:
        _sync(directories[0])
        return
    with ThreadPoolExecutor(SYNCS_AT_ONCE) as threads:
        for _ in threads.map(_sync, directories):
            pass


def _sync(directory: JobDirectory) -> None:
    for name in ("parameters.json", PREPARED):
        descriptor = os.open(f"{directory.path}/{name}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    shim.sync_directory(str(directory.path))


def _recovered(directory: JobDirectory) -> Spec | None:
    """What is still known of a job whose `spec.json` was lost after its start: it may run yet."""
    start = directory.read("start.json") or {}
    stages = start.get("stages")
    if not stages:
        return None
    request = JobRequest(
        f"job {directory.path.name}",
        tuple(stages[-1]["command"]),
        gpus=0 if start.get("slices") else tuple(start.get("gpus", ())),
        slices=tuple(start.get("slices", ())),
        time_limit_s=start.get("time_limit_s"),
    )
    return Spec(directory.path.name, (directory.path / "start.json").stat().st_mtime, request)
