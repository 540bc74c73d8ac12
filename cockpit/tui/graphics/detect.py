"""What a terminal can draw, asked of it once before the screens start.

Three questions are sent together; the last one every terminal answers, so that the answers of the
others are there by then or never come. A terminal that answers nothing costs WAIT_S, once.
"""

from __future__ import annotations

import os
import re
import select
import sys
import termios
import time
import tty
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Protocol = Literal["kitty", "sixel", "blocks"]

WAIT_S = 0.3
WAIT_REMOTE_S = 1.0
"""Over SSH: an answer that comes later would be taken for keys."""
_KITTY = b"\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\"
_NAME = b"\x1b[>q"
_CELL = b"\x1b[16t"
_ATTRIBUTES = b"\x1b[c"
_ANSWERED = re.compile(rb"\x1b\[\?([0-9;]*)c")
_NAMED = re.compile(rb"\x1bP>\|(kitty|ghostty)\W*(\d+)?\.?(\d+)?", re.IGNORECASE)
"""Terminals that draw by placeholders; others know the protocol, but not these."""
_KITTY_SINCE = (0, 28)
"""The first Kitty that knows them."""
_SILENT = ("dumb", "linux", "unknown", "")


@dataclass(frozen=True)
class Graphics:
    """How pictures are drawn, and how large a cell is in pixels."""

    protocol: Protocol = "blocks"
    cell_width: int = 8
    cell_height: int = 16


BLOCKS = Graphics()


def detect(wanted: str, environment: Mapping[str, str] | None = None) -> Graphics:
    """Ask the terminal, unless `wanted` is already a protocol. Never raises."""
    environment = os.environ if environment is None else environment
    if wanted == "blocks" or environment.get("TERM", "") in _SILENT or environment.get("NO_COLOR"):
        return BLOCKS
    if not (sys.__stdin__ and sys.__stdout__ and sys.__stdin__.isatty()):
        return BLOCKS
    wait_s = WAIT_REMOTE_S if environment.get("SSH_CONNECTION") else WAIT_S
    try:
        answer = _ask(sys.__stdin__.fileno(), sys.__stdout__.fileno(), wait_s)
    except (OSError, termios.error, ValueError):
        return BLOCKS
    return understand(answer, wanted)


def _ask(stdin: int, stdout: int, wait_s: float) -> bytes:
    """Everything that the terminal says until it has answered the last question."""
    before = termios.tcgetattr(stdin)
    try:
        tty.setraw(stdin, termios.TCSANOW)
        os.write(stdout, _KITTY + _NAME + _CELL + _ATTRIBUTES)
        answer, deadline = b"", time.monotonic() + wait_s
        while not _ANSWERED.search(answer):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([stdin], [], [], left)[0]:
                break
            part = os.read(stdin, 1024)
            if not part:
                break
            answer += part
        return answer
    finally:
        termios.tcsetattr(stdin, termios.TCSANOW, before)


def understand(answer: bytes, wanted: str = "auto") -> Graphics:
    """What the answers mean; `wanted` may name a protocol that is then believed to be there."""
    cell = re.search(rb"\x1b\[6;(\d+);(\d+)t", answer)
    height, width = (int(cell[1]), int(cell[2])) if cell else (0, 0)
    if not (1 <= width <= 200 and 1 <= height <= 200):
        width, height = BLOCKS.cell_width, BLOCKS.cell_height
    attributes = _ANSWERED.search(answer)
    protocol: Protocol = "blocks"
    if wanted in ("kitty", "sixel"):
        protocol = "kitty" if wanted == "kitty" else "sixel"
    elif _has_placeholders(answer) and b"\x1b_Gi=31;OK" in answer:
        protocol = "kitty"
    elif attributes and b"4" in attributes[1].split(b";"):
        protocol = "sixel"
    return Graphics(protocol, width, height)


def _has_placeholders(answer: bytes) -> bool:
    name = _NAMED.search(answer)
    if name is None:
        return False
    version = int(name[2] or 0), int(name[3] or 0)
    return name[1].lower() != b"kitty" or version >= _KITTY_SINCE
