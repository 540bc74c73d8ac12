"""FilterLine: the line that opens at the bottom to filter what is above it."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input


class FilterLine(Input):
    """Enter keeps the filter and closes the line; Escape forgets it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "forget", "Forget the filter", show=False)
    ]

    class Filtered(Message):
        """The words to filter by have changed."""

        def __init__(self, needle: str) -> None:
            super().__init__()
            self.needle = needle

    def __init__(self) -> None:
        super().__init__(placeholder="filter by any word", id="filter", compact=True)

    def open(self) -> None:
        """Show the line and write into it."""
        self.add_class("-open")
        self.focus()

    def action_forget(self) -> None:
        self.value = ""
        self._close()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Filtered(event.value.strip()))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._close()

    def on_blur(self, event: events.Blur) -> None:
        if not self.value:
            self.remove_class("-open")

    def _close(self) -> None:
        self.set_class(bool(self.value), "-open")
        self.screen.set_focus(None)
