"""The Kitty graphics protocol, by Unicode placeholders: an image is sent once and then shown by text.

Cells of the character U+10EEEE stand for cells of the image: the colour of the text is the number of
the image, and two combining marks are the row and the column. So an image is covered, moved and
erased like any other text. See https://sw.kovidgoyal.net/kitty/graphics-protocol/.
"""

from __future__ import annotations

import base64
import unicodedata
from collections.abc import Iterator
from functools import cache

PLACEHOLDER = "\U0010eeee"
CHUNK = 4096
"""Letters of base64 in one sequence at most."""
_FUSED = frozenset(
    [*range(0x300, 0x305), *range(0x306, 0x30D), 0x30F, 0x311, 0x313, 0x314, 0x342, 0x653, 0x654]
)
"""Marks that normalization may melt into the letter before them."""
_NEWER = (
    range(0x0890, 0x0900),
    range(0x09FE, 0x09FF),
    range(0x1AB0, 0x1AD0),
    range(0x1CF4, 0x1CFA),
)
"""What Unicode got after version 6.0, whose marks the protocol counts."""
_LAST_MARK = 0x1DE6


@cache
def marks() -> tuple[str, ...]:
    """The combining marks that stand for 0, 1, 2 and so on."""
    return tuple(
        chr(point)
        for point in range(0x300, _LAST_MARK + 1)
        if unicodedata.combining(chr(point)) == 230
        and unicodedata.bidirectional(chr(point)) == "NSM"
        and not unicodedata.decomposition(chr(point))
        and point not in _FUSED
        and not any(point in newer for newer in _NEWER)
    )


def send(png: bytes, number: int, columns: int, rows: int) -> Iterator[str]:
    """The sequences that store an image and make it `columns` × `rows` cells large."""
    data = base64.b64encode(png).decode()
    chunks = [data[at : at + CHUNK] for at in range(0, len(data), CHUNK)] or [""]
    for at, chunk in enumerate(chunks):
        more = int(at + 1 < len(chunks))
        # q=2: the terminal answers nothing, not even that it failed.
        keys = f"a=T,U=1,f=100,t=d,q=2,i={number},c={columns},r={rows}," if at == 0 else ""
        yield f"\x1b_G{keys}m={more};{chunk}\x1b\\"


def delete(number: int) -> str:
    """The sequence that lets the terminal forget an image."""
    return f"\x1b_Ga=d,d=I,i={number},q=2\x1b\\"


def row(at: int, columns: int) -> str:
    """The text of one row of an image; its colour has to be `colour(number)`."""
    known = marks()
    return "".join(PLACEHOLDER + known[at] + known[column] for column in range(columns))


def colour(number: int) -> tuple[int, int, int]:
    """The colour that names an image: its number, below 2^24, as red, green and blue."""
    return number >> 16 & 255, number >> 8 & 255, number & 255


def most_cells() -> int:
    """An image has at most so many columns and so many rows."""
    return len(marks())
