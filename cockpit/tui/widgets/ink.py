"""Inked: what every widget has that draws its own lines in the theme's styles."""

from __future__ import annotations

from typing import Any, ClassVar

from rich.style import Style
from textual.app import App
from textual.widget import Widget

from cockpit.tui.look import Look


def theme_ink(app: App[Any], name: str) -> str:
    """A colour of the theme for text in a stock widget; in a theme of no colours an error is bold."""
    color = app.theme_variables.get(name, "")
    return color if color.startswith("#") else "bold" if name == "error" else ""


class Inked(Widget):
    """A widget that names its styles, and is faded while its figures are no longer of the present."""

    ages: ClassVar[bool] = True
    """Whether it shows what grows old; what one chooses with does not."""
    _faded = False
    _look: Look | None = None

    @property
    def look(self) -> Look:
        """The styles of the theme, faded when the data is."""
        if self._look is None:
            self._look = Look(self.app.theme_variables, self._faded)
        return self._look

    def ink(self, words: str) -> Style:
        """A front of `Look`, with its back if it has one: `text on primary/20`."""
        front, _, back = f" {words}".partition(" on ")
        return self.look.style(front.strip(), back)

    def fade(self, faded: bool) -> None:
        """Draw faded from now on, or no longer."""
        if self.ages and faded != self._faded:
            self._faded, self._look = faded, None
            self.forget()
            self.refresh()

    def forget(self) -> None:
        """Let go of everything that was drawn in styles that no longer hold."""

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._look = None
        self.forget()
