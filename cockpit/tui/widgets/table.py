"""Table: rows of styled cells under a fixed header, with a cursor, drawn line by line from a cache.

Rows keep their place by key: new contents repaint only the lines that look different, and the
cursor stays on the row it was on.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from cockpit.tui.widgets.ink import Inked

Span = tuple[str, str]
"""Text and its ink."""
Cell = str | Span | tuple[Span, ...]
_KEPT_STRIPS = 512


@dataclass(frozen=True)
class Column:
    """One column; `width` cells, or what is left for the one with `flex`."""

    name: str
    width: int = 0
    right: bool = False
    flex: bool = False
    drop: int = 0
    """Above 0: may be left out when there is no room, the highest first."""


@dataclass(frozen=True)
class Row:
    """One row. `key` names it for the cursor; a row without a key cannot be chosen."""

    key: str
    cells: tuple[Cell, ...]

    def matches(self, needle: str) -> bool:
        """Whether every word of `needle` stands in its cells."""
        text = " ".join(text for cell in self.cells for text, _ in _parts(cell)).casefold()
        return all(word in text for word in needle.casefold().split())


class Table(ScrollView, Inked, can_focus=False):
    """A list of rows to read, or to choose from; its screen has the keys and calls `move`."""

    DEFAULT_CSS = """
    Table { height: 1fr; width: 1fr; overflow-x: hidden; scrollbar-size: 1 1; }
    Table { background: transparent; }
    """

    class Chosen(Message):
        """A row was opened: Enter, or a click on the row the cursor was on."""

        def __init__(self, table: Table, key: str) -> None:
            super().__init__()
            self.table, self.key = table, key

        @property
        def control(self) -> Table:
            return self.table

    class Moved(Message):
        """The cursor is on another row (None when there is none)."""

        def __init__(self, table: Table, key: str | None) -> None:
            super().__init__()
            self.table, self.key = table, key

        @property
        def control(self) -> Table:
            return self.table

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        header: bool = True,
        cursor: bool = True,
        empty: str = "",
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self._columns, self._header = tuple(columns), int(header)
        self._cursor_shown, self.empty = cursor, empty
        self._rows: tuple[Row, ...] = ()
        self._cursor = 0
        self._strips: OrderedDict[tuple[object, ...], Strip] = OrderedDict()

    @property
    def rows(self) -> tuple[Row, ...]:
        """What is shown, top to bottom."""
        return self._rows

    @property
    def selected(self) -> str | None:
        """The key of the row under the cursor."""
        return self._rows[self._cursor].key if self._cursor < len(self._rows) else None

    def show(self, rows: Sequence[Row], columns: Sequence[Column] | None = None) -> None:
        """Show these rows; the cursor stays with its row, or with its place if that is gone."""
        before, selected = self._rows, self.selected
        self._rows = tuple(rows)
        if columns is not None and tuple(columns) != self._columns:
            self._columns = tuple(columns)
            self._strips.clear()
            before = ()
        keys = [row.key for row in self._rows]
        if selected in keys and selected:
            self._cursor = keys.index(selected)
        self._cursor = max(min(self._cursor, len(keys) - 1), 0)
        self._fit()
        if len(before) != len(self._rows):
            self.refresh()
        else:
            for index, row in enumerate(self._rows):
                if row != before[index]:
                    self._refresh_row(index)
        if self.selected != selected:
            self.refresh()
            self.post_message(self.Moved(self, self.selected))

    def select(self, key: str) -> None:
        """Put the cursor on the row with this key, if there is one."""
        for index, row in enumerate(self._rows):
            if row.key == key:
                self._go(index)
                return

    def plain_rows(self) -> list[str]:
        """The text of every row as laid out now, header first."""
        header = [self._text(self._header_cells())] if self._header else []
        return header + [self._text(row.cells) for row in self._rows]

    # Moving

    def move(self, by: int) -> None:
        """Move the cursor (or the view) by rows."""
        self._go(self._place + by)

    def page(self, by: int) -> None:
        """Move by pages."""
        self._go(self._place + by * max(self.size.height - self._header - 1, 1))

    def first(self) -> None:
        """Move to the first row."""
        self._go(0)

    def last(self) -> None:
        """Move to the last row."""
        self._go(len(self._rows) - 1)

    @property
    def _place(self) -> int:
        """What moving starts from: the cursor, or the top row of a table that has none."""
        return self._cursor if self._cursor_shown else int(self.scroll_offset.y)

    def choose(self) -> None:
        """Open the row under the cursor."""
        if self._cursor_shown and self.selected:
            self.post_message(self.Chosen(self, self.selected))

    def on_click(self, event: events.Click) -> None:
        index = int(event.y + self.scroll_offset.y) - self._header
        if event.y < self._header or not 0 <= index < len(self._rows):
            return
        if index == self._cursor or event.chain == 2:
            self._go(index)
            self.choose()
        else:
            self._go(index)

    def _go(self, index: int) -> None:
        index = max(min(index, len(self._rows) - 1), 0)
        if not self._cursor_shown:
            self.scroll_to(y=index, animate=False)
            return
        if index != self._cursor:
            before, self._cursor = self._cursor, index
            self._refresh_row(before)
            self._refresh_row(index)
            self.post_message(self.Moved(self, self.selected))
        top, room = self.scroll_offset.y, self.size.height - self._header
        if index < top:
            self.scroll_to(y=index, animate=False)
        elif index >= top + room:
            self.scroll_to(y=index - room + 1, animate=False)

    # Drawing

    def on_resize(self) -> None:
        self._strips.clear()
        self._fit()

    def forget(self) -> None:
        self._strips.clear()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y < self._header:
            return self._strip(self._header_cells(), "header")
        index = y - self._header + self.scroll_offset.y
        if index >= len(self._rows):
            note = self.empty if not self._rows and index == 0 else ""
            return (
                Strip([Segment(note, self.ink("muted"))])
                .adjust_cell_length(width)
                .apply_style(self.rich_style)
            )
        place = "cursor" if self._cursor_shown and index == self._cursor else ""
        return self._strip(self._rows[index].cells, place)

    def _strip(self, cells: tuple[Cell, ...], place: str) -> Strip:
        key = (cells, place)
        strip = self._strips.get(key)
        if strip is None:
            base = self.rich_style
            if place:
                words = {"cursor": "on primary/28", "header": "muted"}
                base += self.ink(words[place])
                if place == "cursor" and self.look.ansi:
                    base += Style(reverse=True)
            segments = [
                Segment(text, self.ink(ink) if ink else None) for text, ink in self._spans(cells)
            ]
            strip = Strip(segments).adjust_cell_length(self.size.width).apply_style(base)
            self._strips[key] = strip
            if len(self._strips) > _KEPT_STRIPS:
                self._strips.popitem(last=False)
        return strip

    def _header_cells(self) -> tuple[Cell, ...]:
        return tuple(column.name for column in self._columns)

    def _text(self, cells: tuple[Cell, ...]) -> str:
        return "".join(text for text, _ in self._spans(cells))

    def _spans(self, cells: tuple[Cell, ...]) -> list[Span]:
        """The cells cut and padded to their columns, one space between them."""
        spans: list[Span] = []
        for column, width, cell in zip(self._columns, self._widths(), cells, strict=False):
            if width <= 0:
                continue
            if spans:
                spans.append((" ", ""))
            spans += _fitted(_parts(cell), width, column.right)
        return spans

    def _widths(self) -> list[int]:
        total = self.size.width
        shown = list(self._columns)

        def least(columns: list[Column]) -> int:
            return sum(max(column.width, 1) for column in columns) + len(columns) - 1

        for column in sorted(self._columns, key=lambda column: -column.drop):
            if column.drop and least(shown) > total:
                shown.remove(column)
        spare = total - least(shown)
        flexible = sum(column.flex for column in shown)
        widths: list[int] = []
        for column in self._columns:
            if column not in shown:
                widths.append(0)
            elif column.flex:
                widths.append(max(column.width, 1) + max(spare, 0) // flexible)
            else:
                widths.append(max(column.width, 1))
        return widths

    def _fit(self) -> None:
        self.virtual_size = Size(self.size.width, len(self._rows) + self._header)

    def _refresh_row(self, index: int) -> None:
        y = index - self.scroll_offset.y + self._header
        if self._header <= y < self.size.height:
            self.refresh(Region(0, y, self.size.width, 1))


def _parts(cell: Cell) -> tuple[Span, ...]:
    if isinstance(cell, str):
        return ((cell, ""),)
    if cell and isinstance(cell[0], str):
        return (cell,)
    return cell


def _fitted(parts: tuple[Span, ...], width: int, right: bool) -> list[Span]:
    """Spans of exactly `width` cells; what is cut ends in …"""
    spans: list[Span] = []
    used = 0
    for text, ink in parts:
        size = cell_len(text)
        if used + size > width:
            room = width - used
            if room > 0:
                spans.append((set_cell_size(text, room - 1) + "…", ink))
            return spans
        spans.append((text, ink))
        used += size
    if used < width:
        pad = (" " * (width - used), "")
        spans = [pad, *spans] if right else [*spans, pad]
    return spans
