"""A job's log as one stream of bytes, whatever rotation has put aside.

An offset counts from the first byte that was ever logged, and stays true for ever; where the bytes
lie, `shim/rotation.py` says.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cockpit.agent.jobs.shim import rotation, segments


@dataclass(frozen=True)
class Part:
    """Bytes of a log from `offset` on: a later one than was asked for where that is not kept."""

    offset: int
    data: bytes


@dataclass(frozen=True)
class Layout:
    """Where the bytes of a log are at this moment."""

    kept_from: int
    """What was logged before it was dropped, the oldest first; 0 while all is kept."""
    segments: tuple[tuple[int, int], ...]
    """(start, end) of each."""
    live_from: int
    """What was logged from here on is in `output.log`, at its own offset."""


def layout(directory: Path) -> Layout:
    """How the log of a job directory lies now."""
    kept_from = rotation.kept_from(str(directory))
    parts = tuple(part for part in segments.listed(os.listdir(directory)) if part[1] > kept_from)  # noqa: PTH208
    return Layout(kept_from, parts, max(kept_from, parts[-1][1] if parts else 0))


def read(directory: Path, offset: int, limit: int) -> Part:
    """Up to `limit` bytes from `offset`; fewer at the edge of a segment, none at the end only.

    Raises OSError.
    """
    while True:
        now = layout(directory)
        start = max(offset, now.kept_from)
        if start >= now.live_from:
            data = _read_live(directory, start, limit)
            # Before bytes are freed they stand elsewhere, or are known to be dropped: these were
            # read whole if they belong to the live file still.
            if layout(directory).live_from <= start:
                return Part(start, data)
            continue
        try:
            return _read_segment(directory, now, start, limit)
        except FileNotFoundError:
            continue  # dropped while it was looked for
        except ValueError:
            offset = next(end for _, end in now.segments if end > start)


def reader(directory: Path) -> Callable[[int, int], bytes]:
    """Read (offset, limit) → that many bytes, fewer at the end only; NUL for what is not kept."""

    def take(offset: int, limit: int) -> bytes:
        found = bytearray()
        while len(found) < limit:
            part = read(directory, offset + len(found), limit - len(found))
            if not part.data:
                break
            found += b"\0" * min(part.offset - offset - len(found), limit - len(found))
            found += part.data[: limit - len(found)]
        return bytes(found)

    return take


def _read_live(directory: Path, start: int, limit: int) -> bytes:
    with (directory / "output.log").open("rb") as file:
        file.seek(start)
        return file.read(limit)


def _read_segment(directory: Path, now: Layout, start: int, limit: int) -> Part:
    """Raises FileNotFoundError, or ValueError if the segment is damaged."""
    first, end = next(part for part in now.segments if part[1] > start)
    # Where a segment was deleted by hand there is a gap, and then the next one.
    start = max(start, first)
    data = segments.read(str(directory / segments.name(first, end)), start - first, limit)
    if not data:
        raise ValueError("the segment is shorter than its name says")
    return Part(start, data)
