"""Live fields, from one process to another: a ring of three frames in a shared memory map.

The file, all numbers little-endian:

    offset  0   header, 64 bytes: magic "CKFR", u16 version, u16 slots, u32 width, u32 height,
                u64 sequence of the newest frame (0 before the first), zeros
    offset 64   the slots, each 64 bytes of header, then width × height bytes rounded up to 64
      slot      u64 lock, u64 sequence, i64 step, f64 time_s, f64 low, f64 high,
                u32 CRC-32 of the bytes before it and of the payload, zeros

The payload is row by row from the top. Byte 0 means "no value here" (a wall, a NaN); 1 to 255 run
linearly from `low` to `high`.

Frame number n (from 1) lives in slot (n - 1) mod slots. Each slot is a seqlock: its lock is 2n - 1
while frame n is being written and 2n when it is whole, so a reader that finds the same even number
before and after its copy has one frame. The checksum makes that hold also where a processor may
reorder stores.
"""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TypeVar

MAGIC = b"CKFR"
VERSION = 1
SLOTS = 3
HEADER_BYTES = 64
MAX_SIDE = 4096

_HEADER = struct.Struct("<4sHHII")
_NEWEST_OFFSET = _HEADER.size
_U64 = struct.Struct("<Q")
_SLOT = struct.Struct("<QQqddd")
_CRC = struct.Struct("<I")
_ATTEMPTS = 8
_End = TypeVar("_End", bound="_Ring")


@dataclass(frozen=True)
class Frame:
    """One field at one moment."""

    sequence: int
    """1 for the first frame of a file, then one more for each."""
    width: int
    height: int
    step: int
    time_s: float
    low: float
    high: float
    data: bytes
    """width × height bytes, row by row from the top; 0 is no value, 1 to 255 run from low to high."""


class _Ring:
    """One end of a ring file."""

    _map: mmap.mmap

    def close(self) -> None:
        """Release the map; the file stays."""
        self._map.close()

    def __enter__(self: _End) -> _End:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class FrameWriter(_Ring):
    """Makes the ring file at `path` and writes frames into it. One writer per file.

    Raises OSError where the disk has no room: the space is taken at once, because a memory map
    that meets a full disk later would kill the process. ValueError for an impossible size.
    """

    def __init__(self, path: str | os.PathLike[str], width: int, height: int) -> None:
        if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
            raise ValueError(f"a frame is 1 to {MAX_SIDE} wide and high, not {width} × {height}")
        self.path = Path(path)
        self.width = width
        self.height = height
        self._sequence = 0
        self._map = _create(self.path, width, height)

    def write(
        self,
        data: bytes | bytearray | memoryview,
        low: float,
        high: float,
        step: int,
        time_s: float,
    ) -> int:
        """Publish one frame and return its sequence number. ValueError if `data` has another size."""
        payload = bytes(data)
        if len(payload) != self.width * self.height:
            raise ValueError(
                f"a frame of {self.width} × {self.height} has {self.width * self.height} bytes,"
                f" not {len(payload)}"
            )
        number = self._sequence + 1
        start = _slot_start(number, self.width, self.height)
        fields = _SLOT.pack(2 * number, number, step, time_s, low, high)
        self._map[start : start + _U64.size] = _U64.pack(2 * number - 1)
        body = start + HEADER_BYTES
        self._map[body : body + len(payload)] = payload
        rest = fields[_U64.size :] + _CRC.pack(zlib.crc32(payload, zlib.crc32(fields)))
        self._map[start + _U64.size : start + _U64.size + len(rest)] = rest
        self._map[start : start + _U64.size] = fields[: _U64.size]
        self._map[_NEWEST_OFFSET : _NEWEST_OFFSET + _U64.size] = _U64.pack(number)
        self._sequence = number
        return number


class FrameReader(_Ring):
    """Reads the newest whole frame of a ring file; any number of readers, none of them writes.

    Raises OSError if the file cannot be opened and ValueError if it is not a ring of this version.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        with self.path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size < HEADER_BYTES:
                raise ValueError(f"{self.path} is not a frame file: only {size} bytes")
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        magic, version, slots, self.width, self.height = _HEADER.unpack_from(self._map, 0)
        if (magic, version, slots) != (MAGIC, VERSION, SLOTS):
            self.close()
            raise ValueError(f"{self.path} is not a frame file of version {VERSION}")
        if size < _file_bytes(self.width, self.height):
            self.close()
            raise ValueError(f"{self.path} is cut short at {size} bytes")

    def latest(self, after: int = 0) -> Frame | None:
        """The newest frame if its sequence is above `after`, else None.

        None also when the writer overtook every attempt to copy a whole frame; ask again later.
        """
        for _ in range(_ATTEMPTS):
            (number,) = _U64.unpack(self._map[_NEWEST_OFFSET : _NEWEST_OFFSET + _U64.size])
            if number <= after:
                return None
            frame = self._copy(number)
            if frame is not None:
                return frame
        return None

    def _copy(self, number: int) -> Frame | None:
        start = _slot_start(number, self.width, self.height)
        fields = self._map[start : start + _SLOT.size]
        body = start + HEADER_BYTES
        data = self._map[body : body + self.width * self.height]
        (checksum,) = _CRC.unpack(self._map[start + _SLOT.size : start + _SLOT.size + _CRC.size])
        (lock_after,) = _U64.unpack(self._map[start : start + _U64.size])
        lock, sequence, step, time_s, low, high = _SLOT.unpack(fields)
        if lock != 2 * number or lock_after != lock or sequence != number:
            return None
        if zlib.crc32(data, zlib.crc32(fields)) != checksum:
            return None
        return Frame(sequence, self.width, self.height, step, time_s, low, high, data)


def _slot_bytes(width: int, height: int) -> int:
    return HEADER_BYTES + (width * height + 63) // 64 * 64


def _slot_start(number: int, width: int, height: int) -> int:
    return HEADER_BYTES + (number - 1) % SLOTS * _slot_bytes(width, height)


def _file_bytes(width: int, height: int) -> int:
    return HEADER_BYTES + SLOTS * _slot_bytes(width, height)


def _create(path: Path, width: int, height: int) -> mmap.mmap:
    """A new file under `path`, never the old one changed: a reader of that keeps a whole map."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("w+b") as file:
            size = _file_bytes(width, height)
            os.posix_fallocate(file.fileno(), 0, size)
            file.write(_HEADER.pack(MAGIC, VERSION, SLOTS, width, height))
            file.flush()
            mapped = mmap.mmap(file.fileno(), size)
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    return mapped
