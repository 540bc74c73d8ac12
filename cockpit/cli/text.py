"""Figures, times and tables as plain text, the same in every headless command."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Sequence
from typing import Any

from cockpit import codec, wishes
from cockpit.errors import UsageError
from cockpit.model import BoxInfo

DASH = "—"
GIB = 1 << 30


def print_json(document: Any) -> None:
    """One JSON document on one line of stdout."""
    print(codec.dumps(document), flush=True)


def figure(value: float | None, digits: int = 0) -> str:
    """A number, or a dash for what could not be read."""
    return DASH if value is None else f"{value:.{digits}f}"


def gib(value: float | None) -> str:
    """Bytes as GiB with one digit."""
    return figure(None if value is None else value / GIB, 1)


def count_of(number: int, word: str) -> str:
    """A number with its noun: no problems, 1 problem, 2 problems."""
    return f"{number or 'no'} {word}{'' if number == 1 else 's'}"


def of(value: str, limit: str) -> str:
    """A figure against its limit."""
    return f"{value} / {limit}"


def local_time(time_s: float, seconds: bool = True) -> str:
    """Unix seconds as date and time of this machine's zone."""
    return time.strftime(
        "%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M", time.localtime(time_s)
    )


def duration(seconds: float) -> str:
    """A length of time in its two largest units: 45 s, 12 min 5 s, 3 h 20 min, 2 d 4 h."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    steps = ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))
    for size, name, small, small_name in steps:
        if whole >= size:
            rest = whole % size // small
            return f"{whole // size} {name}" + (f" {rest} {small_name}" if rest else "")
    raise AssertionError("unreachable: a minute or more always fits a step")


def parse_duration(text: str, option: str) -> float:
    """`90`, `90s`, `15m`, `2h`, `1d12h` as seconds. Raises UsageError that names the option."""
    try:
        return wishes.duration_s(text)
    except ValueError:
        raise UsageError(
            f"{option}: {text!r} is no length of time", "Write it as 90s, 15m, 2h, 1d12h."
        ) from None


def parse_time(text: str, option: str, now_s: float) -> float:
    """A moment: `2h` is that long before now; or `14:30`, `2026-11-24`, `2026-11-24 14:30`.

    Times are of this machine's zone. Raises UsageError that names the option.
    """
    if text == "now":
        return now_s
    for pattern in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"):
        if (moment := _strptime(text, pattern)) is not None:
            return moment
    if (moment := _strptime(text, "%Y-%m-%d")) is not None:
        return moment
    if re.fullmatch(r"\d{1,2}:\d{2}", text):
        today = time.strftime("%Y-%m-%d", time.localtime(now_s))
        if (moment := _strptime(f"{today} {text}", "%Y-%m-%d %H:%M")) is not None:
            return moment if moment <= now_s else moment - 86400
    try:
        return now_s - parse_duration(text, option)
    except UsageError:
        raise UsageError(
            f"{option}: {text!r} is no moment",
            'Write how long ago (90s, 15m, 2h, 7d), or 14:30, 2026-11-24, "2026-11-24 14:30".',
        ) from None


def _strptime(text: str, pattern: str) -> float | None:
    try:
        return time.mktime(time.strptime(text, pattern))
    except (ValueError, OverflowError):
        return None


def table(head: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int] = ()) -> str:
    """Aligned columns under their heads; to the right except the columns in `left`."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = []
    for row in (head, *rows):
        cells = [
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def say_simulated(info: BoxInfo) -> None:
    """Words on stderr when the figures of this box are made up."""
    if info.simulated:
        print("cockpit: this box is SIMULATED", file=sys.stderr)
