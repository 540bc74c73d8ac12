"""AskLine: one line at the bottom to write something into: what to search for, where to go."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input


class AskLine(Input):
    """Enter answers and closes the line; Escape closes it without an answer."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Close", show=False)]
    DEFAULT_CSS = """
    AskLine {
        dock: bottom; height: 1; border: none; padding: 0 1; background: $panel; display: none;
    }
    AskLine.-open { display: block; }
    """

    class Answered(Message):
        """What was written, and to which question."""

        def __init__(self, question: str, answer: str) -> None:
            super().__init__()
            self.question, self.answer = question, answer

    def __init__(self) -> None:
        super().__init__(id="ask", compact=True)
        self._question = ""

    def ask(self, question: str, words: str, value: str = "") -> None:
        """Open with `words` as the hint; the answer comes with `question`."""
        self._question, self.placeholder, self.value = question, words, value
        self.add_class("-open")
        self.focus()
        self.action_select_all()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Answered(self._question, event.value))
        self.action_leave()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()

    def action_leave(self) -> None:
        """Close without an answer."""
        self.remove_class("-open")
        self.screen.set_focus(None)

    def on_blur(self, event: events.Blur) -> None:
        self.remove_class("-open")
