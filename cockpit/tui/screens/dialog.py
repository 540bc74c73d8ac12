"""A searchable list over the screen: the shape of help and of the theme chooser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

if TYPE_CHECKING:
    from cockpit.tui.app import CockpitApp


class ListDialog(ModalScreen[Any]):
    """An input that filters, a list that answers to the arrows and Enter; Esc closes."""

    app: CockpitApp
    TITLE_TEXT: ClassVar[str] = ""
    PLACEHOLDER: ClassVar[str] = "Search"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", show=False),
        Binding("up", "cursor(-1)", show=False),
        Binding("down", "cursor(1)", show=False),
        Binding("ctrl+p", "cursor(-1)", show=False),
        Binding("ctrl+n", "cursor(1)", show=False),
    ]

    def compose(self) -> ComposeResult:
        """The box in the middle."""
        self.add_class("dialog")
        with Vertical() as box:
            box.border_title = self.TITLE_TEXT
            yield Input(placeholder=self.PLACEHOLDER)
            yield OptionList()

    def on_mount(self) -> None:
        """Everything is listed before a word is typed."""
        self.list_matches("")
        self.query_one(OptionList).can_focus = False
        self.query_one(Input).focus()

    start_id: str | None = None
    """The option to start at."""

    def options(self) -> list[tuple[str, Option]]:
        """What can be chosen, each with the text to search in."""
        raise NotImplementedError

    def list_matches(self, words: str) -> None:
        """List the options that have every word."""
        found = self.query_one(OptionList)
        found.clear_options()
        wanted = words.casefold().split()
        options = [
            option
            for text, option in self.options()
            if all(word in text.casefold() for word in wanted)
        ]
        found.add_options(options)
        start = next((n for n, option in enumerate(options) if option.id == self.start_id), 0)
        found.highlighted = start if options else None

    def on_input_changed(self, event: Input.Changed) -> None:
        """Narrow the list."""
        self.list_matches(event.value)

    def on_input_submitted(self) -> None:
        """Enter takes what is highlighted."""
        self.query_one(OptionList).action_select()

    def action_cursor(self, step: int) -> None:
        """Move in the list without leaving the input."""
        found = self.query_one(OptionList)
        if step < 0:
            found.action_cursor_up()
        else:
            found.action_cursor_down()

    def action_close(self) -> None:
        """Leave without choosing."""
        self.dismiss(None)

    def on_click(self, event: events.Click) -> None:
        """A click beside the box closes it."""
        if event.widget is self:
            self.action_close()
