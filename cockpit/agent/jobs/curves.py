"""What a metric did over a run of any length, in a bounded number of buckets.

Every bucket keeps the least, the mean and the greatest of its readings, so that a spike among a
million readings is never lost; what a bucket hides is read again from the job's events when
somebody looks closer.
"""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import mul
from pathlib import Path
from typing import Any, Literal

Axis = Literal["step", "time_s"]
Row = list[Any]
"""`[step, time_s, mean, low, high, count]`: where the first of `count` readings stands, and what
they were. Mean, low and high are None where the job said that there was no number."""

BUCKETS_KEPT = 8192
"""Of one metric; beyond that neighbours become one."""
STRETCH_BYTES = 256 * 1024
STRETCHES_KEPT = 4096
LINE_BYTES = 1 << 16


class Curve:
    """The readings of one metric, in the order in which they were told."""

    def __init__(self, most: int = BUCKETS_KEPT) -> None:
        self._most = max(most, 4)
        self._stride = 1
        self._steps, self._times = array("d"), array("d")
        self._means, self._lows, self._highs = array("d"), array("d"), array("d")
        self._counts = array("q")
        self._newest: tuple[float, float, float | None] = (0.0, 0.0, None)

    def __len__(self) -> int:
        return len(self._counts)

    def append(self, step: float, time_s: float, value: float | None) -> None:
        """Add a reading; None is one that was told and is no number."""
        number = math.nan if value is None else value
        self._newest = step, time_s, value
        if self._counts and self._counts[-1] < self._stride:
            self._merge(len(self) - 1, number, number, number, 1)
            return
        self._push(step, time_s, number, number, number, 1)
        if len(self) > self._most:
            self._halve()

    def copy(self) -> Curve:
        """As it is now, for another thread."""
        return self._part(0, len(self))

    def rows(
        self, points: int, axis: Axis = "step", since: float = -math.inf, until: float = math.inf
    ) -> list[Row]:
        """The buckets from `since` to `until` and one beyond each end, merged to `points` at most.

        The newest reading of all is in a bucket, and once more by itself at the end.
        """
        places = self._steps if axis == "step" else self._times
        inside = [at for at, place in enumerate(places) if since <= place <= until]
        if not inside:
            inside = [at for at, place in enumerate(places) if place < since][-1:]
        if not inside:
            return []
        first, end = max(inside[0] - 1, 0), min(inside[-1] + 2, len(self))
        many = math.ceil((end - first) / max(points - 1, 1))
        rows = [self._row(at, min(at + many, end)) for at in range(first, end, many)]
        if end == len(self) and sum(self._counts[-many:]) > 1:
            step, time_s, value = self._newest
            rows.append([step, time_s, value, value, value, 1])
        return rows

    def reach(self, axis: Axis) -> tuple[float, float] | None:
        """The least and the greatest step or time."""
        places = self._steps if axis == "step" else self._times
        newest = self._newest[0] if axis == "step" else self._newest[1]
        return (min(*places, newest), max(*places, newest)) if places else None

    def _row(self, start: int, end: int) -> Row:
        """Buckets `start` to `end` as one."""
        step, time_s = self._steps[start], self._times[start]
        counts, means = self._counts[start:end], self._means[start:end]
        count = sum(counts)
        mean = sum(map(mul, means, counts)) / count
        if math.isfinite(mean):
            low, high = min(self._lows[start:end]), max(self._highs[start:end])
            return [step, time_s, min(max(mean, low), high), low, high, count]
        merged = self._part(start, start + 1)
        for at in range(start + 1, end):
            merged._merge(0, self._means[at], self._lows[at], self._highs[at], self._counts[at])
        mean = merged._means[0]
        known = (None,) * 3 if math.isnan(mean) else (mean, merged._lows[0], merged._highs[0])
        return [step, time_s, *known, count]

    def _part(self, start: int, end: int) -> Curve:
        part = Curve(self._most)
        part._stride, part._newest = self._stride, self._newest
        for mine, its in zip(self._columns(), part._columns(), strict=True):
            its.extend(mine[start:end])
        return part

    def _columns(self) -> Sequence[array[Any]]:
        return (
            *(self._steps, self._times, self._means, self._lows, self._highs),
            self._counts,
        )

    def _push(
        self, step: float, time_s: float, mean: float, low: float, high: float, count: int
    ) -> None:
        row = (step, time_s, mean, low, high, count)
        for column, value in zip(self._columns(), row, strict=True):
            column.append(value)

    def _merge(self, at: int, mean: float, low: float, high: float, count: int) -> None:
        """Let readings into bucket `at`. What was no number gives way to what is one."""
        if math.isnan(self._means[at]):
            self._means[at], self._lows[at], self._highs[at] = mean, low, high
        elif not math.isnan(mean):
            both = self._counts[at] + count
            # The mean of two large numbers without their sum, which may be infinite.
            self._means[at] += (mean - self._means[at]) * (count / both)
            self._lows[at], self._highs[at] = min(self._lows[at], low), max(self._highs[at], high)
        self._counts[at] += count

    def _halve(self) -> None:
        old = [list(column) for column in self._columns()]
        for column in self._columns():
            del column[:]
        for at, row in enumerate(zip(*old, strict=True)):
            if at % 2:
                self._merge(len(self) - 1, *row[2:])
            else:
                self._push(*row)
        self._stride *= 2


