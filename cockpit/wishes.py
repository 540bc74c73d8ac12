"""What a job may ask for beside its parameters, read from text: the same in options and in a form.

Every function raises ValueError that says what it got, and names how it is written.
"""

from __future__ import annotations

import re

ARRAY_MOST, INDEX_MOST = 1000, 1_000_000_000
PRIORITY_MOST, RETRIES_MOST, SLICES_MOST = 1000, 100, 64
"""The agent's own bounds; what it refuses is known here before it is asked."""

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_BYTES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_MEMORY = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)
_PROFILE = re.compile(r"(?:[0-9]+c\.)?[0-9]+g\.[0-9]+gb(?:\+\w+)*", re.IGNORECASE)
_RANGE = re.compile(r"([0-9]+)(?:-([0-9]+)(?::([0-9]+))?)?")


def duration_s(text: str) -> float:
    """`90`, `90s`, `15m`, `2h`, `1d12h` as seconds, more than 0."""
    text = text.strip()
    total = 0.0
    if re.fullmatch(r"([0-9]+(\.[0-9]+)?[smhdw])+", text):
        parts = re.findall(r"([0-9]+(?:\.[0-9]+)?)([smhdw])", text)
        total = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    elif re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        total = float(text)
    if not 0 < total < 1e10:
        raise ValueError(f"{text!r} is no length of time: write it as 90s, 15m, 2h, 1d12h")
    return total


def memory_bytes(text: str) -> int:
    """`40G`, `500M`, `79.5GiB` as bytes, by powers of 1024; without a unit it is bytes."""
    match = _MEMORY.fullmatch(text.strip())
    size = int(float(match[1]) * _BYTES[match[2].upper()]) if match else 0
    if size <= 0:
        raise ValueError(f"{text!r} is no amount of memory: write it as 40G or 500M")
    return size


def memory_text(size: int) -> str:
    """Bytes as `memory_bytes` reads them back, unchanged."""
    for unit in ("T", "G", "M", "K"):
        if size % _BYTES[unit] == 0:
            return f"{size // _BYTES[unit]}{unit}"
    return str(size)


def array_indices(text: str) -> tuple[tuple[int, ...], int | None]:
    """`0-9`, `1,5,7`, `1-100:2`, `0-99%4` for four at once: the indices, and how many at once."""
    listed, percent, most = text.partition("%")
    found: dict[int, None] = {}
    for part in listed.split(","):
        match = _RANGE.fullmatch(part.strip())
        if match is None:
            raise ValueError(f"{part.strip()!r} is no index and no range: write it as 0-9 or 1,5,7")
        first, last, step = int(match[1]), int(match[2] or match[1]), int(match[3] or 1)
        if last < first or step < 1 or last > INDEX_MOST:
            raise ValueError(f"{part.strip()!r} is no range: write it as 0-9 or 1-100:2")
        found.update(dict.fromkeys(range(first, min(last, first + ARRAY_MOST * step) + 1, step)))
        if len(found) > ARRAY_MOST:
            raise ValueError(f"more than {ARRAY_MOST} jobs: split it")
    if percent and not (most.isdecimal() and most.isascii() and int(most) > 0):
        raise ValueError(f"{most!r} is no number of jobs at once: write it as 0-99%4")
    return tuple(found), int(most) if percent else None


def array_text(indices: tuple[int, ...], parallel: int | None) -> str:
    """An array as `array_indices` reads it back."""
    groups: list[list[int]] = []
    for index in indices:
        if groups and index == groups[-1][-1] + 1:
            groups[-1].append(index)
        else:
            groups.append([index])
    parts = [str(g[0]) if len(g) == 1 else f"{g[0]}-{g[-1]}" for g in groups]
    return ",".join(parts) + (f"%{parallel}" if parallel else "")


def slice_names(text: str) -> tuple[str, ...]:
    """`2g.20gb`, `2g.20gb:3` for three of them, or the UUID of a slice: one name for each."""
    if text.lower().startswith("mig-"):
        return ("MIG-" + text[4:],)
    name, colon, number = text.partition(":")
    if not _PROFILE.fullmatch(name):
        raise ValueError(f"{text!r} is no slice: write a profile such as 2g.20gb, or 2g.20gb:3")
    return (name.lower(),) * (_whole(number, 1, SLICES_MOST) if colon else 1)


def priority(text: str) -> int:
    """A whole number from -1000 to 1000."""
    return _whole(text, -PRIORITY_MOST, PRIORITY_MOST)


def retries(text: str) -> int:
    """A whole number from 0 to 100."""
    return _whole(text, 0, RETRIES_MOST)


def _whole(text: str, least: int, most: int) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,9}", text.strip()) or not least <= int(text) <= most:
        raise ValueError(f"{text!r} is no whole number from {least} to {most}")
    return int(text)
