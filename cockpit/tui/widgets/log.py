"""LogView: a window on a log of any size, read by byte offsets."""

from __future__ import annotations

import base64
import re
from collections.abc import Awaitable, Callable
from typing import Any

from rich.cells import set_cell_size
from rich.segment import Segment
from textual import events
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from cockpit.tui.widgets.ink import Inked

WINDOW_BYTES = 256 * 1024
"""How much of the log is kept at once, however large it is."""
CHUNK_BYTES = 64 * 1024

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

AskLog = Callable[[int, int], Awaitable[dict[str, Any]]]
"""(offset, limit) → the answer of `job.log`."""


class LogWindow:
    """Bytes `start` to `end` of a log, as lines."""

    def __init__(self) -> None:
        self.start = self.end = self.size = 0
        self._data = b""
        self.lines: list[str] = []

    def take(self, answer: dict[str, Any]) -> int:
        """Put an answer before, after or in place of what is here.

        How many lines came on top; below 0 when lines at the top had to go.
        """
        offset, data = int(answer["offset"]), base64.b64decode(answer["data"])
        self.size = int(answer["size"])
        if offset == self.end and self._data:
            self._data += data
            cut = max(len(self._data) - WINDOW_BYTES, 0)
            gone = self._data[:cut].count(b"\n")
            self._data, self.start = self._data[cut:], self.start + cut
            self.end = offset + len(data)
            self._split()
            return -gone
        if offset + len(data) == self.start and data:
            self._data = (data + self._data)[:WINDOW_BYTES]
            self.start = offset
            self.end = self.start + len(self._data)
            self._split()
            return data.count(b"\n")
        self._data, self.start, self.end = data, offset, offset + len(data)
        self._split()
        return 0

    def _split(self) -> None:
        data = self._data
        if self.start:
            # The first line may have lost its beginning.
            data = data[data.find(b"\n") + 1 :]
        text = data.decode("utf-8", "replace")
        lines = text.split("\n")
        if lines and not lines[-1]:
            lines.pop()
        self.lines = [plain(line) for line in lines]


def plain(line: str) -> str:
    """A line as a terminal would leave it: without escapes, after its last carriage return."""
    line = line.rstrip("\r").rpartition("\r")[2]
    return _CONTROLS.sub("·", _ESCAPES.sub("", line).expandtabs(8))


class LogView(ScrollView, Inked, can_focus=False):
    """Shows the end of a log and follows it; going up reads earlier parts as they are needed."""

    DEFAULT_CSS = """
    LogView { height: 1fr; width: 1fr; min-height: 3; overflow-x: hidden; scrollbar-size: 0 0; }
    """

    def __init__(self, ask: AskLog, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.window = LogWindow()
        self.following = True
        self.problem = ""
        self._ask = ask
        self._busy = False

    async def poll(self) -> None:
        """Read what is new at the end, if it is followed. Raises CockpitError."""
        if not self.following or self._busy:
            return
        window = self.window
        behind = not window.lines
        await self._read(-CHUNK_BYTES if behind else window.end, CHUNK_BYTES)
        if window.size - window.end > CHUNK_BYTES:
            await self._read(-CHUNK_BYTES, CHUNK_BYTES)

    async def move(self, by: int) -> None:
        """Go up or down by lines; up stops following, the very end starts it again."""
        room = max(self.size.height - 1, 1)
        top = int(self.scroll_offset.y) + by
        if by < 0:
            self.following = False
            if top < 0 and self.window.start > 0:
                length = min(CHUNK_BYTES, self.window.start)
                top += await self._read(self.window.start - length, length)
        elif top + room >= len(self.window.lines):
            if self.window.end < self.window.size:
                top += await self._read(self.window.end, CHUNK_BYTES)
            else:
                self.following = True
        self.scroll_to(y=max(top, 0), animate=False, force=True)
        self.refresh()

    async def to_start(self) -> None:
        """Show the beginning of the log."""
        self.following = False
        await self._read(0, CHUNK_BYTES)
        self.scroll_to(y=0, animate=False, force=True)

    async def to_end(self) -> None:
        """Show the end of the log and follow it."""
        self.following = True
        await self._read(-CHUNK_BYTES, CHUNK_BYTES)

    def toggle_follow(self) -> bool:
        """Follow the log, or stay where it is now; whether it is followed."""
        self.following = not self.following
        self.refresh()
        return self.following

    def plain_rows(self) -> list[str]:
        """The text that is shown, title first."""
        rows = [self.render_line(y) for y in range(self.size.height)]
        return ["".join(segment.text for segment in row).rstrip() for row in rows]

    async def _read(self, offset: int, limit: int) -> int:
        self._busy = True
        try:
            answer = await self._ask(offset, limit)
        finally:
            self._busy = False
        before = (self.window.lines[-1:], self.window.end, len(self.window.lines))
        added = self.window.take(answer)
        self.virtual_size = Size(self.size.width, len(self.window.lines) + 1)
        if self.following:
            self.scroll_end(animate=False, force=True, immediate=True)
        if before != (self.window.lines[-1:], self.window.end, len(self.window.lines)):
            self.refresh()
        return added

    def on_resize(self) -> None:
        self.virtual_size = Size(self.size.width, len(self.window.lines) + 1)
        if self.following:
            self.scroll_end(animate=False, force=True, immediate=True)

    async def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        await self.move(-3)

    async def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        await self.move(3)

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y == 0:
            segments = self._title()
        else:
            index = y - 1 + int(self.scroll_offset.y)
            lines = self.window.lines
            text = lines[index] if index < len(lines) else ""
            if not lines and y == 1:
                segments = [Segment(self.problem or "Nothing written yet.", self.ink("muted"))]
            else:
                segments = [Segment(set_cell_size(text, width), self.ink("text"))]
        return Strip(segments).adjust_cell_length(width).apply_style(self.rich_style)

    def _title(self) -> list[Segment]:
        window = self.window
        how = "following" if self.following else "standing still, f follows"
        part = "" if window.start == 0 else f", shown from byte {window.start:,}".replace(",", " ")
        size = f"  {window.size:,} bytes{part}  ".replace(",", " ")
        return [
            Segment("Log", self.ink("text bold")),
            Segment(size, self.ink("muted")),
            Segment(how, self.ink("success" if self.following else "warning")),
        ]
