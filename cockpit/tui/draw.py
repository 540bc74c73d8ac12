"""Runs of text that draw bars and charts on fixed scales. Pure: no Textual, no state.

A run is `(text, front)`, a line `(back, runs)`; fronts and backs are names that a Look resolves.
Equal lines look equal, so comparing them is how a board knows what to repaint.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache

from rich.cells import cell_len, set_cell_size

from cockpit.tui.themes import STEPS

Run = tuple[str, str]
Line = tuple[str, tuple[Run, ...]]

_ACROSS = " ▏▎▍▌▋▊▉█"
_UP = " ▁▂▃▄▅▆▇█"
LIMIT = "╌"
LOW = 5
"""Charts of fewer rows than this would show bands, not a gradient."""


def eighths(value: float | None, top: float, cells: int) -> int:
    """`value` on a scale from 0 to `top` over `cells` cells, in eighths of a cell; -1 for none."""
    if value is None or value != value or top <= 0:
        return -1
    return round(max(0.0, min(1.0, value / top)) * cells * 8)


@lru_cache(maxsize=2048)
def bar(level: int, width: int, front: str, empty: str = "·") -> tuple[Run, ...]:
    """A horizontal bar of `width` cells filled to `level` eighths (-1: not readable).

    `front` is one colour, or a scale (`power`, `heat`), whose colours then run along the bar.
    """
    if level < 0:
        return ((" " * width, "faint"),)
    full, part = divmod(level, 8)
    text = "█" * full + (_ACROSS[part] if part else "")
    track: Run = (empty * (width - len(text)), "faint")
    if front not in ("power", "heat"):
        return ((text, front), track)
    cells = [(char, _step(front, (at + 0.5) / width)) for at, char in enumerate(text)]
    return (*join(cells), track)


@lru_cache(maxsize=512)
def area(
    levels: tuple[int, ...], height: int, scale: str, limit: int = -1
) -> tuple[tuple[Run, ...], ...]:
    """A filled chart, top row first: one column for each level in eighths of a row (-1: a gap).

    A place on the scale has its colour, as in a bar; low charts give a column the colour of its
    level. The crest is bright and the body calm. `limit` is a dashed line in the row of its level.
    """
    limit_row = min(height - 1, max(0, (limit - 1) // 8)) if limit > 0 else -1
    own = [_step(scale, level / (height * 8)) for level in levels] if height < LOW else None
    rows = []
    for row in range(height - 1, -1, -1):
        front = _step(scale, (row + 0.5) / height)
        sky: Run = (LIMIT, "muted") if row == limit_row else (" ", "faint")
        runs: list[Run] = []
        for column, level in enumerate(levels):
            above = level - row * 8
            if above <= 0:
                runs.append(sky)
            else:
                color = own[column] if own else front
                runs.append((_UP[min(above, 8)], color if above <= 8 else color + ":body"))
        rows.append(join(runs))
    return tuple(rows)


@lru_cache(maxsize=1024)
def gauge(level: int, width: int, front: str) -> tuple[Run, ...]:
    """A thin bar of `width` cells for a level in eighths (-1: not readable), on a rule."""
    if level < 0:
        return ((" " * width, "faint"),)
    halves = round(level / 4)
    text = "━" * (halves // 2) + "╸" * (halves % 2)
    return ((text, front), ("─" * (width - len(text)), "faint"))


def _step(scale: str, fraction: float) -> str:
    return f"{scale}:{min(STEPS - 1, max(0, int(fraction * STEPS)))}"


def shade(scale: str, value: float | None, top: float) -> str:
    """The colour of `value` on a scale from 0 to `top`."""
    return "faint" if value is None or top <= 0 else _step(scale, value / top)


def join(runs: Iterable[Run]) -> tuple[Run, ...]:
    """Neighbours of one colour become one run."""
    joined: list[Run] = []
    for text, front in runs:
        if joined and joined[-1][1] == front:
            joined[-1] = (joined[-1][0] + text, front)
        elif text:
            joined.append((text, front))
    return tuple(joined)


def width_of(runs: Iterable[Run]) -> int:
    """Cells that the runs take."""
    return sum(len(text) if text.isascii() else cell_len(text) for text, _ in runs)


def spread(left: Sequence[Run], right: Sequence[Run], width: int) -> tuple[Run, ...]:
    """`left` and `right` at the two ends of `width` cells; `left` gives way."""
    room = width - width_of(right)
    return (*crop(left, room), *right)


def crop(runs: Sequence[Run], width: int) -> tuple[Run, ...]:
    """Exactly `width` cells: cut, or filled up with blanks."""
    kept: list[Run] = []
    room = width
    for text, front in runs:
        size = len(text) if text.isascii() else cell_len(text)
        if size <= room:
            kept.append((text, front))
            room -= size
            continue
        kept.append((clip(text, room), front))
        room -= cell_len(kept[-1][0])
        break
    if room > 0:
        kept.append((" " * room, "faint"))
    return tuple(kept)


def clip(text: str, width: int) -> str:
    """Foreign text made safe for one line of at most `width` cells, with `…` where it was cut."""
    if width <= 0:
        return ""
    if not text.isprintable():
        text = "".join(" " if unicodedata.category(c)[0] == "C" else c for c in text)
    if text.isascii():
        return text if len(text) <= width else text[: width - 1] + "…"
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1) + "…"


def wrap(text: str, width: int, lines: int) -> list[str]:
    """`text` on at most `lines` lines of `width` cells, broken at spaces."""
    rows: list[str] = []
    rest = " ".join(text.split())
    while rest and len(rows) < lines:
        if cell_len(rest) <= width or len(rows) == lines - 1:
            rows.append(clip(rest, width))
            return rows
        cut = rest.rfind(" ", 0, width + 1)
        cut = cut if cut > width // 2 else width
        rows.append(clip(rest[:cut].rstrip(), width))
        rest = rest[cut:].lstrip()
    return rows


def blank(width: int, back: str = "background") -> Line:
    """An empty line."""
    return back, ((" " * width, "faint"),)
