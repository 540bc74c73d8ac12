"""Lines of a log as a terminal would leave them: colours kept, everything else made harmless.

Of the escapes only SGR (colours and attributes) and "erase to the end of the line" mean something;
all others are left out, so that a log can neither move the cursor nor change the terminal. Knows no
Textual.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len

LINE_BYTES = 8192
"""A longer line is shown in pieces of this many bytes."""

_TOKENS = re.compile(
    r"\x1b\[([0-?]*)[ -/]*([@-~])"  # CSI
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC
    r"|\x1b[PX^_][^\x1b]*(?:\x1b\\)?"  # DCS, SOS, PM, APC
    r"|\x1b[ -/]*[0-~]?"
    r"|(\t)|(\r)|([\x00-\x08\x0a-\x1f\x7f-\x9f\ud800-\udfff])"
)
_COLOURS = ("muted", "error", "success", "warning", "primary", "accent", "secondary", "text")
"""The eight colours of a terminal in those of the theme: black would be invisible on it."""
_ATTRIBUTES = {1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "reverse", 9: "strike"}
_ENDS = {
    22: ("bold", "dim"),
    23: ("italic",),
    24: ("underline",),
    27: ("reverse",),
    29: ("strike",),
}
_LEVELS = (0, 95, 135, 175, 215, 255)


@dataclass(frozen=True)
class Piece:
    """Text in one ink; character `at` of the line as written is its first."""

    text: str
    ink: str
    at: int


def plain(line: bytes) -> str:
    """The text of a line alone."""
    return "".join(piece.text for piece in pieces(line))


def pieces(line: bytes) -> list[Piece]:
    """A line as runs of text. Bytes that are no UTF-8 are `�`, control characters `·`."""
    text = line.rstrip(b"\r").decode("utf-8", "surrogateescape")
    if text.isprintable():
        return [Piece(text, "", 0)] if text else []
    row: list[tuple[str, str, int]] = []
    column, at, pen = 0, 0, _Pen()
    for match in _TOKENS.finditer(text):
        column = _write(row, column, text[at : match.start()], pen.ink, at)
        at = match.end()
        parameters, final, tab, back, control = match.groups()
        if final == "m":
            pen.change(parameters)
        elif final == "K" and parameters in ("", "0"):
            del row[column:]
        elif tab:
            column = _write(row, column, " " * (8 - column % 8), pen.ink, match.start())
        elif back:
            column = 0
        elif control:
            sign = "�" if control >= "\ud800" else "·"
            column = _write(row, column, sign, pen.ink, match.start())
    _write(row, column, text[at:], pen.ink, at)
    return list(_joined(row))


def _write(row: list[tuple[str, str, int]], column: int, text: str, ink: str, at: int) -> int:
    """Put text over what stands at `column`, as a terminal does after a carriage return."""
    end = column + len(text)
    row[column:end] = [(char, ink, at + n) for n, char in enumerate(text)]
    return end


def _joined(row: Sequence[tuple[str, str, int]]) -> Iterator[Piece]:
    start = 0
    for end in range(1, len(row) + 1):
        if end < len(row):
            _, ink, at = row[end]
            if ink == row[start][1] and at == row[start][2] + end - start:
                continue
        yield Piece("".join(char for char, _, _ in row[start:end]), *row[start][1:])
        start = end


class _Pen:
    """The state that SGR sequences change."""

    def __init__(self) -> None:
        self._front = self._back = ""
        self._attributes: dict[str, None] = {}
        self.ink = ""

    def change(self, parameters: str) -> None:
        """Take in the numbers of one sequence; those that mean nothing here are passed over."""
        numbers = [int(n) if n.isdecimal() else 0 for n in re.split("[;:]", parameters)][:32]
        waiting = iter(numbers)
        for number in waiting:
            if number == 0:
                self._front = self._back = ""
                self._attributes.clear()
            elif number in _ATTRIBUTES:
                self._attributes[_ATTRIBUTES[number]] = None
            elif number in _ENDS:
                for word in _ENDS[number]:
                    self._attributes.pop(word, None)
            elif number in (38, 48):
                self._set(number == 38, _extended(waiting))
            elif number in (39, 49):
                self._set(number == 39, "")
            elif number // 10 in (3, 4, 9, 10) and number % 10 < 8:
                self._set(number // 10 in (3, 9), _COLOURS[number % 10])
        front = " ".join([self._front, *self._attributes]).strip()
        back = self._back if self._back.startswith("#") else f"{self._back}/45"
        self.ink = f"{front or 'text'} on {back}" if self._back else front

    def _set(self, front: bool, colour: str) -> None:
        if front:
            self._front = colour
        else:
            self._back = colour


def _extended(numbers: Iterator[int]) -> str:
    """The colour after 38 or 48: one of 256, or red, green and blue."""
    kind = next(numbers, 0)
    if kind == 2:
        rgb = [min(next(numbers, 0), 255) for _ in range(3)]
        return "#" + bytes(rgb).hex()
    if kind != 5:
        return ""
    number = min(next(numbers, 0), 255)
    if number < 16:
        return _COLOURS[number % 8]
    if number >= 232:
        return "#" + bytes([8 + (number - 232) * 10] * 3).hex()
    number -= 16
    return "#" + bytes(_LEVELS[n] for n in (number // 36, number // 6 % 6, number % 6)).hex()


def lines(data: bytes, start: int) -> list[tuple[int, bytes]]:
    """Each line of a part of a log that begins at byte `start`, with its own offset.

    Of what carriage returns have written over each other only the last is left, and what is longer
    than LINE_BYTES is cut, so that a log without any line end is one like every other.
    """
    if start:
        # The first line may have lost its beginning.
        cut = data.find(b"\n") + 1
        data, start = data[cut:], start + cut
    found: list[tuple[int, bytes]] = []
    for line in data.split(b"\n"):
        offset = start
        start += len(line) + 1
        if b"\r" in line:
            line = line.rstrip(b"\r")
            last = line.rfind(b"\r")
            begin = line.rfind(b"\r", 0, max(last, 0)) + 1
            offset, line = offset + begin, line[begin:]
        found += _cut(offset, line)
    if found and not found[-1][1]:
        found.pop()
    return found


def _cut(offset: int, line: bytes) -> Iterator[tuple[int, bytes]]:
    while len(line) > LINE_BYTES:
        end = LINE_BYTES
        # Not within a character: its later bytes begin with the bits 10.
        while end > LINE_BYTES - 4 and line[end] & 0xC0 == 0x80:
            end -= 1
        yield offset, line[:end]
        offset, line = offset + end, line[end:]
    yield offset, line


def rows(line: Sequence[Piece], width: int) -> list[list[Piece]]:
    """A line broken into rows of at most `width` cells; an empty one is one empty row."""
    result: list[list[Piece]] = [[]]
    room = width
    for piece in line:
        text, at = piece.text, piece.at
        while text:
            part = _fitting(text, room)
            if not part and room < width:
                result.append([])
                room = width
                continue
            part = part or text[:1]
            result[-1].append(Piece(part, piece.ink, at))
            room -= cell_len(part)
            text, at = text[len(part) :], at + len(part)
            if text and room <= 0:
                result.append([])
                room = width
    return result


def _fitting(text: str, room: int) -> str:
    """As much of the beginning of `text` as has at most `room` cells."""
    if text.isascii():
        return text[:room]
    end = min(len(text), room)
    while end > 0 and cell_len(text[:end]) > room:
        end -= 1
    return text[:end]
