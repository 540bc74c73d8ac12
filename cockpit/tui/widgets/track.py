"""Track: one figure over time, as a chart draws it."""

from __future__ import annotations

import math
from bisect import bisect_left

from cockpit.model import Series

Column = tuple[float, float, float]
"""Minimum, mean and maximum of what fell into one column of a chart."""

BRIDGE = 2.5
"""Readings further apart than this many intervals have a gap between them."""


class Track:
    """Readings in buckets of `resolution_s`, each with minimum, mean and maximum; a gap is None."""

    def __init__(self, resolution_s: float = 1.0) -> None:
        self.resolution_s = max(resolution_s, 1e-3)
        self.times_s: list[float] = []
        self.minimum: list[float | None] = []
        self.mean: list[float | None] = []
        self.maximum: list[float | None] = []
        self._in_last = 0

    def load(self, series: Series, factor: float = 1.0) -> None:
        """Take `series` (times `factor`) as the past; readings already here and newer stay."""
        newer = [
            entry
            for entry in zip(self.times_s, self.minimum, self.mean, self.maximum, strict=True)
            if not series.times_s or entry[0] > series.times_s[-1]
        ]
        self.__init__(max(series.resolution_s, 1e-3))  # type: ignore[misc]
        past = zip(series.times_s, series.minimum, series.mean, series.maximum, strict=True)
        for time_s, low, mean, high in past:
            if not self.times_s or time_s > self.times_s[-1]:
                self._push(
                    time_s, _scaled(low, factor), _scaled(mean, factor), _scaled(high, factor)
                )
        for time_s, _, value, _ in newer:
            self.append(time_s, value)

    def append(self, time_s: float, value: float | None) -> None:
        """Add a reading; one older than the newest is left out."""
        value = _finite(value)
        if self.times_s:
            age = time_s - self.times_s[-1]
            if not age > 0:
                return
            # A reading a little early must not merge into the one before it.
            if age < self.resolution_s * 0.6 or (self._in_last > 1 and age < self.resolution_s):
                self._merge(value)
                return
        self._push(time_s, value, value, value)

    def forget(self, before_s: float) -> None:
        """Drop what is older than `before_s`."""
        cut = bisect_left(self.times_s, before_s)
        if cut > 64:
            for column in (self.times_s, self.minimum, self.mean, self.maximum):
                del column[:cut]

    @property
    def last(self) -> float | None:
        """The newest reading, None if it could not be read or there is none."""
        return self.mean[-1] if self.mean else None

    def columns(self, start_s: float, step_s: float, count: int) -> list[Column | None]:
        """The readings in `count` columns of `step_s` from `start_s`; each holds until the next."""
        result: list[Column | None] = [None] * max(count, 0)
        sums: dict[int, tuple[float, int]] = {}
        times, reach = self.times_s, self.resolution_s * BRIDGE
        end_s = start_s + step_s * count
        for at in range(bisect_left(times, start_s - reach), len(times)):
            time_s, mean = times[at], self.mean[at]
            if time_s >= end_s:
                break
            if mean is None:
                continue
            following = times[at + 1] if at + 1 < len(times) else math.inf
            until = following if following - time_s <= reach else time_s + self.resolution_s
            first = math.floor((time_s - start_s) / step_s)
            last = min(math.ceil((until - start_s) / step_s), count)
            low, high = self.minimum[at], self.maximum[at]
            column = (mean if low is None else low, mean, mean if high is None else high)
            if 0 <= first < count:
                _aggregate(result, sums, first, column)
            for index in range(max(first + 1, 0), last):
                result[index] = column
        return result

    def _push(
        self, time_s: float, low: float | None, mean: float | None, high: float | None
    ) -> None:
        self.times_s.append(time_s)
        self.minimum.append(low)
        self.mean.append(mean)
        self.maximum.append(high)
        self._in_last = 1

    def _merge(self, value: float | None) -> None:
        if value is None:
            return
        low, mean, high = self.minimum[-1], self.mean[-1], self.maximum[-1]
        self._in_last += 1
        if low is None or mean is None or high is None:
            self.minimum[-1] = self.mean[-1] = self.maximum[-1] = value
            return
        self.minimum[-1] = min(low, value)
        self.maximum[-1] = max(high, value)
        self.mean[-1] = mean + (value - mean) / self._in_last


def _aggregate(
    result: list[Column | None],
    sums: dict[int, tuple[float, int]],
    index: int,
    column: Column,
) -> None:
    """Merge `column` into what already fell into `index` by its own time."""
    before = result[index]
    if before is None or index not in sums:
        # What was held over from an earlier column gives way to a reading of this one.
        result[index], sums[index] = column, (column[1], 1)
        return
    total, count = sums[index]
    total, count = total + column[1], count + 1
    sums[index] = (total, count)
    result[index] = (min(before[0], column[0]), total / count, max(before[2], column[2]))


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _scaled(value: float | None, factor: float) -> float | None:
    value = _finite(value)
    return None if value is None else value * factor
