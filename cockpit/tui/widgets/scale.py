"""Fixed scales with printed units, and the times along a chart."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

from cockpit.tui.phrases import GIB


@dataclass(frozen=True)
class Scale:
    """What the height of a chart means. Values outside are drawn at the edge."""

    low: float
    high: float
    unit: str
    ticks: tuple[float, ...]
    """Values that may be printed beside the chart, ascending."""
    log: bool = False
    """Decades instead of units; `low` is above 0."""

    def position(self, value: float) -> float:
        """Where `value` stands, from 0 (bottom) to 1 (top)."""
        low, high = self.low, self.high
        if self.log:
            value, low, high = math.log10(max(value, low)), math.log10(low), math.log10(high)
        if high <= low:
            return 0.0
        return min(max((value - low) / (high - low), 0.0), 1.0)

    def label(self, value: float) -> str:
        """`value` as it is printed beside the chart."""
        return short(value)


def short(value: float) -> str:
    """A number in at most five characters: 0, 0.25, 80, 1980, 12k, 1.5M, 2e-5."""
    size = abs(value)
    if size == 0:
        return "0"
    if size < 0.001 or size >= 1e15:
        return f"{value:.0e}".replace("e-0", "e-").replace("e+", "e")
    for limit, factor, suffix in (
        (1e12, 1e12, "T"),
        (1e9, 1e9, "G"),
        (1e6, 1e6, "M"),
        (1e4, 1e3, "k"),
    ):
        if size >= limit:
            return f"{value / factor:.3g}{suffix}"
    return f"{value:.4g}" if size >= 1 else f"{value:.2g}"


def linear(high: float, step: float, unit: str, low: float = 0.0) -> Scale:
    """From `low` to `high` with a tick every `step`."""
    count = math.floor((high - low) / step + 1e-9)
    return Scale(low, high, unit, tuple(low + step * index for index in range(count + 1)))


def watts(limit_w: float | None) -> Scale:
    """Zero to a little above a card's power limit."""
    top = limit_w if limit_w and math.isfinite(limit_w) and limit_w > 0 else 350.0
    step = 100.0 if top <= 1000 else 500.0
    return linear(math.ceil((top + 1) / (step / 2)) * step / 2, step, "W")


def percent() -> Scale:
    """Zero to a hundred."""
    return linear(100.0, 25.0, "%")


def celsius() -> Scale:
    """The temperatures a running card can have."""
    return linear(100.0, 20.0, "°C", 20.0)


def gibibytes(total_bytes: float | None) -> Scale:
    """Zero to all of a card's memory; values in GiB."""
    total = total_bytes / GIB if total_bytes else 80.0
    return linear(math.ceil(total / 10) * 10 if total > 10 else total, 20.0, "GiB")


def megahertz(maximum_mhz: float | None) -> Scale:
    """Zero to the card's highest clock."""
    return linear(math.ceil((maximum_mhz or 2000) / 500) * 500, 500.0, "MHz")


def traffic() -> Scale:
    """1 MB/s to 1 TB/s in decades: what PCIe and NVLink carry spans all of it."""
    return Scale(1e6, 1e12, "B/s", (1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12), log=True)


def covering(low: float, high: float, unit: str = "") -> Scale:
    """Round figures around `low` to `high`, from zero where that leaves the curve readable."""
    if not (math.isfinite(low) and math.isfinite(high)) or max(abs(low), abs(high)) > 1e300:
        return linear(1.0, 0.25, unit)
    if low >= 0 and low < high * 0.7:
        low = 0.0
    if high - low <= abs(high) * 1e-9:
        low, high = min(low, 0.0), (high if high > 0 else low + 1.0)
        if high <= low:
            high = low + max(abs(low), 1.0)
    step = nice((high - low) / 4)
    bottom = math.floor(low / step + 1e-9) * step
    top = math.ceil(high / step - 1e-9) * step
    return linear(top if top > bottom else bottom + step, step, unit, bottom)