@dataclass
class Stretch:
    """Bytes `start` to `end` of the events, and which steps and times are told in there."""

    start: int
    end: int
    steps: tuple[float, float]
    times_s: tuple[float, float]

    def touches(self, axis: Axis, since: float, until: float) -> bool:
        """Whether anything from `since` to `until` is told in here."""
        low, high = self.steps if axis == "step" else self.times_s
        return low <= until and high >= since


class Stretches:
    """Where in a growing file of events which part of the run is told."""

    def __init__(self) -> None:
        self._all: list[Stretch] = []

    def note(self, start: int, end: int, step: float, time_s: float) -> None:
        """A metric is told in the line from byte `start` to `end`."""
        last = self._all[-1] if self._all else None
        if last is None or end - last.start > STRETCH_BYTES:
            self._all.append(Stretch(start, end, (step, step), (time_s, time_s)))
            if len(self._all) > STRETCHES_KEPT:
                pairs = zip(self._all[::2], [*self._all[1::2], None], strict=False)
                self._all = [one if two is None else _joined(one, two) for one, two in pairs]
            return
        last.end = end
        last.steps = min(last.steps[0], step), max(last.steps[1], step)
        last.times_s = min(last.times_s[0], time_s), max(last.times_s[1], time_s)

    def touching(self, axis: Axis, since: float, until: float) -> list[Stretch]:
        """What has to be read for that part of the run, in the order of the file."""
        return [stretch for stretch in self._all if stretch.touches(axis, since, until)]


def _joined(one: Stretch, two: Stretch) -> Stretch:
    def over(a: tuple[float, float], b: tuple[float, float]) -> tuple[float, float]:
        return min(a[0], b[0]), max(a[1], b[1])

    return Stretch(one.start, two.end, over(one.steps, two.steps), over(one.times_s, two.times_s))


def read_curves(
    path: Path, stretches: Iterable[Stretch], names: set[str], buckets: int
) -> dict[str, Curve]:
    """Every reading in those parts of the file, of the metrics in `names` (empty: of all)."""
    curves: dict[str, Curve] = {}
    with path.open("rb") as file:
        for stretch in stretches:
            file.seek(stretch.start)
            while file.tell() < stretch.end:
                line = file.readline(LINE_BYTES)
                if not line:
                    break
                if b"metrics" not in line:
                    continue
                for name, step, time_s, value in readings(line):
                    if not names or name in names:
                        curves.setdefault(name, Curve(buckets)).append(step, time_s, value)
    return curves


def readings(line: bytes) -> list[tuple[str, float, float, float | None]]:
    """Name, step, time and value of each metric in one line of events; none if it is no such line."""
    try:
        event = json.loads(line)
        if event["type"] != "metrics":
            return []
        return list(readings_of(event))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []


def readings_of(event: dict[str, Any]) -> Iterator[tuple[str, float, float, float | None]]:
    """The same of a decoded event. Raises ValueError for a value that is neither number nor null."""
    step, time_s = _finite(event.get("step") or 0), _finite(event.get("time_s", 0.0))
    for name, value in event["values"].items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
            raise ValueError(f"not a number: {value!r}")
        yield name, step, time_s, None if value is None else _or_none(float(value))


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _finite(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"not a number: {value!r}")
    return float(value)
