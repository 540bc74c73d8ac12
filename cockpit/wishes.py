"""What a job may ask for beside its parameters, read from text: the same in options and in a form.

Every function raises ValueError that says what it got and how it is written.
"""

from __future__ import annotations

import re

ARRAY_MOST, INDEX_MOST = 1000, 1_000_000_000
PRIORITY_MOST, RETRIES_MOST = 1000, 100
"""The agent's own bounds; what it refuses is known here before it is asked."""

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_BYTES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def duration_s(text: str) -> float:
    """`90`, `90s`, `15m`, `2h`, `1d12h` as seconds, more than 0."""
    text = text.strip()
    total = 0.0
    if re.fullmatch(r"(\d+(\.\d+)?[smhdw])+", text):
        parts = re.findall(r"(\d+(?:\.\d+)?)([smhdw])", text)
        total = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    elif re.fullmatch(r"\d+(\.\d+)?", text):
        total = float(text)
    if not 0 < total < 1e10:
        raise ValueError(f"{text!r} is no length of time: write it as 90s, 15m, 2h, 1d12h")
    return total


def memory_bytes(text: str) -> int:
    """`20G`, `512M`, `1.5T` as bytes, by powers of 1024; `GiB` and `GB` mean the same as `G`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT])(?:i?B)?", text.strip(), re.IGNORECASE)
    size = int(float(match[1]) * _BYTES[match[2].upper()]) if match else 0
    if size <= 0:
        raise ValueError(f"{text!r} is no size of memory: write it as 20G or 512M")
    return size


def memory_text(size: int) -> str:
    """Bytes as `memory_bytes` reads them back, unchanged."""
    for unit in ("T", "G", "M", "K"):
        if size % _BYTES[unit] == 0:
            return f"{size // _BYTES[unit]}{unit}"
    return f"{size / _BYTES['K']!r}K"


def array_indices(text: str) -> tuple[tuple[int, ...], int | None]:
    """`0-9`, `1,4,7-9`, and `0-99%4` for at most four at once: the indices, and how many at once."""
    wrong = ValueError(f"{text!r} is no array: write it as 0-9, 1,4,7-9, or 0-99%4 for 4 at once")
    listed, percent, most = text.strip().partition("%")
    if percent and not (most.isdecimal() and int(most) > 0):
        raise wrong
    indices: dict[int, None] = {}
    for part in listed.split(","):
        match = re.fullmatch(r"(\d{1,10})(?:-(\d{1,10}))?", part.strip())
        if match is None:
            raise wrong
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first or last > INDEX_MOST or last - first >= ARRAY_MOST:
            raise wrong
        indices.update(dict.fromkeys(range(first, last + 1)))
    if len(indices) > ARRAY_MOST:
        raise ValueError(f"{text!r} has {len(indices)} jobs: at most {ARRAY_MOST}")
    return tuple(indices), int(most) if percent else None


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


def names(text: str) -> tuple[str, ...]:
    """Words between commas or spaces, each once, in their order."""
    return tuple(dict.fromkeys(part for part in re.split(r"[,\s]+", text.strip()) if part))