def logarithmic(low: float, high: float, unit: str = "") -> Scale:
    """Decades around `low` to `high`, both above 0; round figures between them where there are few."""
    if not (0 < low <= high and math.isfinite(high)):
        low, high = 1.0, 10.0
    if high < low * 4 and (near := covering(low, max(high, low * 1.001), unit)).low > 0:
        return replace(near, log=True)
    bottom, top = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    top = max(top, bottom + 1)
    if top - bottom > 2:
        ticks = [10.0**power for power in range(bottom, top + 1)]
        return Scale(ticks[0], ticks[-1], unit, tuple(ticks), log=True)
    all_ticks = [f * 10.0**p for p in range(bottom, top + 1) for f in (1.0, 2.0, 5.0)]
    first = max((t for t in all_ticks if t <= low * (1 + 1e-9)), default=all_ticks[0])
    last = min((t for t in all_ticks if t >= high * (1 - 1e-9) and t > first), default=10.0**top)
    ticks = [tick for tick in all_ticks if first <= tick <= last]
    return Scale(first, last, unit, tuple(ticks), log=True)


def tick_label(value: float, step: float, most: int = 7) -> str:
    """A tick with as many decimals as its neighbours need, in at most `most` characters."""
    if step > 0 and abs(value) < 10.0 ** (most - 1):
        decimals = max(0, -math.floor(math.log10(step) + 1e-9))
        # 0.25 and 2.5 have a digit more than their power of ten says.
        decimals += abs(step * 10**decimals - round(step * 10**decimals)) > 1e-6
        text = f"{value:.{decimals}f}"
        if len(text) <= most:
            return text
    return short(value)


def number_ticks(start: float, end: float, width: int) -> list[tuple[int, str]]:
    """Columns and labels of round numbers along `width` columns."""
    if width < 6 or not (math.isfinite(start) and math.isfinite(end) and end > start):
        return []
    step = nice((end - start) * 12 / width)
    if max(abs(start), abs(end)) / step > 1e12:
        return []
    ticks: list[tuple[int, str]] = []
    at = math.ceil(start / step - 1e-9) * step
    while at <= end and len(ticks) < width:
        column = min(int((at - start) / (end - start) * width), width - 1)
        label = whole(at) if step >= 1 else tick_label(at, step, 12)
        if column + len(label) + 1 <= width:
            ticks.append((column, label))
        at += step
    return ticks


def whole(value: float) -> str:
    """A whole number with its thousands apart; one that ends in many zeros in short."""
    if (
        value
        and abs(value) >= 1e5
        and value % (10 ** max(math.floor(math.log10(abs(value))) - 2, 0)) == 0
    ):
        return short(value)
    return f"{value:,.0f}".replace(",", " ")


def nice(value: float) -> float:
    """The smallest of 1, 2, 2.5, 5, 10 times a power of ten that is not below `value`."""
    if not value > 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    for factor in (1.0, 2.0, 2.5, 5.0, 10.0):
        if factor * power >= value * (1 - 1e-9):
            return factor * power
    return 10.0 * power


_STEPS_S = (
    *(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600),
    *(7200, 10800, 21600, 43200, 86400, 172800, 604800, 1209600),
)


def time_ticks(
    start_s: float, end_s: float, width: int, origin_s: float | None = None
) -> list[tuple[int, str]]:
    """Columns and their labels along `width` columns: clock times, or time since `origin_s`."""
    span = end_s - start_s
    if width < 6 or not 0 < span < 1e10 or not abs(start_s) < 1e11:
        return []
    per_label = 10
    wanted = span * per_label / width
    step = next((step for step in _STEPS_S if step >= wanted), _STEPS_S[-1])
    base = origin_s if origin_s is not None else -_utc_offset(start_s)
    ticks: list[tuple[int, str]] = []
    at = base + math.ceil((start_s - base) / step) * step
    while at < end_s and len(ticks) < width:
        column = int((at - start_s) / span * width)
        label = duration(at - base) if origin_s is not None else _clock(at, step)
        if column + len(label) + 1 <= width:
            ticks.append((column, label))
        at += step
    return ticks


def duration(seconds: float) -> str:
    """A length of time in the shortest clear form: 42 s, 3:05, 1:02:03, 2 d 4 h."""
    whole = max(int(seconds), 0)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d}"
    if whole < 86400:
        return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
    return f"{whole // 86400} d {whole // 3600 % 24} h"


def _clock(time_s: float, step: float) -> str:
    local = time.localtime(time_s)
    if step < 60:
        return time.strftime("%H:%M:%S", local)
    if step < 86400:
        midnight = local.tm_hour == 0 and local.tm_min == 0
        return time.strftime("%a %d" if midnight else "%H:%M", local)
    return time.strftime("%d %b", local)


def _utc_offset(time_s: float) -> float:
    return float(time.localtime(time_s).tm_gmtoff)
