"""Gallery: the plugins to choose from, by kind, each with what it needs and whether it fits now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.segment import Segment
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from cockpit.model import Prospect
from cockpit.plugins import BrokenPlugin, Found, Plugin
from cockpit.tui.draw import Run, clip, crop, spread
from cockpit.tui.launch.words import FATE_MARKS, needs, short_fate
from cockpit.tui.widgets.ink import Inked

Entry = Plugin | BrokenPlugin
WIDE = 40
"""Cells from which on an entry has its summary and what it needs."""


def matches(entry: Entry, words: str) -> bool:
    """Whether every word stands in its name, title, summary or kind, or in why it is broken."""
    if isinstance(entry, BrokenPlugin):
        text = f"{entry.name} broken {entry.reason}"
    else:
        requires = " ".join(entry.requires)
        text = f"{entry.name} {entry.title} {entry.summary} {entry.kind} {requires}"
    return all(word in text.casefold() for word in words.casefold().split())


def ordered(found: Found) -> list[Entry]:
    """By kind, those that are broken last."""
    plugins = sorted(found.plugins, key=lambda plugin: (plugin.kind, plugin.title.casefold()))
    return [*plugins, *found.broken]


class Gallery(ScrollView, Inked, can_focus=False):
    """A list with one chosen; the screen has the keys. A click chooses, a second one opens the form."""

    ages = False
    DEFAULT_CSS = """
    Gallery { height: 1fr; overflow-x: hidden; scrollbar-size: 1 1; background: transparent; }
    """

    class Picked(Message):
        """Another plugin is chosen."""

        def __init__(self, entry: Entry | None) -> None:
            super().__init__()
            self.entry = entry

    class Opened(Message):
        """The chosen one was clicked again."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.entries: list[Entry] = []
        self.fates: dict[str, Prospect] = {}
        self.active = True
        """Whether the keys move in it, and not in the form."""
        self._at = 0
        self._lines: list[tuple[tuple[Run, ...], int]] = []
        """Runs, and the number of the entry they belong to; -1 for none."""

    @property
    def chosen(self) -> Entry | None:
        """The one the cursor is on."""
        return self.entries[self._at] if self._at < len(self.entries) else None

    def show(self, entries: Sequence[Entry]) -> None:
        """List these; the cursor stays with its plugin if that is still there."""
        before = self.chosen
        self.entries = list(entries)
        self._at = self.entries.index(before) if before in self.entries else 0
        self._draw()
        if self.chosen is not before:
            self.post_message(self.Picked(self.chosen))

    def tell(self, fates: Mapping[str, Prospect]) -> None:
        """Say of each whether it fits now."""
        if dict(fates) != self.fates:
            self.fates = dict(fates)
            self._draw()

    def activate(self, active: bool) -> None:
        """Say whether the keys are here."""
        if active != self.active:
            self.active = active
            self.refresh()

    def select(self, name: str) -> None:
        """Choose by name."""
        for number, entry in enumerate(self.entries):
            if entry.name == name:
                self.go(number)

    def move(self, by: int) -> None:
        """Choose the one `by` places further."""
        self.go(self._at + by)

    def go(self, number: int) -> None:
        """Choose the one at a place."""
        number = max(min(number, len(self.entries) - 1), 0)
        if number != self._at:
            self._at = number
            self.refresh()
            self.post_message(self.Picked(self.chosen))
        self._see()

    def on_click(self, event: events.Click) -> None:
        line = int(event.y + self.scroll_offset.y)
        number = self._lines[line][1] if line < len(self._lines) else -1
        if number < 0:
            return
        if number == self._at:
            self.post_message(self.Opened())
        self.go(number)

    # Drawing

    def on_resize(self) -> None:
        self._draw()

    def forget(self) -> None:
        self.refresh()

    def render_line(self, y: int) -> Strip:
        width, line = self.scrollable_content_region.width, y + int(self.scroll_offset.y)
        if line >= len(self._lines):
            return Strip.blank(width, self.rich_style)
        runs, number = self._lines[line]
        back = ""
        if number >= 0 and number == self._at:
            back = " on selected" if self.active else " on panel"
        segments = [Segment(text, self.ink(front + back)) for text, front in runs]
        return Strip(segments).adjust_cell_length(width).apply_style(self.rich_style)

    def _draw(self) -> None:
        width = self.scrollable_content_region.width
        wide = width >= WIDE
        self._lines = []
        kind = None
        for number, entry in enumerate(self.entries):
            mine = "broken" if isinstance(entry, BrokenPlugin) else entry.kind
            if mine != kind and wide:
                if self._lines:
                    self._lines.append((crop((), width), -1))
                rule = "─" * max(width - len(mine) - 2, 0)
                self._lines.append((crop(((f"{mine} ", "muted"), (rule, "faint")), width), -1))
            kind = mine
            self._lines += [(runs, number) for runs in self._entry(entry, width, wide)]
        self.virtual_size = Size(width, len(self._lines))
        self.refresh()

    def _entry(self, entry: Entry, width: int, wide: bool) -> list[tuple[Run, ...]]:
        if isinstance(entry, BrokenPlugin):
            first = spread(((" ✗ ", "error"), (entry.name, "*foreground")), (), width)
            if not wide:
                return [first]
            return [first, crop(((f"   {clip(entry.reason, width - 4)}", "muted"),), width)]
        fate = self.fates.get(entry.name)
        mark, ink = FATE_MARKS[fate.fate] if fate else ("·", "faint")
        head = ((f" {mark} ", ink), (clip(entry.title, width - 4), "*foreground"))
        if not wide:
            return [crop(head, width)]
        return [
            spread(head, ((f"{needs(entry)} ", "muted"),), width),
            crop(((f"   {clip(entry.summary, width - 4)}", "muted"),), width),
            crop((("   ", "faint"), (clip(short_fate(fate), width - 4), ink)), width),
        ]

    def _see(self) -> None:
        """Scroll so that the chosen one can be seen whole, its kind's line too."""
        mine = [line for line, (_, number) in enumerate(self._lines) if number == self._at]
        if mine:
            top = max(mine[0] - 1, 0)
            self.scroll_to_region(Region(0, top, 1, mine[-1] - top + 1), animate=False, force=True)
