"""Table: rows of styled cells under a fixed header, with a cursor, drawn line by line from a cache.

Rows keep their place by key: new contents repaint only the lines that look different, and the
cursor stays on the row it was on. Only rows that can be seen are asked for, so that a table of
`LazyRows` costs the same however long it is.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from cockpit.tui.layout import (
    Cell,
    Column,
    LazyRows,
    Row,
    Span,
    fitted,
    keys_of,
    parts,
    widths,
)
from cockpit.tui.widgets.ink import Inked

__all__ = ["Cell", "Column", "LazyRows", "Row", "Span", "Table"]

_KEPT_STRIPS = 512


class Table(ScrollView, Inked, can_focus=False):
    """A list of rows to read, or to choose from; its screen has the keys and calls `move`."""

    DEFAULT_CSS = """
    Table { height: 1fr; width: 1fr; overflow-x: hidden; scrollbar-size: 1 1; }
    Table { background: transparent; }
    """
    _gutter = 0
    """Cells left of all columns."""

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

    class HeaderClicked(Message):
        """The name of a column was clicked."""

        def __init__(self, table: Table, column: str) -> None:
            super().__init__()
            self.table, self.column = table, column

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
        self._rows: Sequence[Row] = ()
        self._keys: tuple[str, ...] = ()
        self._seen: dict[int, Row] = {}
        self._cursor = 0
        self._order: tuple[str, bool] = ("", False)
        self._strips: OrderedDict[tuple[object, ...], Strip] = OrderedDict()

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the rows, top to bottom."""
        return self._keys

    @property
    def selected(self) -> str | None:
        """The key of the row under the cursor."""
        return self._keys[self._cursor] if self._cursor < len(self._keys) else None

    def with_cursor(self, shown: bool) -> None:
        """Have a row to choose, or only rows to read."""
        if shown != self._cursor_shown:
            self._cursor_shown = shown
            self.refresh()

    def show(self, rows: Sequence[Row], columns: Sequence[Column] | None = None) -> None:
        """Show these rows; the cursor stays with its row, or with its place if that is gone."""
        before, keys, selected = self._seen, self._keys, self.selected
        self._rows, self._seen = rows, {}
        self._keys = keys_of(rows)
        if columns is not None and tuple(columns) != self._columns:
            self._columns = tuple(columns)
            self._strips.clear()
            before = {}
        if selected and selected in self._keys:
            self._cursor = self._keys.index(selected)
        self._cursor = max(min(self._cursor, len(self._keys) - 1), 0)
        if len(keys) != len(self._keys):
            self._fit()
            self.refresh()
        else:
            for index in self._visible():
                self._refresh_cells(index, before.get(index))
        if self.selected != selected:
            self.refresh()
            self.post_message(self.Moved(self, self.selected))

    def order_by(self, column: str, descending: bool) -> None:
        """Say in the header which column the rows are ordered by."""
        if self._order != (column, descending):
            self._order = (column, descending)
            self.refresh(Region(0, 0, self.size.width, 1))

    def select(self, key: str) -> None:
        """Put the cursor on the row with this key, if there is one."""
        if key in self._keys:
            self._go(self._keys.index(key))

    def plain_rows(self) -> list[str]:
        """The text of every row as laid out now, header first."""
        header = [self._text(self._header_cells(), "header")] if self._header else []
        return header + [self._text(row.cells, self._place(row)) for row in self._rows]

    # Moving

    def move(self, by: int) -> None:
        """Move the cursor (or the view) by rows."""
        self._go(self._at + by)

    def page(self, by: int) -> None:
        """Move by pages."""
        self._go(self._at + by * max(self.size.height - self._header - 1, 1))

    def first(self) -> None:
        """Move to the first row."""
        self._go(0)

    def last(self) -> None:
        """Move to the last row."""
        self._go(len(self._keys) - 1)

    @property
    def _at(self) -> int:
        """What moving starts from: the cursor, or the top row of a table that has none."""
        return self._cursor if self._cursor_shown else int(self.scroll_offset.y)

    def choose(self) -> None:
        """Open the row under the cursor."""
        if self._cursor_shown and self.selected:
            self.post_message(self.Chosen(self, self.selected))

    def on_click(self, event: events.Click) -> None:
        index = self._index_at(event.y)
        if event.y < self._header:
            self._click_header(event.x)
        elif index is not None:
            opens = index == self._cursor or event.chain == 2
            self._go(index)
            if opens:
                self.choose()

    def _index_at(self, y: int) -> int | None:
        """The place of the row at line `y` of what is seen."""
        index = int(y + self.scroll_offset.y) - self._header
        return index if y >= self._header and 0 <= index < len(self._keys) else None

    def _click_header(self, x: int) -> None:
        for column, (at, width) in zip(self._columns, self._places(), strict=True):
            if width and at <= x <= at + width:
                self.post_message(self.HeaderClicked(self, column.name))
                return

    def _go(self, index: int) -> None:
        index = max(min(index, len(self._keys) - 1), 0)
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
        width = self._room
        if y < self._header:
            return self._strip(self._header_cells(), "header")
        index = y - self._header + self.scroll_offset.y
        if index >= len(self._keys):
            note = self.empty if not self._keys and index == 0 else ""
            return (
                Strip([Segment(note, self.ink("muted"))])
                .adjust_cell_length(width)
                .apply_style(self.rich_style)
            )
        row = self._row(index)
        place = self._place(row)
        if self._cursor_shown and index == self._cursor:
            place += "cursor"
        return self._strip(row.cells, place)

    def _row(self, index: int) -> Row:
        row = self._seen.get(index)
        if row is None:
            row = self._seen[index] = self._rows[index]
        return row

    def _place(self, row: Row) -> str:
        """What is special about a row, in words; not the cursor."""
        return ""

    def _strip(self, cells: tuple[Cell, ...], place: str) -> Strip:
        key = (cells, place, self._room)
        strip = self._strips.get(key)
        if strip is None:
            spans = self._spans(cells, place)
            strip = Strip([Segment(text, self.ink(ink) if ink else None) for text, ink in spans])
            strip = strip.adjust_cell_length(self._room).apply_style(self._base(place))
            self._strips[key] = strip
            if len(self._strips) > _KEPT_STRIPS:
                self._strips.popitem(last=False)
        return strip

    def _base(self, place: str) -> Style:
        """What lies under a whole line."""
        base = self.rich_style
        if place == "header":
            return base + self.ink("muted")
        if "cursor" in place:
            base += self.ink("on primary/28")
            return base + Style(reverse=True) if self.look.ansi else base
        return base + self.ink("on primary/12") if place else base

    def _header_cells(self) -> tuple[Cell, ...]:
        name, descending = self._order
        arrow = "↓" if descending else "↑"
        return tuple(
            ((arrow + column.name if column.right else column.name + arrow), "text bold")
            if column.name == name and name
            else column.name
            for column in self._columns
        )

    def _text(self, cells: tuple[Cell, ...], place: str) -> str:
        return "".join(text for text, _ in self._spans(cells, place))

    def _spans(self, cells: tuple[Cell, ...], place: str) -> list[Span]:
        """The cells cut and padded to their columns, one space between them."""
        spans: list[Span] = []
        for column, width, cell in zip(self._columns, self._widths(), cells, strict=False):
            if width <= 0:
                continue
            if spans:
                spans.append((" " * column.gap, ""))
            spans += fitted(parts(cell), width, column.right)
        return [*self._gutter_spans(place), *spans] if self._gutter else spans

    def _gutter_spans(self, place: str) -> list[Span]:
        """What stands left of all columns, `_gutter` cells wide."""
        return []

    def _widths(self) -> list[int]:
        return widths(self._columns, self._room - self._gutter)

    def _places(self) -> list[tuple[int, int]]:
        """Of each column its first cell and its width; 0 wide if it is left out."""
        places: list[tuple[int, int]] = []
        at = self._gutter
        for column, width in zip(self._columns, self._widths(), strict=True):
            if width and at > self._gutter:
                at += column.gap
            places.append((at, width))
            at += width
        return places

    @property
    def _room(self) -> int:
        """Cells of a line: what the scrollbar leaves, if there is one."""
        return self.scrollable_content_region.width

    def _fit(self) -> None:
        self.virtual_size = Size(self._room, len(self._keys) + self._header)

    def _visible(self) -> range:
        """The places of the rows that can be seen."""
        top = int(self.scroll_offset.y)
        return range(top, min(top + max(self.size.height - self._header, 0), len(self._keys)))

    def _refresh_row(self, index: int) -> None:
        self._refresh_at(index, [(0, self.size.width)])

    def _refresh_cells(self, index: int, before: Row | None) -> None:
        """Draw again what is another than it was `before`: where its row has changed, its cells alone."""
        row = self._row(index)
        if row == before:
            return
        if before is None or before.key != row.key or len(before.cells) != len(row.cells):
            self._refresh_row(index)
            return
        changed = [
            (at, width)
            for (at, width), new, old in zip(self._places(), row.cells, before.cells, strict=False)
            if width and new != old
        ]
        self._refresh_at(index, changed)

    def _refresh_at(self, index: int, spans: Sequence[tuple[int, int]]) -> None:
        """Draw these parts (first cell, cells) of a row again, if it can be seen."""
        y = index - self.scroll_offset.y + self._header
        if spans and self._header <= y < self.size.height:
            self.refresh(*(Region(x, y, width, 1) for x, width in spans))
