"""A small chart of a series in block characters, on a fixed and printed scale."""

from __future__ import annotations

import math

from cockpit.model import Series

BLOCKS = " ▁▂▃▄▅▆▇█"
ROWS = 8


def chart(series: Series, since_s: float, until_s: float, width: int) -> list[str]:
    """Lines of a chart of the means: time to the right, from 0 to a round top.

    A column without a reading stays empty and has a dot on the lowest line.
    """
    columns = _columns(series, since_s, until_s, width)
    top = 100.0 if series.metric.endswith("_percent") else _round_up(max(_known(columns)))
    labels = {0: f"{top:g}", ROWS // 2: f"{top / 2:g}", ROWS - 1: "0"}
    margin = max(len(label) for label in labels.values())
    lines = []
    for row in range(ROWS):
        base = ROWS - 1 - row
        cells = "".join(_cell(value, top, base) for value in columns)
        lines.append(f"{labels.get(row, '').rjust(margin)} │{cells}".rstrip())
    return lines


def _columns(series: Series, since_s: float, until_s: float, width: int) -> list[float | None]:
    """The mean of the readings that each column touches: a point lasts for one resolution."""
    found: list[list[float]] = [[] for _ in range(width)]
    column_s = (until_s - since_s) / width
    for time_s, value in zip(series.times_s, series.mean, strict=True):
        if value is None:
            continue
        first = math.floor((time_s - since_s) / column_s)
        end = math.ceil((time_s + series.resolution_s - since_s) / column_s)
        for column in range(max(0, first), min(width, max(end, first + 1))):
            found[column].append(value)
    return [sum(values) / len(values) if values else None for values in found]


def _cell(value: float | None, top: float, base: int) -> str:
    if value is None:
        return "·" if base == 0 else " "
    eighths = round(min(value / top, 1.0) * ROWS * 8) - base * 8
    least = 1 if base == 0 and value > 0 else 0
    return BLOCKS[max(least, min(8, eighths))]


def _known(columns: list[float | None]) -> list[float]:
    return [value for value in columns if value is not None] or [0.0]


def _round_up(value: float) -> float:
    """The next of a few round steps of a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(
        step * power
        for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10)
        if value <= step * power * (1 + 1e-9)
    )
