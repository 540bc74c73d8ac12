"""Pictures, tables and texts on their way out of a workload: what they may be, and how large."""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

PICTURE_BYTES_MOST = 2_750_000
"""A larger picture is kept in the job's directory, but no screen is sent it."""

CONTENT_BYTES_MOST = 60_000
"""Of a table or a text as JSON: a whole event is a line of at most 64 KiB."""

_SUFFIXES = {b"\x89PNG\r\n\x1a\n": ".png", b"\xff\xd8\xff": ".jpg"}

Cell = str | int | float | bool | None


def picture_suffix(data: bytes) -> str:
    """`.png` or `.jpg`, by the first bytes. Raises ValueError for anything else."""
    for magic, suffix in _SUFFIXES.items():
        if data.startswith(magic):
            return suffix
    raise ValueError("a picture is PNG or JPEG, and this is neither")


def write_whole(path: Path, data: bytes) -> None:
    """Put a file there at once, so that no reader ever sees half of it. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_bytes(data)
        draft.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise


def table_content(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> dict[str, Any]:
    """`columns`, the first rows that fit, and the number of those `left_out`.

    Raises ValueError if a column has no name or a row has another length than there are columns.
    """
    names = [_sendable(name) if isinstance(name, str) else "" for name in columns]
    if not names or not all(names):
        raise ValueError("a table has at least one column, and a name for each")
    room = CONTENT_BYTES_MOST - len(json.dumps(names))
    kept: list[list[Cell]] = []
    left_out = 0
    for number, row in enumerate(rows, start=1):
        cells = [_cell(value) for value in row]
        if len(cells) != len(names):
            raise ValueError(
                f"row {number} has {len(cells)} cells, and there are {len(names)} columns"
            )
        room -= len(json.dumps(cells)) + 1
        if room < 0:
            left_out += 1
        else:
            kept.append(cells)
    return {"columns": names, "rows": kept, "left_out": left_out}


def _cell(value: Any) -> Cell:
    """What JSON has for a value: its number, its text, nothing for NaN and infinity."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):
        return _sendable(value)
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return _sendable(str(value))
    return number if math.isfinite(number) else None


def _sendable(text: str) -> str:
    """The text with `?` for half a letter (a lone surrogate), which UTF-8 does not have."""
    return text.encode("utf-8", "replace").decode("utf-8")


def text_content(text: str) -> dict[str, Any]:
    """The beginning of `text` that fits, and how many letters are `left_out`."""
    text = kept = _sendable(text)
    while (size := len(json.dumps(kept))) > CONTENT_BYTES_MOST:
        kept = kept[: len(kept) * CONTENT_BYTES_MOST // size - 1]
    return {"text": kept, "left_out": len(text) - len(kept)}
