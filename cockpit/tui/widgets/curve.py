"""Curve: what a job measured along its steps or its time, as a chart draws it. Knows no Textual."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from cockpit.tui.widgets.track import Column

Axis = Literal["step", "time_s"]
Point = tuple[float, float | None, float, float, int]
"""Place, mean (None: no number), least, greatest, and how many readings that is."""


class Curve:
    """Points in the order of their places; neighbours are joined by a straight line, gaps are not."""

    def __init__(self, points: Iterable[Point] = (), last: float | None = None) -> None:
        self.points = sorted(points, key=lambda point: point[0])
        self._places = [point[0] for point in self.points]
        self._last = last

    @classmethod
    def of(
        cls, rows: Sequence[Sequence[Any]], axis: Axis, origin_s: float, last: float | None = None
    ) -> Curve:
        """Rows of `job.metrics`; times count from `origin_s` on."""
        at, shift = (0, 0.0) if axis == "step" else (1, origin_s)
        return cls(
            (
                (row[at] - shift, row[2], row[3], row[4], int(row[5]))
                if row[2] is not None
                else (row[at] - shift, None, 0.0, 0.0, int(row[5]))
                for row in rows
            ),
            last,
        )

    @property
    def last(self) -> float | None:
        """The newest value, also while another part of the run is shown."""
        if self._last is None and self.points:
            return self.points[-1][1]
        return self._last

    @property
    def exact(self) -> bool:
        """Whether every point is one reading."""
        return all(point[4] == 1 for point in self.points)

    def near(self, place: float) -> Point | None:
        """The point nearest to a place, None if there is none."""
        if not self.points:
            return None
        at = bisect_left(self._places, place)
        around = self.points[max(at - 1, 0) : at + 1]
        return min(around, key=lambda point: abs(point[0] - place))

    def inside(self, start: float, end: float) -> list[Point]:
        """The points from `start` to `end`."""
        first = bisect_left(self._places, start)
        points = []
        for point in self.points[first:]:
            if point[0] > end:
                break
            points.append(point)
        return points

    def smoothed(self, weight: float) -> Curve:
        """An exponential moving average in which each earlier reading weighs `weight` times the next.

        Corrected for its start (Kingma and Ba, "Adam", arXiv:1412.6980, section 3), so that it
        neither begins at zero nor clings to the first reading.
        """
        average = share = 0.0
        points: list[Point] = []
        for place, mean, _, _, count in self.points:
            if mean is None:
                points.append((place, None, 0.0, 0.0, count))
                continue
            kept = weight**count
            average = kept * average + (1 - kept) * mean
            share = kept * share + (1 - kept)
            value = average / share
            points.append((place, value, value, value, count))
        return Curve(points)

    def positive(self) -> Curve:
        """The points that a logarithmic scale can show; the others are gaps."""
        return Curve(
            (
                (place, mean if mean is not None and mean > 0 else None, max(low, 0.0), high, count)
                if low > 0 or mean is None or mean <= 0
                else (place, mean, mean, high, count)
                for place, mean, low, high, count in self.points
            ),
            self._last,
        )

    def columns(self, start: float, step: float, count: int) -> list[Column | None]:
        """Least, mean and greatest in `count` columns of `step` from `start` on."""
        result: list[Column | None] = [None] * max(count, 0)
        weights = [0] * max(count, 0)
        end = start + step * count
        first = max(bisect_left(self._places, start) - 1, 0)
        before: tuple[float, float] | None = None
        for place, mean, low, high, number in self.points[first:]:
            if mean is None:
                before = None
                continue
            if before is not None:
                _join(result, weights, start, step, before, (place, mean))
            before = place, mean
            if place > end:
                break
            column = math.floor((place - start) / step)
            # The very end belongs to the last column.
            column = count - 1 if column == count and place <= end else column
            if 0 <= column < count:
                _put(result, weights, column, (low, mean, high), number)
        return result


def _put(
    result: list[Column | None], weights: list[int], column: int, value: Column, number: int
) -> None:
    present, weight = result[column], weights[column]
    weights[column] = weight + number
    if present is None or not weight:
        result[column] = value
        return
    mean = present[1] + (value[1] - present[1]) * (number / weights[column])
    result[column] = (min(present[0], value[0]), mean, max(present[2], value[2]))


def _join(
    result: list[Column | None],
    weights: list[int],
    start: float,
    step: float,
    one: tuple[float, float],
    two: tuple[float, float],
) -> None:
    """A straight line through the columns between two points."""
    first = max(math.floor((one[0] - start) / step) + 1, 0)
    last = min(math.floor((two[0] - start) / step), len(result))
    for column in range(first, last):
        if not weights[column]:
            share = (start + (column + 0.5) * step - one[0]) / (two[0] - one[0])
            value = one[1] + (two[1] - one[1]) * min(max(share, 0.0), 1.0)
            result[column] = (value, value, value)
