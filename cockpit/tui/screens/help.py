"""Help: the keys of this place, searchable; Enter does what is chosen."""

from __future__ import annotations

from typing import Any

from rich.text import Text
from textual.screen import Screen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from cockpit.tui import keys
from cockpit.tui.screens.dialog import ListDialog


class HelpScreen(ListDialog):
    """The actions of the screen below it."""

    TITLE_TEXT = "Keys of this place"
    PLACEHOLDER = "Search; Enter does it, Esc closes"

    def __init__(self, below: Screen[Any]) -> None:
        super().__init__()
        self._below = below

    def options(self) -> list[tuple[str, Option]]:
        """The place's own actions first, then those that work everywhere."""
        place: keys.Place = getattr(self._below, "place", "everywhere")
        listed = sorted(
            keys.actions(place, self.app.role), key=lambda action: "everywhere" in action.where
        )
        return [self._option(action) for action in [keys.DIGITS, *listed]]

    def _option(self, action: keys.Action) -> tuple[str, Option]:
        shown = keys.shown_keys(action, self.app.terminal.keys)
        text = Text.assemble((f" {shown:<14}", "bold"), action.help)
        return f"{shown} {action.help} {action.name}", Option(
            text, id=action.name, disabled=not action.run
        )

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Close, and leave it to the app to do what was chosen."""
        self.dismiss(next(action for action in keys.ACTIONS if action.name == event.option_id))
