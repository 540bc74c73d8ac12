"""Copying what a job has made to this machine; interrupted anywhere, the same copy goes on there."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import re
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from cockpit.cli.patience import patiently
from cockpit.client import Box
from cockpit.errors import CockpitError
from cockpit.model import JobFile

READ_LEAST, READ_MOST = 1 << 15, 1 << 20
QUICK_S, SLOW_S = 0.25, 2.0
"""A read that takes less is followed by larger ones, one that takes longer by smaller ones."""
READS_AT_ONCE = 3
VERSIONS_MOST = 3
"""How often a file that is replaced meanwhile is begun again."""


@dataclass
class Copied:
    """What became of a copy, as it grows."""

    files: int = 0
    bytes: int = 0
    """Of the files that were copied, those that were there already not counted."""
    already: int = 0
    """Files that were there, of the same size and time."""
    changed: list[str] = field(default_factory=list)
    """Written to by the job meanwhile: a copy of what they held at the start, at least in part."""
    left_out: list[tuple[str, str]] = field(default_factory=list)
    """Path and reason."""


Progress = Callable[[int], None]
"""Told how many bytes have come, of files that are still being copied too."""


class Copy:
    """One job's files on their way."""

    def __init__(self, box: Box, job_id: str, progress: Progress = lambda _: None) -> None:
        self.done = Copied()
        self._box, self._job_id = box, job_id
        self._progress = progress
        self._came = 0
        self._read_bytes = READ_LEAST

    async def take(self, path: str, entries: Iterable[JobFile], target: Path) -> None:
        """Copy `path`, which consists of `entries`, so that it is `target`. Raises CockpitError."""
        links: list[tuple[JobFile, Path]] = []
        folders: list[tuple[JobFile, Path]] = []
        for entry in entries:
            place = _place(target, entry.path)
            whole = f"{path.rstrip('/')}/{entry.path}".strip("/") if entry.path else path
            if place is None:
                self.done.left_out.append((whole, "its name leads out of what is copied"))
            elif entry.kind == "folder":
                with _writing(place):
                    place.mkdir(parents=True, exist_ok=True)
                folders.append((entry, place))
            elif entry.kind == "link":
                links.append((entry, place))
            elif entry.kind == "file":
                with _writing(place):
                    place.parent.mkdir(parents=True, exist_ok=True)
                await self._file(whole, entry, place)
            else:
                reason = "its name is not UTF-8" if entry.kind == "unnameable" else "it is no file"
                self.done.left_out.append((whole, reason))
        # Last: nothing is ever written through a link that was copied.
        for entry, place in links:
            self._link(f"{path}/{entry.path}".strip("/"), entry, place)
        for entry, place in reversed(folders):
            with contextlib.suppress(OSError):
                place.chmod(entry.mode | 0o700)

    def _link(self, path: str, entry: JobFile, place: Path) -> None:
        """The same link, if it leads to something that is copied too."""
        inside = PurePosixPath(os.path.normpath(PurePosixPath(entry.path).parent / entry.leads_to))
        if not entry.path or inside.is_absolute() or ".." in inside.parts:
            self.done.left_out.append((path, f"it is a link that leads to {entry.leads_to}"))
            return
        with _writing(place):
            if place.is_symlink():
                place.unlink()
            place.symlink_to(entry.leads_to)

    async def _file(self, path: str, entry: JobFile, place: Path) -> None:
        if place.is_dir():
            raise CockpitError(f"{place} is a folder here, and a file of the job", "Move it away.")
        if _same(place, entry):
            self.done.already += 1
            self._arrived(entry.size)
            return
        for _ in range(VERSIONS_MOST):
            part = _part(place, entry)
            came = self._came
            newer = await self._bytes(path, entry, part)
            if newer is None:
                self.done.files += 1
                self.done.bytes += entry.size
                with _writing(place):
                    part.chmod(entry.mode & 0o777)
                    os.utime(part, ns=(time.time_ns(), entry.modified_ns))
                    part.replace(place)
                return
            part.unlink(missing_ok=True)
            self._came = came
            entry = newer
        self.done.left_out.append((path, "it was replaced again and again while it was copied"))

    async def _bytes(self, path: str, entry: JobFile, part: Path) -> JobFile | None:
        """Fill `part`; None when it holds the file, or the file that has taken its place."""
        with _writing(part), part.open("ab") as file:
            offset = file.tell()
            self._arrived(offset)
            reads: deque[tuple[int, asyncio.Task[dict[str, Any]]]] = deque()
            asked = offset
            try:
                while offset < entry.size:
                    while asked < entry.size and len(reads) < READS_AT_ONCE:
                        length = min(self._read_bytes, entry.size - asked)
                        reads.append((length, asyncio.create_task(self._read(path, asked, length))))
                        asked += length
                    length, read = reads.popleft()
                    answer = await read
                    if answer["inode"] != entry.inode:
                        fields = ("size", "modified_ns", "inode")
                        return replace(entry, **{name: answer[name] for name in fields})
                    data = base64.b64decode(answer["data"])
                    file.write(data)
                    offset += len(data)
                    self._arrived(len(data))
                    if len(data) < length:
                        break
                    if answer["modified_ns"] != entry.modified_ns:
                        self._note_change(path)
                if offset < entry.size:
                    self._note_change(path)
            finally:
                for _, read in reads:
                    read.cancel()
        return None

    async def _read(self, path: str, offset: int, length: int) -> dict[str, Any]:
        begun = time.monotonic()
        read = partial(self._box.job_read, self._job_id, path, offset, length)
        answer = await patiently(self._box, read)
        took_s = time.monotonic() - begun
        if took_s < QUICK_S:
            self._read_bytes = min(self._read_bytes * 2, READ_MOST)
        elif took_s > SLOW_S:
            self._read_bytes = max(self._read_bytes // 2, READ_LEAST)
        return answer

    def _note_change(self, path: str) -> None:
        if path not in self.done.changed:
            self.done.changed.append(path)

    def _arrived(self, count: int) -> None:
        self._came += count
        self._progress(self._came)


def _place(target: Path, path: str) -> Path | None:
    """Where a file belongs; None for a name that no honest box would send."""
    parts = PurePosixPath(path).parts
    if path.startswith("/") or ".." in parts or "\0" in path:
        return None
    return target.joinpath(*parts)


def _same(place: Path, entry: JobFile) -> bool:
    try:
        status = place.lstat()
    except OSError:
        return False
    return (status.st_size, status.st_mtime_ns) == (entry.size, entry.modified_ns)


def _part(place: Path, entry: JobFile) -> Path:
    """Where this version of the file grows; what is left of other versions is deleted."""
    mine = f".{place.name}.{entry.inode:x}-{entry.modified_ns:x}.part"
    pattern = re.compile(re.escape(f".{place.name}.") + r"[0-9a-f]+-[0-9a-f]+\.part")
    for other in place.parent.iterdir():
        if other.name != mine and pattern.fullmatch(other.name):
            other.unlink()
    return place.with_name(mine)


@contextlib.contextmanager
def _writing(place: Path) -> Any:
    """What cannot be written here, in words."""
    try:
        yield
    except OSError as error:
        raise CockpitError(
            f"{error.filename or place} cannot be written: {error.strerror}",
            "What has come is kept: the same command goes on from there.",
        ) from None
