"""Keeps a job's log from filling the disk while the job writes to it, losing and doubling no byte.

A job holds `output.log` open for days, so a rename would rotate nothing. Instead the finished part
is packed into a segment, and only once that is on disk under its name, the part is freed in the
live file by a hole (`fallocate`, FALLOC_FL_PUNCH_HOLE). The file keeps its length, so every byte
keeps its offset for ever: a byte is read from the segment that covers it, else from the live file.
Killed at any instant, both may hold a byte, but never none, and no reader sees it twice.

Where a file system knows no holes, the log is left as it is. Beyond DISK_BYTES the oldest is
dropped, at a line end, after `dropped.json` says so.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import time

from . import segments
from .files import read_json, sync_directory, write_json

SEGMENT_BYTES = 256 << 20
DISK_BYTES = 2 << 30
"""What the segments and the live file of one job may take together."""
LOOK_S = 2.0
AGAIN_S = 30.0
"""After a disk that took no segment."""
DROPPED = "dropped.json"
"""`{"kept_from": offset}`: what was logged before it is not kept any more."""
_SPARE = ".output.log.gz.next"
_KEEP_SIZE, _PUNCH_HOLE = 1, 2


def kept_from(directory: str) -> int:
    """The first byte of all that was ever logged that has not been dropped."""
    value = (read_json(f"{directory}/{DROPPED}") or {}).get("kept_from", 0)
    return value if type(value) is int else 0


class Rotation:
    """The log of one job, rotated in small steps between which the shim can do other things."""

    def __init__(
        self,
        directory: str,
        segment_bytes: int = SEGMENT_BYTES,
        disk_bytes: int = DISK_BYTES,
        look_s: float = LOOK_S,
    ) -> None:
        self.look_s = look_s
        """How often it wants to `work` when nothing happens."""
        self._directory = directory
        self._segment_bytes, self._disk_bytes = segment_bytes, disk_bytes
        self._next_look_s = 0.0
        self._packing: _Packing | None = None

    def work(self) -> bool:
        """Do one step if there is something to do; True if there may be more at once."""
        now = time.monotonic()
        try:
            if now >= self._next_look_s:
                self._next_look_s = now + self.look_s
                self._look()
            if self._packing is not None and self._packing.step():
                self._packing = None
                self._next_look_s = now
        except OSError:
            self.close()
            self._next_look_s = now + AGAIN_S
        return self._packing is not None or self._next_look_s <= now

    def _look(self) -> None:
        """Drop what is too much, and begin a segment if one is full."""
        path = f"{self._directory}/output.log"
        try:
            size = os.stat(path).st_size  # noqa: PTH116
        except FileNotFoundError:
            return
        if size <= min(self._segment_bytes, self._disk_bytes):
            return
        live_from = self._shrink(size)
        if self._packing is not None and self._packing.start < live_from:
            self.close()
        if self._packing is None and size - live_from > self._segment_bytes:
            self._packing = _Packing(self._directory, live_from, live_from + self._segment_bytes)
            if not self._packing.possible():
                self.close()
                self._next_look_s = float("inf")

    def _shrink(self, size: int) -> int:
        """Drop the oldest until the rest fits; where the live file begins then."""
        dropped = kept_from(self._directory)
        found = [part for part in segments.listed(os.listdir(self._directory)) if part[1] > dropped]  # noqa: PTH208
        paths = [f"{self._directory}/{segments.name(*part)}" for part in found]
        sizes = [os.stat(path).st_size for path in paths]  # noqa: PTH116
        live_from = max(dropped, found[-1][1] if found else 0)
        while found and sum(sizes) + size - live_from > self._disk_bytes:
            write_json(self._directory, DROPPED, {"kept_from": found.pop(0)[1]})
            os.unlink(paths.pop(0))  # noqa: PTH108
            sizes.pop(0)
        if size - live_from > self._disk_bytes:
            # It is written faster than it can be packed.
            log = _open_log(self._directory)
            try:
                live_from = line_end(log, live_from, size - self._disk_bytes // 2)
                write_json(self._directory, DROPPED, {"kept_from": live_from})
                punch(log, 0, live_from)
            finally:
                os.close(log)
        return live_from

    def close(self) -> None:
        """Give up what is under way."""
        if self._packing is not None:
            self._packing.close()
            self._packing = None


class _Packing:
    """One segment under way."""

    def __init__(self, directory: str, start: int, full: int) -> None:
        self.start = self._at = start
        self._directory = directory
        self._log = _open_log(directory)
        try:
            self._end = line_end(self._log, start, full)
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
            self._spare = os.open(f"{directory}/{_SPARE}", flags, 0o600)
        except OSError:
            os.close(self._log)
            raise

    def possible(self) -> bool:
        """Whether this file system can have holes, tried where nothing is lost by it."""
        return punch(self._spare, 0, 4096)

    def step(self) -> bool:
        """Pack one block; True when the segment is in place and its part of the log is freed."""
        block = os.pread(self._log, min(segments.BLOCK_BYTES, self._end - self._at), self._at)
        if not block:
            raise OSError("the log is shorter than it was")
        left = memoryview(segments.pack(block))
        while left:
            left = left[os.write(self._spare, left) :]
        self._at += len(block)
        if self._at < self._end:
            return False
        os.fsync(self._spare)
        final = f"{self._directory}/{segments.name(self.start, self._end)}"
        os.rename(f"{self._directory}/{_SPARE}", final)  # noqa: PTH104
        sync_directory(self._directory)
        punch(self._log, 0, self._end)
        self.close()
        return True

    def close(self) -> None:
        """Let go of the files; a segment that is not whole goes away."""
        os.close(self._log)
        os.close(self._spare)
        discard(self._directory)


def discard(directory: str) -> None:
    """Delete a segment that was not finished: the live file still has what it holds."""
    with contextlib.suppress(OSError):
        os.unlink(f"{directory}/{_SPARE}")  # noqa: PTH108


def line_end(log: int, start: int, most: int) -> int:
    """Where the last line that ends at or before `most` ends; `most` if none does after `start`."""
    at = most
    while at > start:
        begin = max(start, at - (1 << 16))
        found = os.pread(log, at - begin, begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        at = begin
    return most


def punch(log: int, start: int, length: int) -> bool:
    """Free a range of a file, which then reads as zeros; False where the file system cannot."""
    library = ctypes.CDLL(None, use_errno=True)
    fallocate = getattr(library, "fallocate64", None) or library.fallocate
    fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    return bool(fallocate(log, _KEEP_SIZE | _PUNCH_HOLE, start, length) == 0)


def _open_log(directory: str) -> int:
    return os.open(f"{directory}/output.log", os.O_RDWR | os.O_CLOEXEC)
