"""LogView: a window on a log of any size, read by byte offsets, with search and its own scrollbar."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.strip import Strip

from cockpit.tui.phrases import size as size_words
from cockpit.tui.widgets.ink import Inked
from cockpit.tui.widgets.log_rows import LogRows
from cockpit.tui.widgets.log_search import AskSearch, LogSearch
from cockpit.tui.widgets.log_text import Piece
from cockpit.tui.widgets.log_window import CHUNK_BYTES, LogWindow

AskLog = Callable[[int, int], Awaitable[dict[str, Any]]]
"""(offset, limit) → the answer of `job.log`."""
_SIDEWAYS = 16


class LogView(Inked, can_focus=False):
    """Shows the end of a log and follows it; going elsewhere reads what is there as it is needed."""

    DEFAULT_CSS = "LogView { height: 1fr; width: 1fr; min-height: 3; }"

    def __init__(self, ask: AskLog, search: AskSearch, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.window = LogWindow()
        self.search = LogSearch(search, self._changed)
        self.following = True
        self._rows = LogRows(self.window)
        self._ask = ask
        self._busy = False
        self._left = 0

    # Reading

    async def poll(self) -> None:
        """Read what is new at the end, and what of the search can be seen. Raises CockpitError."""
        if self._busy:
            return
        window = self.window
        if not self.following:
            await self._read(window.size, 0)
        else:
            await self._read(window.end if window.lines else -CHUNK_BYTES, CHUNK_BYTES)
            if window.size - window.end > CHUNK_BYTES:
                await self._read(-CHUNK_BYTES, CHUNK_BYTES)
        await self._mark_matches()
        if self.search.whole and self.search.counted < window.size:
            await self.search.count_on()

    async def _read(self, offset: int, limit: int) -> None:
        self._busy = True
        try:
            answer = await self._ask(offset, limit)
        finally:
            self._busy = False
        size = self.window.size
        if self.window.take(answer) or size != self.window.size:
            if self.following:
                self._rows.bottom(self._room)
            self.refresh()

    async def _mark_matches(self) -> None:
        """Have what is shown looked through for matches."""
        if self.window.lines and self.search.pattern:
            start = self.window.offsets[self._rows.index]
            await self.search.highlight(start, self._rows.end(self._room))

    def _changed(self) -> None:
        self.refresh()

    # Moving

    @property
    def _room(self) -> int:
        return max(self.size.height - 1, 1)

    async def move(self, by: int) -> None:
        """Go up or down by rows; up stops following, the very end starts it again."""
        window = self.window
        rows = self._rows
        if by < 0:
            self.following = False
            if rows.at(by)[2] and window.start > window.oldest:
                length = min(CHUNK_BYTES, window.start - window.oldest)
                await self._read(window.start - length, length)
        elif rows.at(by + self._room)[2] and window.end < window.size:
            await self._read(window.end, CHUNK_BYTES)
        rows.go(by)
        if by > 0 and window.end >= window.size and rows.at(self._room)[2]:
            rows.bottom(self._room)
            self.following = True
        await self._mark_matches()
        self.refresh()

    async def page(self, by: int) -> None:
        """Go up or down by screens, keeping a row."""
        await self.move(by * max(self._room - 1, 1))

    async def to_start(self) -> None:
        """Show the beginning of the log."""
        await self.go_to(0)

    async def to_end(self) -> None:
        """Show the end of the log and follow it."""
        self.following = True
        await self._read(-CHUNK_BYTES, CHUNK_BYTES)
        self._rows.bottom(self._room)
        await self._mark_matches()
        self.refresh()

    async def go_to(self, offset: int, above: int = 0) -> None:
        """Show the line with that byte, `above` rows below the top."""
        self.following = False
        if not self.window.holds(offset) or self.window.index(offset) < above:
            await self._read(max(offset - CHUNK_BYTES, 0), 2 * CHUNK_BYTES)
        self._rows.place(self.window.index(offset))
        self._rows.go(-above)
        await self._mark_matches()
        self.refresh()

    async def go_to_share(self, share: float) -> None:
        """Show what lies so far into the log, from 0 to 1."""
        if share >= 1.0:
            await self.to_end()
        else:
            await self.go_to(int(self.window.size * max(share, 0.0)))

    def sideways(self, by: int) -> None:
        """Look at what lies further right or left in long lines."""
        if not self._rows.wrapped:
            self._left = max(self._left + by * _SIDEWAYS, 0)
            self.refresh()

    def toggle_wrap(self) -> None:
        """Break long lines, or cut them."""
        self._rows.wrapped, self._left = not self._rows.wrapped, 0
        self._rows.place(self._rows.index)
        if self.following:
            self._rows.bottom(self._room)
        self.refresh()

    def toggle_follow(self) -> bool:
        """Follow the log, or stay where it is now; whether it is followed."""
        self.following = not self.following
        if self.following:
            self._rows.bottom(self._room)
        self.refresh()
        return self.following

    # Searching

    async def find(self, pattern: str, regex: bool) -> None:
        """Look for something from what is shown on; an empty pattern looks for nothing more."""
        self.search.begin(pattern, regex)
        self.refresh()
        if pattern:
            await self.find_next(fresh=True)

    async def find_next(self, backwards: bool = False, fresh: bool = False) -> None:
        """Go to the next match (or the one before), and round at the end."""
        search = self.search
        if not search.pattern:
            return
        start = self._rows.top
        if search.current is not None and not fresh:
            start = search.current[0] + (0 if backwards else 1)
        if await search.next(self.window.size, start, backwards) and search.current:
            await self.go_to(search.current[0], self._room // 3)

    def visible_text(self) -> str:
        """The text that is shown, without the title."""
        rows = [self._rows.shown(y)[1] for y in range(self._room)]
        texts = ["".join(piece.text for piece in row).rstrip() for row in rows]
        return "\n".join(texts).rstrip("\n") + "\n"

    # Drawing

    def on_resize(self) -> None:
        self._rows.width = max(self.size.width - 1, 1)
        self._rows.place(self._rows.index)
        if self.following:
            self._rows.bottom(self._room)

    async def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        await self.move(-3)

    async def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        await self.move(3)

    async def on_click(self, event: events.Click) -> None:
        """The right edge is the whole log: a click goes there."""
        if event.x >= self.size.width - 1 and event.y > 0:
            await self.go_to_share((event.y - 1) / max(self._room - 1, 1))

    def plain_rows(self) -> list[str]:
        """The text that is shown, title first."""
        rows = [self.render_line(y) for y in range(self.size.height)]
        return ["".join(segment.text for segment in row).rstrip() for row in rows]

    def render_line(self, y: int) -> Strip:
        width = max(self.size.width - 1, 0)
        if y == 0:
            return self._strip(self._title(), self.size.width)
        if not self.window.lines and y == 1:
            return self._strip([Segment("Nothing written yet.", self.ink("muted"))], width + 1)
        index, row = self._rows.shown(y - 1)
        segments = [segment for piece in row for segment in self._segments(index, piece)]
        strip = Strip(segments)
        if self._left:
            strip = strip.crop(self._left)
        edge = Strip([self._edge(y - 1)])
        body = strip.adjust_cell_length(width).apply_style(self.rich_style)
        return Strip.join([body, edge.apply_style(self.rich_style)])

    def _strip(self, segments: list[Segment], width: int) -> Strip:
        return Strip(segments).adjust_cell_length(width).apply_style(self.rich_style)

    def _segments(self, index: int, piece: Piece) -> list[Segment]:
        """A piece in its ink, with what is looked for marked in it."""
        style, end = self._style(piece.ink), piece.at + len(piece.text)
        marks = [mark for mark in self._marks(index) if mark[0] < end and mark[1] > piece.at]
        segments: list[Segment] = []
        at = piece.at
        for start, stop, current in marks:
            start, stop = max(start, at), min(stop, end)
            segments.append(Segment(piece.text[at - piece.at : start - piece.at], style))
            ink = "background on warning bold underline" if current else "background on accent"
            marked = Style(bold=current, underline=current) + self._mark_style(ink)
            segments.append(Segment(piece.text[start - piece.at : stop - piece.at], marked))
            at = max(stop, at)
        segments.append(Segment(piece.text[at - piece.at :], style))
        return [segment for segment in segments if segment.text]

    def _mark_style(self, ink: str) -> Style:
        if self.look.ansi or self.app.no_color:
            return Style(reverse=True)
        return self.ink(ink.removesuffix(" bold underline"))

    def _marks(self, index: int) -> list[tuple[int, int, bool]]:
        """The matches in a line, as characters of it, and whether each is the current one."""
        if not self.search.seen:
            return []
        line, offset = self.window.lines[index], self.window.offsets[index]
        end = offset + len(line)
        inside = [(a, a + n) for a, n in self.search.seen if a < end and a + n > offset]

        def character(byte: int) -> int:
            part = line[: max(byte - offset, 0)]
            return len(part.decode("utf-8", "surrogateescape"))

        current = self.search.current[0] if self.search.current else -1
        return [(character(start), character(stop), start == current) for start, stop in inside]

    def _style(self, ink: str) -> Style:
        """An ink of the theme, or the very colours that the log asks for."""
        if "#" not in ink:
            return self.ink(ink or "text")
        front, _, back = ink.partition(" on ")
        words = front.split()
        colour = next((word for word in words if word.startswith("#")), "")
        style = self.ink(" ".join(word for word in words if word != colour) or "text")
        exact = Style.parse(f"{colour} {'on ' + back if back.startswith('#') else ''}".strip())
        return style + exact

    def _edge(self, y: int) -> Segment:
        """The right edge: where in the whole log the lines lie that are shown."""
        window = self.window
        if window.size <= 0 or not window.offsets:
            return Segment(" ", None)
        room = self._room
        first = int(self._rows.top / window.size * room)
        last = max(int((self._rows.end(room) - 1) / window.size * room), first)
        inside = first <= y <= last
        return Segment("┃" if inside else "│", self.ink("muted" if inside else "faint"))

    def _title(self) -> list[Segment]:
        window = self.window
        share = f"  {min(self._rows.top / window.size, 1.0):.0%}" if window.size else ""
        end = "following" if self.following else "standing still, f follows"
        flags = ("  wrapped" if self._rows.wrapped else "") + (
            f"  → {self._left}" if self._left else ""
        )
        segments = [
            Segment("Log", self.ink("text bold")),
            Segment(
                f"  {size_words(window.size)}{'' if self.following else share}  ", self.ink("muted")
            ),
            Segment(end, self.ink("success" if self.following else "warning")),
            Segment(flags, self.ink("muted")),
        ]
        words = self.search.words
        if words:
            ink = "error" if self.search.problem else "accent"
            segments.append(Segment(f"  / {words}", self.ink(ink)))
        if cell_len("".join(segment.text for segment in segments)) > self.size.width:
            del segments[3 if words else 2 : 4 if words else 3]
        return segments
