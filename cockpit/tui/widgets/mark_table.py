"""MarkTable: a table whose rows can be marked, by key and by mouse, to do something with all of them."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.message import Message

from cockpit.tui.layout import Column, Row, Span
from cockpit.tui.marks import Marks
from cockpit.tui.widgets.table import Table

MARK = "●"


class MarkTable(Table):
    """A gutter shows what is marked; a click there, or with Ctrl, marks one row, with Shift a range."""

    _gutter = 2

    class Marked(Message):
        """Other rows are marked than before."""

        def __init__(self, table: MarkTable) -> None:
            super().__init__()
            self.table = table

        @property
        def control(self) -> MarkTable:
            return self.table

    def __init__(self, columns: Sequence[Column], *, empty: str = "", id: str | None = None):
        super().__init__(columns, empty=empty, id=id)
        self._marks = Marks()

    @property
    def marked(self) -> tuple[str, ...]:
        """The keys of the marked rows, top to bottom."""
        marked = self._marks.keys
        return tuple(key for key in self.keys if key in marked) if marked else ()

    def show(self, rows: Sequence[Row], columns: Sequence[Column] | None = None) -> None:
        super().show(rows, columns)
        before = self._marks.keys
        self._marks.keep(self.keys)
        if self._marks.keys != before:
            self._tell()

    def toggle_mark(self) -> None:
        """Mark the row under the cursor, or no longer."""
        if self.selected:
            self._marks.toggle(self.selected)
            self._tell()

    def mark_range(self) -> None:
        """From now on mark every row the cursor passes; called again, no longer."""
        if self._marks.anchor is not None:
            self._marks.end()
        elif self.selected:
            self._marks.begin(self.selected, lasting=True)
        self._tell()

    def move_marking(self, by: int) -> None:
        """Move the cursor and mark what it passes, as Shift and an arrow do."""
        if self.selected:
            if self._marks.anchor is None:
                self._marks.begin(self.selected)
            self._go(self._cursor + by, marking=True)

    def mark(self, keys: Sequence[str]) -> None:
        """Mark these rows and no others."""
        self._marks.set(key for key in keys if key)
        self._tell()

    def on_click(self, event: events.Click) -> None:
        marking = event.ctrl or event.shift or event.x < self._gutter - 1
        index = self._index_at(event.y)
        if index is None or not marking:
            super().on_click(event)
        elif event.shift and self.selected:
            self._marks.begin(self.selected)
            self._go(index, marking=True)
            self._marks.end()
            self._tell()
        else:
            self._go(index)
            self.toggle_mark()
        event.prevent_default()

    def _go(self, index: int, marking: bool = False) -> None:
        if not marking and not self._marks.lasting:
            self._marks.end()
        super()._go(index)
        if self._marks.anchor is not None and self.selected:
            self._marks.extend(self.keys, self.selected)
            self._tell()

    def _tell(self) -> None:
        self.refresh()
        self.post_message(self.Marked(self))

    def _place(self, row: Row) -> str:
        return "marked " if row.key in self._marks.keys else ""

    def _gutter_spans(self, place: str) -> list[Span]:
        return [(MARK if "marked" in place else " ", "accent bold"), (" ", "")]
