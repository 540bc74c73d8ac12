"""The theme chooser: what is highlighted is shown at once; Esc goes back to what was."""

from __future__ import annotations

from rich.text import Text
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from cockpit.tui.screens.dialog import ListDialog


class ThemesScreen(ListDialog):
    """Every theme, and every theme file that cannot be used, with its reason."""

    TITLE_TEXT = "Theme"
    PLACEHOLDER = "Search; Enter takes it, Esc keeps the old one"

    def __init__(self) -> None:
        super().__init__()
        self._before = ""

    def on_mount(self) -> None:
        """Start at the theme in use."""
        self._before = self.start_id = self.app.theme
        super().on_mount()

    def options(self) -> list[tuple[str, Option]]:
        """Themes by name, then the broken ones."""
        themes = self.app.themes
        listed = [
            (
                f"{theme.name} {theme.title} {theme.summary}",
                Option(
                    Text.assemble((f" {theme.title}", "bold"), f"\n   {theme.summary}"),
                    id=theme.name,
                ),
            )
            for theme in themes.loaded.values()
        ]
        for broken in themes.broken:
            text = f" {broken.name} cannot be used\n   {broken.reason}\n   {broken.path}"
            listed.append((text, Option(text, disabled=True)))
        return listed

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Preview."""
        if event.option_id and self._before:
            self.app.theme = event.option_id

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Take it and remember it."""
        if event.option_id:
            self.app.choose_theme(event.option_id)
            self.dismiss(None)

    def action_close(self) -> None:
        """Back to the theme of before."""
        self.app.theme = self._before
        self.dismiss(None)
