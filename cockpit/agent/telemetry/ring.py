"""The last hour of one GPU in memory, second by second."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Sequence

from cockpit.agent.telemetry.tiers import BLOCK, NAN, WIDTH

SIZE = 62 * BLOCK
"""Seconds kept: an hour, and the minutes that are about to be written."""

_ROW = struct.Struct(f"{WIDTH}f")


class Ring:
    """A row of WIDTH float32 values for each second; a second without one is a gap."""

    def __init__(self) -> None:
        self.newest = 0
        self._seconds = array("q", bytes(8 * SIZE))
        self._values = array("f", [NAN]) * (SIZE * WIDTH)

    def put(self, second: int, row: Sequence[float]) -> None:
        """Set the values of `second`; the last one set wins."""
        slot = second % SIZE
        _ROW.pack_into(self._values, slot * _ROW.size, *row)
        self._seconds[slot] = second
        if second > self.newest:
            self.newest = second

    def has(self, second: int) -> bool:
        """Whether there are values for `second`."""
        return self._seconds[second % SIZE] == second

    def get(self, second: int, metric: int) -> float:
        """The value of `second`, or NaN."""
        slot = second % SIZE
        return self._values[slot * WIDTH + metric] if self._seconds[slot] == second else NAN

    def minute(self, start: int) -> list[array[float]] | None:
        """The columns of the BLOCK seconds from `start` (a multiple of BLOCK), None if all are gaps."""
        first = start % SIZE
        present = [self._seconds[first + offset] == start + offset for offset in range(BLOCK)]
        if not any(present):
            return None
        values = self._values[first * WIDTH : (first + BLOCK) * WIDTH]
        for offset, there in enumerate(present):
            if not there:
                values[offset * WIDTH : (offset + 1) * WIDTH] = array("f", [NAN]) * WIDTH
        return [values[metric::WIDTH] for metric in range(WIDTH)]
