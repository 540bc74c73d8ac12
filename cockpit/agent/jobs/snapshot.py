"""A copy of a directory as it is at a submission, so that a job runs on that and nothing later.

Files share their blocks with the originals where the file system can (FICLONE, or what
copy_file_range does); modes, times and links are kept.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import shutil
import stat
import uuid
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

BYTES_MOST, FILES_MOST = 2 << 30, 200_000
NOT_COPIED = ("__pycache__", ".git", ".venv", ".mypy_cache", ".ruff_cache", "node_modules")
HIDDEN = ".taken-"
"""Begins the name of a copy that belongs to no job yet."""
FICLONE = 0x40049409
COPY_BYTES = 1 << 30
_LOOKED_AT_MOST = 5 * FILES_MOST
_NO_CLONE = (errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EPERM)


class TooLargeError(Exception):
    """A directory that is not copied, in words: what it holds and the largest of it."""


@dataclass(frozen=True)
class Entry:
    """One thing in a directory: its path from there, and what lstat said of it."""

    path: str
    status: os.stat_result

    @property
    def bytes(self) -> int:
        return self.status.st_size if stat.S_ISREG(self.status.st_mode) else 0


@dataclass(frozen=True)
class Taken:
    """A copy that was made for jobs which do not exist yet."""

    directory: Path
    entries: tuple[Entry, ...]

    def give(self, target: Path, keep: bool) -> None:
        """Put it to `target`; a copy of it if more jobs are to get one. Raises OSError."""
        if keep:
            copy(self.directory, target, self.entries)
        else:
            self.directory.rename(target)

    def discard(self) -> None:
        """Delete what was not given away."""
        shutil.rmtree(self.directory, ignore_errors=True)


def take(source: Path, jobs: Path, copies: int = 1, only: Container[str] | None = None) -> Taken:
    """Copy `source` into a hidden directory beside the jobs. Raises TooLargeError and OSError.

    `only` are the paths of what is to be copied; None for everything.
    """
    entries = look(source, jobs, copies, only)
    taken = Taken(jobs / f"{HIDDEN}{uuid.uuid4().hex}", entries)
    try:
        copy(source, taken.directory, entries)
    except BaseException:
        taken.discard()
        raise
    return taken


def look(
    source: Path, leave_out: Path, copies: int = 1, only: Container[str] | None = None
) -> tuple[Entry, ...]:
    """What a copy of `source` would hold, each directory before what is in it.

    `leave_out` is a directory that is never part of it, wherever it lies. Raises TooLargeError if
    `copies` of it were too much, and OSError.
    """
    found: list[Entry] = []
    for entry in _walk(str(source), "", str(leave_out.resolve())):
        if only is not None and entry.path not in only:
            continue
        found.append(entry)
        if len(found) > _LOOKED_AT_MOST:
            break
    total = sum(entry.bytes for entry in found)
    if total * copies > BYTES_MOST or len(found) * copies > FILES_MOST:
        raise TooLargeError(_too_large(source, found, total, copies))
    return tuple(found)


def _walk(source: str, below: str, leave_out: str) -> Iterator[Entry]:
    with os.scandir(f"{source}/{below}") as listing:
        entries = sorted(listing, key=lambda entry: entry.name)
    for entry in entries:
        if entry.name in NOT_COPIED:
            continue
        with contextlib.suppress(FileNotFoundError):
            status = entry.stat(follow_symlinks=False)
            # A pipe, a socket or a device is no data, and reading one may never end.
            if not any(kind(status.st_mode) for kind in (stat.S_ISREG, stat.S_ISDIR, stat.S_ISLNK)):
                continue
            path = f"{below}{entry.name}"
            if stat.S_ISDIR(status.st_mode) and os.path.realpath(entry.path) == leave_out:
                continue
            yield Entry(path, status)
            if stat.S_ISDIR(status.st_mode):
                yield from _walk(source, f"{path}/", leave_out)


def _too_large(source: Path, found: list[Entry], total: int, copies: int) -> str:
    tops: dict[str, list[int]] = {}
    for entry in found:
        size = tops.setdefault(entry.path.partition("/")[0], [0, 0])
        size[0] += entry.bytes
        size[1] += 1
    by_bytes = total * copies > BYTES_MOST
    largest = sorted(tops.items(), key=lambda item: -item[1][0 if by_bytes else 1])[:3]
    names = ", ".join(f"{name} ({_size(*size)})" for name, size in largest)
    least = "at least " if len(found) > _LOOKED_AT_MOST else ""
    times = f", for each of {copies} jobs" if copies > 1 else ""
    return (
        f"{source} holds {least}{_size(total, len(found))}{times}; at most"
        f" {_size(BYTES_MOST, FILES_MOST)} are copied. The largest in it: {names}"
    )


def _size(size_bytes: int, files: int) -> str:
    unit, name = (1 << 30, "GiB") if size_bytes >= 1 << 30 else (1 << 20, "MiB")
    return f"{size_bytes / unit:.1f} {name} in {files} file{'' if files == 1 else 's'}"


def copy(source: Path, target: Path, entries: Iterable[Entry]) -> None:
    """Make the new directory `target` with these entries of `source`, on the disk when it returns.

    What is gone meanwhile is left out; a file that changes while it is copied is copied once more.
    Raises OSError.
    """
    target.mkdir(mode=0o700)
    folders: list[tuple[str, os.stat_result]] = [(str(target), source.stat())]
    for entry in entries:
        original, new = f"{source}/{entry.path}", f"{target}/{entry.path}"
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISDIR(entry.status.st_mode):
                os.mkdir(new, 0o700)  # noqa: PTH102
                folders.append((new, entry.status))
            elif stat.S_ISLNK(entry.status.st_mode):
                _copy_link(str(source), original, new, entry.status)
            else:
                _copy_file(original, new)
    # Last, and from within: what is put into a directory changes its time and needs its permission.
    for path, status in reversed(folders):
        os.chmod(path, stat.S_IMODE(status.st_mode) | stat.S_IRWXU)  # noqa: PTH101
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    _sync(target)


def _copy_link(source: str, original: str, new: str, status: os.stat_result) -> None:
    """The same link; one that leads out of `source` by a relative path leads to the same place."""
    leads = os.readlink(original)  # noqa: PTH115
    goal = os.path.normpath(f"{os.path.dirname(original)}/{leads}")  # noqa: PTH120
    if not leads.startswith("/") and not f"{goal}/".startswith(f"{source}/"):
        leads = goal
    os.symlink(leads, new)  # noqa: PTH211
    os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns), follow_symlinks=False)


def _copy_file(original: str, new: str) -> None:
    # Whatever stands there by now: neither a link nor a pipe is followed or waited for.
    reading = os.open(original, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    writing = -1
    try:
        before = os.fstat(reading)
        if not stat.S_ISREG(before.st_mode):
            return
        writing = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        for _ in range(2):
            os.ftruncate(writing, 0)
            _copy_content(reading, writing, before.st_size)
            after = os.fstat(reading)
            if (after.st_mtime_ns, after.st_size) == (before.st_mtime_ns, before.st_size):
                break
            before = after
        os.fchmod(writing, stat.S_IMODE(before.st_mode))
        os.utime(writing, ns=(before.st_atime_ns, before.st_mtime_ns))
    finally:
        os.close(reading)
        if writing >= 0:
            os.close(writing)


def _copy_content(reading: int, writing: int, size: int) -> None:
    try:
        fcntl.ioctl(writing, FICLONE, reading)
        return
    except OSError as error:
        if error.errno not in _NO_CLONE:
            raise
    at = 0
    try:
        while at < size:
            copied = os.copy_file_range(reading, writing, min(size - at, COPY_BYTES), at, at)
            if not copied:
                return
            at += copied
    except OSError as error:
        if error.errno not in _NO_CLONE:
            raise
        with open(reading, "rb", closefd=False) as source, open(writing, "wb", closefd=False) as to:
            source.seek(0)
            shutil.copyfileobj(source, to, 1 << 20)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        ctypes.CDLL(None, use_errno=True).syncfs(descriptor)
    finally:
        os.close(descriptor)
