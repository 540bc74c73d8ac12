"""Inks: short words for how a cell looks, resolved once per theme.

A word is a theme variable, or one of ALIASES where the theme has none of that name, with attributes
and an optional strength in percent of the way from the background: `"warning bold"`,
`"foreground/60"`, `"text on primary/20"`. `"power:40"` is what lies 40 percent up the theme's
`power-scale`. Terminals that bring their own sixteen colours cannot blend: there, weak fronts are
dimmed and weak backs left out.
"""

from __future__ import annotations

from rich.style import Style
from textual.color import Color, ColorParseError
from textual.widget import Widget

ALIASES = {
    "text": "foreground",
    "muted": "foreground/65",
    "faint": "foreground/32",
    "ok": "success",
    "critical": "error",
    "lost": "error",
    "info": "primary",
}
_ATTRIBUTES = frozenset({"bold", "italic", "underline", "reverse", "dim", "strike"})
_DIM_BELOW = 70


class Inks:
    """The styles of one widget. `clear` it when the theme or the background changes."""

    def __init__(self, widget: Widget) -> None:
        self._widget = widget
        self._styles: dict[str, Style] = {}

    def clear(self) -> None:
        """Forget every style: the theme has changed."""
        self._styles.clear()

    def __call__(self, words: str) -> Style:
        """The style that `words` mean under this theme."""
        style = self._styles.get(words)
        if style is None:
            style = self._styles[words] = self._resolve(words)
        return style

    def color(self, name: str) -> Color:
        """A theme variable or alias as a colour; the foreground if the theme has none of it."""
        variables = self._widget.app.theme_variables
        scale, _, percent = name.partition(":")
        if percent and f"{scale}-scale" in variables:
            return _along(variables[f"{scale}-scale"].split(), int(percent) / 100)
        for candidate in (name, ALIASES.get(name, "").partition("/")[0], "foreground"):
            try:
                return Color.parse(variables.get(candidate, ""))
            except ColorParseError:
                continue
        return Color.parse("white")

    def _resolve(self, words: str) -> Style:
        front, _, back = f" {words}".partition(" on ")
        parts = front.split()
        attributes = dict.fromkeys(_ATTRIBUTES.intersection(parts), True)
        colors = [part for part in parts if part not in _ATTRIBUTES]
        style = Style(**attributes)  # type: ignore[arg-type]
        behind = self._widget.background_colors[1]
        if back:
            name, strength = self._strength(back)
            color = self.color(name)
            blends = color.ansi is None and behind.ansi is None
            if blends:
                behind = behind.blend(color, strength / 100, 1)
                style += Style(bgcolor=behind.rich_color)
            elif strength >= _DIM_BELOW:
                style += Style(bgcolor=color.rich_color)
        if not colors:
            return style
        name, strength = self._strength(colors[0])
        color = self.color(name)
        if strength >= 100:
            return style + Style(color=color.rich_color)
        if color.ansi is None and behind.ansi is None:
            return style + Style(color=behind.blend(color, strength / 100, 1).rich_color)
        return style + Style(color=color.rich_color, dim=strength < _DIM_BELOW)

    def _strength(self, word: str) -> tuple[str, int]:
        if word not in self._widget.app.theme_variables:
            word = ALIASES.get(word, word)
        name, _, percent = word.partition("/")
        return name, int(percent or 100)


def _along(stops: list[str], share: float) -> Color:
    """The colour at `share` of the way along a scale of theme colours."""
    place = min(max(share, 0.0), 1.0) * (len(stops) - 1)
    before = min(int(place), len(stops) - 2)
    low, high = Color.parse(stops[before]), Color.parse(stops[before + 1])
    if low.ansi is not None or high.ansi is not None:
        return low if place - before < 0.5 else high
    return low.blend(high, place - before)
