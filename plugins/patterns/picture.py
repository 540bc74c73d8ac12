"""A field as a PNG file, by the standard library alone."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

COLOURS = np.array(
    [[5, 8, 30], [13, 52, 110], [20, 130, 160], [90, 200, 150], [245, 230, 120], [255, 255, 245]]
)
"""From the least to the greatest value, evenly apart; red, green, blue."""


def png(field: NDArray[np.float32], low: float, high: float) -> bytes:
    """The file for a field of shape (height, width), drawn from `low` to `high`."""
    place = np.clip((field - low) / (high - low), 0, 1) * (len(COLOURS) - 1)
    below = np.minimum(place.astype(int), len(COLOURS) - 2)
    share = (place - below)[..., None]
    pixels = (COLOURS[below] * (1 - share) + COLOURS[below + 1] * share).astype(np.uint8)
    height, width, _ = pixels.shape
    # Each row begins with the number of its filter, 0 for none.
    rows = np.zeros((height, 1 + 3 * width), np.uint8)
    rows[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 6)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
