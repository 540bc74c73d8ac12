"""Sixel: an image as bands of six rows, drawn one colour after the other (DEC STD 070, chapter 9)."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import islice

COLOURS = 128
"""Terminals with fewer registers are rare, and a picture of 128 looks like one of 256."""
_RUN = re.compile(rb"(.)\1{3,}", re.DOTALL)


def encode(pixels: bytes, width: int, palette: bytes) -> str:
    """`pixels` as numbers of colours in `palette` (red, green, blue), row by row from the top.

    Raises ValueError for pixels that are no whole rows.
    """
    if width < 1 or len(pixels) % width:
        raise ValueError(f"{len(pixels)} pixels are no rows of {width}")
    height = len(pixels) // width
    parts = [f'\x1bP0;1;0q"1;1;{width};{height}', _registers(palette, set(pixels))]
    for top in range(0, height, 6):
        rows = [pixels[y * width : (y + 1) * width] for y in range(top, min(top + 6, height))]
        parts.append("$".join(_strokes(rows, width)) + "-")
    return "".join(parts).removesuffix("-") + "\x1b\\"


def _registers(palette: bytes, used: set[int]) -> str:
    """The colours, in percent."""
    entries = []
    for number in sorted(used):
        red, green, blue = (
            round(value * 100 / 255) for value in islice(palette, number * 3, number * 3 + 3)
        )
        entries.append(f"#{number};2;{red};{green};{blue}")
    return "".join(entries)


def _strokes(rows: list[bytes], width: int) -> list[str]:
    """One band: for each of its colours, the six bits of every column."""
    strokes = []
    for number in sorted(set().union(*rows)):
        bits = 0
        for y, row in enumerate(rows):
            # All columns at once, as one long integer.
            bits |= int.from_bytes(row.translate(_table(number, y)), "big")
        cells = bits.to_bytes(width, "big").translate(_LETTERS)
        strokes.append(f"#{number}{_short(cells)}")
    return strokes


_LETTERS = bytes(min(63 + value, 126) for value in range(256))
"""Six bits to the letter that stands for them."""


@lru_cache(maxsize=256 * 6)
def _table(number: int, y: int) -> bytes:
    """Turns a colour into the bit of row `y`, and every other one into nothing."""
    table = bytearray(256)
    table[number] = 1 << y
    return bytes(table)


def _short(cells: bytes) -> str:
    """Runs of a letter as its count; nothing at the end is left out."""
    cells = cells.rstrip(b"?")
    return _RUN.sub(lambda run: b"!%d%s" % (len(run[0]), run[1]), cells).decode("ascii")
