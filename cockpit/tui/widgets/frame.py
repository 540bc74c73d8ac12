"""Frames of a live field: decoding, and sampling to the dots of a terminal. Knows no Textual."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any


@dataclass(frozen=True)
class Frame:
    """One picture of a field: `width` × `height` bytes, row by row from the top.

    Byte 0 is no value (a wall); 1 to 255 run from `low` to `high`.
    """

    sequence: int
    width: int
    height: int
    low: float
    high: float
    step: int
    time_s: float
    data: bytes

    @classmethod
    def decode(cls, answer: Mapping[str, Any]) -> Frame | None:
        """The answer of `job.frame` as a frame; None if it brings no newer one.

        Raises ValueError if the answer does not hold what it says.
        """
        if "data" not in answer:
            return None
        try:
            data = zlib.decompress(base64.b64decode(answer["data"]))
            width, height = int(answer["width"]), int(answer["height"])
            frame = cls(
                sequence=int(answer["sequence"]),
                width=width,
                height=height,
                low=float(answer["low"]),
                high=float(answer["high"]),
                step=int(answer["step"]),
                time_s=float(answer["time_s"]),
                data=data,
            )
        except (KeyError, TypeError, binascii.Error, zlib.error) as error:
            raise ValueError(f"a frame that cannot be read: {error}") from None
        if width < 1 or height < 1 or len(data) != width * height:
            raise ValueError(f"a frame of {width}×{height} came with {len(data)} bytes")
        return frame


def rescaled(frame: Frame, low: float, high: float) -> Frame:
    """The frame with its values on the scale from `low` to `high`; what lies beyond is at its end."""
    if (low, high) == (frame.low, frame.high) or not high > low:
        return frame
    factor = (frame.high - frame.low) / 254

    def byte(value: int) -> int:
        share = (frame.low + (value - 1) * factor - low) / (high - low)
        return 1 + round(254 * min(max(share, 0.0), 1.0))

    table = bytes([0, *(byte(value) for value in range(1, 256))])
    return replace(frame, low=low, high=high, data=frame.data.translate(table))


def fit(width: int, height: int, columns: int, rows: int) -> tuple[int, int]:
    """The largest picture of the frame's shape in `columns` × `rows` dots (each at least 1)."""
    if columns < 1 or rows < 1:
        return 0, 0
    scale = min(columns / width, rows / height)
    return min(max(round(width * scale), 1), columns), min(max(round(height * scale), 1), rows)


def sample(frame: Frame, columns: int, rows: int) -> list[bytes]:
    """The frame as `rows` rows of `columns` bytes; smaller ones are averages of what they cover."""
    width, height, data = frame.width, frame.height, frame.data
    across = _pick([min(int((x + 0.5) * width / columns), width - 1) for x in range(columns)])
    beside = None
    if width >= 2 * columns:
        quarter = width / columns / 4
        left = [(x + 0.5) * width / columns - quarter for x in range(columns)]
        across = _pick([int(place) for place in left])
        beside = _pick([min(int(place + 2 * quarter), width - 1) for place in left])
    result: list[bytes] = []
    for y in range(rows):
        first = min(int(y * height / rows), height - 1)
        last = max(min(int((y + 1) * height / rows), height), first + 1)
        middle = data[(first + last - 1) // 2 * width :][:width]
        if last - first >= 2:
            middle = average(data[first * width :][:width], data[(last - 1) * width :][:width])
        row = bytes(across(middle))
        result.append(average(row, bytes(beside(middle))) if beside else row)
    return result


def average(one: bytes, other: bytes) -> bytes:
    """The byte-wise mean (rounded down) of two equally long strings; 0, no value, wins over any.

    Without zeros all bytes are done at once, as one long integer: a + b = 2 (a & b) + (a ^ b), and
    the mask keeps the bit that the halving shifts out of each byte from entering its neighbour.
    """
    if 0 in one or 0 in other:
        return bytes([(a + b) // 2 if a and b else 0 for a, b in zip(one, other, strict=True)])
    size = len(one)
    a, b = int.from_bytes(one, "big"), int.from_bytes(other, "big")
    mask = int.from_bytes(b"\x7f" * size, "big")
    return ((a & b) + (((a ^ b) >> 1) & mask)).to_bytes(size, "big")


def _pick(places: list[int]) -> Any:
    if len(places) == 1:
        return lambda row: (row[places[0]],)
    return itemgetter(*places)
