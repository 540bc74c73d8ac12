"""Trails: the last minutes of a figure, as columns whose edges stay where they are in time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from cockpit.tui.draw import eighths

SPAN_S = 600.0
"""What the charts of the wall show: ten minutes."""


class Trail:
    """Readings of the last ten minutes.

    A column covers a fixed stretch of time, so that a chart does not shimmer: only the newest one
    changes until its time is over, then everything moves on by one.
    """

    def __init__(self, span_s: float = SPAN_S) -> None:
        self.span_s = span_s
        self._readings: deque[tuple[float, float | None]] = deque()
        self._columns: deque[tuple[float, int]] = deque()
        self._width = 0
        self._newest = 0
        """Number of the newest column since 1970."""
        self._past: tuple[int, ...] = ()
        self._past_key: tuple[float, ...] = ()

    def add(self, time_s: float, value: float | None) -> None:
        """Append a reading; one that is not newer than the last is left out."""
        if self._readings and time_s <= self._readings[-1][0]:
            return
        self._readings.append((time_s, value))
        while self._readings[0][0] < time_s - self.span_s:
            self._readings.popleft()
        if self._width:
            self._enter(time_s, value)

    def prepend(self, readings: Iterable[tuple[float, float | None]]) -> None:
        """Let in readings from before the first one here."""
        first = self._readings[0][0] if self._readings else float("inf")
        older = [reading for reading in readings if reading[0] < first]
        self._readings.extendleft(reversed(older))
        self._width, self._past_key = 0, ()

    def readings(self) -> Iterable[tuple[float, float | None]]:
        """What is remembered, oldest first."""
        return self._readings

    def columns(self, width: int) -> list[float | None]:
        """The mean of each of the last `width` columns, newest last; None where there is none."""
        self._divide(width)
        return [_mean(column) for column in self._columns]

    def levels(self, width: int, height: int, top: float, bottom: float = 0.0) -> tuple[int, ...]:
        """The columns in eighths of a row, for a chart of `height` rows from `bottom` to `top`; -1
        where there is none. Only the newest is worked out anew until its time is over."""
        self._divide(width)
        key = (width, height, top, bottom, self._newest)
        if key != self._past_key:
            self._past_key = key
            past = list(self._columns)[:-1]
            self._past = tuple(_level(column, height, top, bottom) for column in past)
        return (*self._past, _level(self._columns[-1], height, top, bottom))

    def _divide(self, width: int) -> None:
        if width == self._width:
            return
        self._width, self._past_key = width, ()
        self._columns = deque([(0.0, 0)] * width, maxlen=width)
        self._newest = 0
        for time_s, value in self._readings:
            self._enter(time_s, value)

    def _enter(self, time_s: float, value: float | None) -> None:
        column = int(time_s * self._width // self.span_s)
        steps = min(column - self._newest, self._width)
        if self._newest == 0:
            steps = 1
        for _ in range(steps):
            self._columns.append((0.0, 0))
        self._newest = column
        if value is not None:
            total, count = self._columns[-1]
            self._columns[-1] = (total + value, count + 1)


def _mean(column: tuple[float, int]) -> float | None:
    total, count = column
    return total / count if count else None


def _level(column: tuple[float, int], height: int, top: float, bottom: float) -> int:
    mean = _mean(column)
    return eighths(None if mean is None else mean - bottom, top - bottom, height)
