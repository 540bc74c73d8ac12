"""Figures as people read them. A figure that is None is an em dash, never 0."""

from __future__ import annotations

import time
from collections.abc import Mapping

from cockpit.model import Gpu, Job, Reason

NONE = "—"
GIB = 1 << 30

STATE_WORDS: dict[str, tuple[str, str]] = {
    "ok": ("ok", "success"),
    "warning": ("WARNING", "warning"),
    "critical": ("CRITICAL", "error"),
    "lost": ("LOST", "error"),
}
"""GPU state → its word and its ink."""

SEVERITY_MARKS: dict[str, tuple[str, str, str]] = {
    "info": ("·", "info", "muted"),
    "warning": ("▲", "warning", "warning"),
    "critical": ("✗", "critical", "error"),
}
"""Severity → its mark, its word and its ink."""

JOB_MARKS: dict[str, tuple[str, str]] = {
    "PENDING": ("○", "muted"),
    "RUNNING": ("▶", "success"),
    "COMPLETING": ("◐", "secondary"),
    "COMPLETED": ("✓", "success"),
    "FAILED": ("✗", "error"),
    "CANCELLED": ("■", "muted"),
    "TIMEOUT": ("✗", "error"),
    "NODE_FAIL": ("✗", "error"),
    "LOST": ("?", "error"),
    "UNREACHABLE": ("?", "warning"),
}
"""Job state → its mark and its ink; the state itself is always written out too."""


def number(value: float | None, unit: str = "", digits: int = 0) -> str:
    """`312 W`, or the em dash."""
    if value is None:
        return NONE
    return f"{value:,.{digits}f}".replace(",", " ") + (f" {unit}" if unit else "")


def power(watts: float | None) -> str:
    """Watts up to a kilowatt, then kilowatts: `308 W`, `1.26 kW`."""
    if watts is None:
        return NONE
    return f"{watts / 1000:.2f} kW" if watts >= 1000 else f"{watts:.0f} W"


def gib(value: float | None) -> str:
    """Bytes in GiB, with a decimal below ten."""
    if value is None:
        return NONE
    size = value / GIB
    return f"{size:.1f} GiB" if 0 < size < 10 else f"{size:.0f} GiB"


def size(value: int) -> str:
    """Bytes on disk with a decimal prefix: `812 bytes`, `15.6 kB`, `1.07 GB`."""
    for factor, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= factor:
            return f"{value / factor:.3g} {unit}"
    return f"{value} bytes"


def rate(value: float | None, unit: str) -> str:
    """A rate with a decimal prefix: `2.4 TB/s`, `930 GFLOP/s`."""
    if value is None:
        return NONE
    for factor, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= factor:
            return f"{value / factor:.3g} {prefix}{unit}"
    return f"{value:.3g} {unit}"


def seconds(value: float | None) -> str:
    """A short time as it is measured: `1.25 ms`."""
    if value is None:
        return NONE
    for factor, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if value >= factor:
            return f"{value / factor:.3g} {unit}"
    return f"{value / 1e-9:.3g} ns"


def energy(joules: float | None) -> str:
    """Joules as Wh or kWh."""
    if joules is None:
        return NONE
    watt_hours = joules / 3600
    if watt_hours >= 1000:
        return f"{watt_hours / 1000:.2f} kWh"
    return f"{watt_hours:.1f} Wh" if watt_hours < 100 else f"{watt_hours:.0f} Wh"


def span(seconds: float) -> str:
    """A length of time in its largest fitting units: 12 s, 5 min, 3 h, 2 d."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def remaining(seconds: float) -> str:
    """A time to go, as `1:05 h` or `12 min`."""
    if seconds >= 3600:
        return f"{int(seconds // 3600)}:{int(seconds % 3600 // 60):02d} h"
    return span(seconds)


def length(value: float | None) -> str:
    """A length of time in two units at most: `42 s`, `3 min 5 s`, `2 h 4 min`, `3 d 1 h`."""
    if value is None:
        return NONE
    whole = max(int(value), 0)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole // 60 % 60} min"
    return f"{whole // 86_400} d {whole // 3600 % 24} h"


def time_of_day(time_s: float, seconds: bool = True) -> str:
    """Local time of day."""
    return time.strftime("%H:%M:%S" if seconds else "%H:%M", time.localtime(time_s))


def clock(time_s: float | None, now_s: float) -> str:
    """The time of day, with the date if it is not today's."""
    if time_s is None:
        return NONE
    local, today = time.localtime(time_s), time.localtime(now_s)
    if local[:3] == today[:3]:
        return time_of_day(time_s)
    return time.strftime("%d %b %H:%M", local)


def elapsed(job: Job, now_s: float) -> float | None:
    """Seconds a job has run, or ran."""
    if job.started_s is None:
        return None
    return max((job.ended_s or now_s) - job.started_s, 0.0)


def gpu_numbers(uuids: tuple[str, ...], indices: Mapping[str, int]) -> str:
    """`GPU 3`, `GPU 0-3, 5`, or the em dash for none."""
    known = sorted(indices[uuid] for uuid in uuids if uuid in indices)
    if not known:
        return NONE
    groups: list[list[int]] = []
    for index in known:
        if groups and index == groups[-1][-1] + 1:
            groups[-1].append(index)
        else:
            groups.append([index])
    parts = [str(g[0]) if len(g) == 1 else f"{g[0]}-{g[-1]}" for g in groups]
    return "GPU " + ", ".join(parts)


def worst(gpu: Gpu) -> Reason | None:
    """The reason to name first."""
    order = {"critical": 0, "warning": 1, "info": 2}
    return min(gpu.reasons, key=lambda reason: order[reason.severity], default=None)


def state_of(gpu: Gpu) -> tuple[str, str]:
    """The word and ink of a GPU's state."""
    return STATE_WORDS[gpu.state]
