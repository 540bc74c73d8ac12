"""The arithmetic of history: blocks of buckets, condensing seconds, and series for a chart.

Every block holds BLOCK buckets of every metric of HISTORY_METRICS as float32, column after column,
compressed; NaN stands for a gap. Blocks of the 1 s tier hold one value per bucket, those of the
coarser tiers minimum, mean and maximum.

`throttle_mask` is a set of bits, so its minimum is the bits that were set all the time (AND), its
maximum those that were set at any time (OR), and its mean the share of time (0 to 1) in which
anything really slowed the GPU (SLOWING_BITS).
"""

from __future__ import annotations

import math
import zlib
from array import array
from collections.abc import Sequence

from cockpit.model import HISTORY_METRICS, THROTTLE_BITS

BLOCK = 60
"""Buckets in a block."""

SECONDS, TENS, MINUTES = 1, 10, 60
"""The tiers, by the seconds in a bucket."""

KEPT_S = {SECONDS: 3600, TENS: 86_400, MINUTES: 30 * 86_400}
"""How far back each tier reaches."""

WIDTH = len(HISTORY_METRICS)
MASK = HISTORY_METRICS.index("throttle_mask")
NAN = math.nan
SLOWING_BITS = sum(
    THROTTLE_BITS[name]
    for name in (
        "power_cap",
        "hw_slowdown",
        "sw_thermal",
        "hw_thermal",
        "power_brake",
        "board_limit",
        "reliability",
    )
)

Bucket = tuple[float, float, float]
"""Minimum, mean, maximum; three NaN for a gap."""

Point = tuple[float, float, float, float]
"""Start of the bucket, minimum, mean, maximum."""

GAP: Bucket = (NAN, NAN, NAN)


def pack(columns: Sequence[array[float]]) -> bytes:
    """Columns of BLOCK values each as they are stored."""
    return zlib.compress(b"".join([column.tobytes() for column in columns]), 1)


def unpack(data: bytes) -> array[float]:
    """The columns of `pack`, one after the other."""
    values = array("f")
    values.frombytes(zlib.decompress(data))
    return values


def numbers(values: Sequence[float]) -> Bucket:
    """Minimum, mean and maximum of readings; gaps do not count."""
    present = [value for value in values if value == value]
    if not present:
        return GAP
    return min(present), math.fsum(present) / len(present), max(present)


def masks(values: Sequence[float]) -> Bucket:
    """What `numbers` is, for throttle masks."""
    present = [int(value) for value in values if value == value]
    if not present:
        return GAP
    always, ever, slowed = present[0], 0, 0
    for mask in present:
        always &= mask
        ever |= mask
        slowed += bool(mask & SLOWING_BITS)
    return float(always), slowed / len(present), float(ever)


def condense(columns: Sequence[array[float]], seconds: int) -> list[array[float]]:
    """Columns of BLOCK·`seconds` one-second values to three columns of BLOCK buckets each."""
    result: list[array[float]] = []
    for metric, column in enumerate(columns):
        merge = masks if metric == MASK else numbers
        buckets = [
            merge(column[start : start + seconds]) for start in range(0, BLOCK * seconds, seconds)
        ]
        result.extend(array("f", [bucket[part] for bucket in buckets]) for part in range(3))
    return result


def merge_points(points: Sequence[Point], mask: bool) -> Bucket:
    """Several buckets of equal length as one; its minimum and maximum are those of its parts."""
    present = [point for point in points if point[1] == point[1]]
    if not present:
        return GAP
    mean = math.fsum([point[2] for point in present]) / len(present)
    if not mask:
        return min([point[1] for point in present]), mean, max([point[3] for point in present])
    always, ever = int(present[0][1]), 0
    for _, low, _, high in present:
        always &= int(low)
        ever |= int(high)
    return float(always), mean, float(ever)


def bucket_width(since_s: float, until_s: float, resolution: int, points: int) -> int:
    """The seconds in a bucket so that at most `points` aligned ones cover the time asked for.

    Buckets start at multiples of their width, so that a chart that moves on does not shimmer.
    """
    width = resolution
    while math.floor(until_s / width) - math.floor(since_s / width) + 1 > points:
        spread = (until_s - since_s) / points
        width = max(width + resolution, math.ceil(spread / resolution) * resolution)
    return width
