"""A two-dimensional array of numbers to the bytes of a frame.

Uses NumPy when the workload has already loaded it, and plain Python otherwise.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Any

MAX_SIDE = 640
"""More cells than any terminal draws: a larger field is thinned to every n-th row and column."""


@dataclass(frozen=True)
class Field:
    """width × height bytes, row by row from the top: 0 is no value, 1 to 255 run from low to high."""

    width: int
    height: int
    low: float
    high: float
    data: bytes


def to_field(array: Any, low: float | None = None, high: float | None = None) -> Field:
    """Scale `array` (rows × columns: NumPy array, memoryview or nested sequences) to bytes.

    Without `low` or `high` the least or greatest finite value is taken. NaN and infinity become
    "no value". Raises ValueError if `array` is not a two-dimensional table of numbers.
    """
    numpy = sys.modules.get("numpy")
    if numpy is not None and (isinstance(array, numpy.ndarray) or hasattr(array, "__array__")):
        return _from_numpy(numpy, array, low, high)
    return _from_rows(array, low, high)


def _from_numpy(numpy: Any, array: Any, low: float | None, high: float | None) -> Field:
    values = numpy.asarray(array)
    if values.ndim != 2 or values.size == 0 or values.dtype.kind not in "buif":
        raise ValueError(
            f"a field is a table of numbers, rows × columns;"
            f" got shape {tuple(values.shape)} of {values.dtype}"
        )
    stride = _stride(*values.shape)
    values = values[::stride, ::stride].astype(numpy.float64)
    finite = numpy.isfinite(values)
    known = values[finite]
    low, high = (
        _range(known.min(), known.max(), low, high) if known.size else _range(0, 0, low, high)
    )
    scaled = 1.0 + (values - low) * (254.0 / (high - low))
    with numpy.errstate(invalid="ignore"):
        data = numpy.where(finite, numpy.clip(numpy.rint(scaled), 1, 255), 0).astype(numpy.uint8)
    height, width = values.shape
    return Field(width, height, low, high, data.tobytes())


def _from_rows(array: Any, low: float | None, high: float | None) -> Field:
    table = _table(array)
    stride = _stride(len(table), len(table[0]))
    rows = [row[::stride] for row in table[::stride]]
    known = [value for row in rows for value in row if math.isfinite(value)]
    low, high = _range(min(known, default=0.0), max(known, default=0.0), low, high)
    scale = 254.0 / (high - low)
    data = bytes(
        min(255, max(1, round(1.0 + (value - low) * scale))) if math.isfinite(value) else 0
        for row in rows
        for value in row
    )
    return Field(len(rows[0]), len(rows), low, high, data)


def _table(array: Any) -> list[list[float]]:
    source: Any = array.tolist() if isinstance(array, memoryview) else array
    try:
        table = [[float(value) for value in row] for row in source]
    except (TypeError, ValueError):
        raise ValueError("a field is a table of numbers, rows × columns") from None
    if not table or not table[0] or any(len(row) != len(table[0]) for row in table):
        raise ValueError("a field has at least one cell, and rows of one length")
    return table


def _stride(height: int, width: int) -> int:
    return max(1, math.ceil(max(height, width) / MAX_SIDE))


def _range(least: Any, most: Any, low: float | None, high: float | None) -> tuple[float, float]:
    """The bounds to draw between: as given, else the data's own; never an empty range."""
    bottom = float(least if low is None or not math.isfinite(low) else low)
    top = float(most if high is None or not math.isfinite(high) else high)
    if top > bottom:
        return bottom, top
    return bottom, bottom + (abs(bottom) * 1e-6 or 1.0)
