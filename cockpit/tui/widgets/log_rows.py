"""LogRows: the rows of a log window from some place on, laid out only as far as they are shown.

The place is that of a line, by its byte offset, and a row within it if it is wrapped: nothing about
the lines that cannot be seen has to be known.
"""

from __future__ import annotations

from collections import OrderedDict

from cockpit.tui.widgets import log_text
from cockpit.tui.widgets.log_text import Piece
from cockpit.tui.widgets.log_window import LogWindow

_KEPT_LINES = 512


class LogRows:
    """Where one is in a window, and what the lines from there on look like."""

    def __init__(self, window: LogWindow) -> None:
        self.top = 0
        """Byte offset of the line at the top."""
        self.wrapped = False
        self.width = 80
        self._window = window
        self._row = 0
        self._laid_out: OrderedDict[bytes, list[list[Piece]]] = OrderedDict()
        self._key: object = None

    @property
    def index(self) -> int:
        """The line at the top."""
        return self._window.index(self.top)

    def at(self, by: int) -> tuple[int, int, bool]:
        """Line and row that lie `by` rows from the top; whether they end before that."""
        index, row = self.index, self._row
        lines = self._window.lines
        while by < 0:
            if row > 0:
                row -= 1
            elif index > 0:
                index -= 1
                row = len(self.of(index)) - 1
            else:
                return index, row, True
            by += 1
        while by > 0:
            if index < len(lines) and row + 1 < len(self.of(index)):
                row += 1
            elif index + 1 < len(lines):
                index, row = index + 1, 0
            else:
                return index, row, True
            by -= 1
        return index, row, False

    def place(self, index: int, row: int = 0) -> None:
        """Have this row at the top."""
        offsets = self._window.offsets
        self.top = offsets[min(index, len(offsets) - 1)] if offsets else 0
        self._row = row

    def go(self, by: int) -> None:
        """Go up or down by rows, as far as there are any."""
        index, row, _ = self.at(by)
        self.place(index, row)

    def bottom(self, room: int) -> None:
        """Have the last row at the end of `room` rows."""
        last = len(self._window.lines) - 1
        self.place(max(last, 0), len(self.of(last)) - 1)
        self.go(1 - room)

    def end(self, room: int) -> int:
        """The byte after what `room` rows show."""
        below = self.at(room - 1)[0] + 1
        offsets = self._window.offsets
        return offsets[below] if below < len(offsets) else self._window.end

    def shown(self, y: int) -> tuple[int, list[Piece]]:
        """The line in row `y` and what of it stands there."""
        index, row, end = self.at(y)
        if end or index >= len(self._window.lines):
            return index, []
        rows = self.of(index)
        return index, rows[min(row, len(rows) - 1)]

    def of(self, index: int) -> list[list[Piece]]:
        """The rows of a line of the window."""
        if not 0 <= index < len(self._window.lines):
            return [[]]
        if (self.width, self.wrapped) != self._key:
            self._laid_out.clear()
            self._key = (self.width, self.wrapped)
        line = self._window.lines[index]
        rows = self._laid_out.get(line)
        if rows is None:
            found = log_text.pieces(line)
            rows = log_text.rows(found, self.width) if self.wrapped else [found]
            self._laid_out[line] = rows
            if len(self._laid_out) > _KEPT_LINES:
                self._laid_out.popitem(last=False)
        return rows
