"""Look: the styles of one theme, by short names, made once and then only looked up.

A front is a theme variable (`foreground`, `muted`, `warning`, `activity-sm`; `text` is the
foreground too) or a place on a scale (`power:0` to `power:23`, `heat:40%`; `power:9:body` is
calmer). `foreground/60` goes 60 percent of the way from what lies behind; a leading `*` makes it
bold, and attributes may follow: `warning bold reverse`.

A back is `background`, `surface`, `panel`, `selected`, a colour over the background (`primary/20`),
or nothing. Terminals that bring their own sixteen colours cannot blend: there, weak fronts are
dimmed, weak backs left out, and the selection is in reverse.
"""

from __future__ import annotations

from collections.abc import Mapping

from rich.style import Style
from textual.color import Color, ColorParseError

from cockpit.tui.themes import DEFAULT_VARIABLES, STEPS

BODY = 0.3
"""How far the body of a chart has gone to the background below its crest."""

FADED = 0.5
"""How far faded text has gone to the background: what is stale must still be readable."""

_ATTRIBUTES = frozenset({"bold", "italic", "underline", "reverse", "dim", "strike"})
_WEAK = 70
"""Percent below which a colour is dimmed, or left out as a back, where it cannot be blended."""


class Look:
    """Styles of one theme; `faded` gives the one for figures that are no longer of the present."""

    def __init__(self, variables: Mapping[str, str], faded: bool = False) -> None:
        self._variables = {**DEFAULT_VARIABLES, **variables}
        self._faded = faded
        self._styles: dict[tuple[str, str], Style] = {}
        self._background = Color.parse(self._variables["background"])
        self.ansi = self._background.ansi is not None
        self._backs = {
            "background": self._background,
            "surface": Color.parse(self._variables["surface"]),
            "panel": Color.parse(self._variables["panel"]),
        }
        self._backs["selected"] = self._selected()
        self._scales = {
            name: [Color.parse(stop) for stop in self._variables[f"{name}-scale"].split()]
            for name in ("power", "heat")
        }

    def style(self, front: str, back: str = "background") -> Style:
        """The style of `front` on `back`."""
        key = (front, back)
        style = self._styles.get(key)
        if style is None:
            style = self._styles[key] = self._make(front, back)
        return style

    def fade(self, color: Color, behind: Color | None = None) -> Color:
        """`color` as it is drawn: nearer to what lies behind it if this look is faded."""
        if self.ansi or not self._faded:
            return color
        return color.blend(behind or self._background, FADED)

    def _make(self, front: str, back: str) -> Style:
        words = front.split()
        attributes = {word: True for word in words if word in _ATTRIBUTES}
        if front.startswith("*"):
            attributes["bold"] = True
        behind = self._behind(back)
        style = Style(**attributes) + self._back_style(back, behind)  # type: ignore[arg-type]
        for word in words:
            if word not in _ATTRIBUTES:
                return style + self._front_style(word.lstrip("*"), behind)
        return style

    def _front_style(self, word: str, behind: Color) -> Style:
        name, _, strength = word.partition("/")
        name, place, body = (*name.split(":"), "", "")[:3]
        share = int(strength or 100)
        color = self._color(name, place)
        if self.ansi:
            return Style(color=color.rich_color, dim=self._faded or share < _WEAK)
        if body:
            color = color.blend(behind, BODY)
        if share < 100:
            color = behind.blend(color, share / 100, 1)
        return Style(color=self.fade(color, behind).rich_color)

    def _behind(self, back: str) -> Color:
        """The colour that the front lies on."""
        if not back or back in self._backs:
            return self._backs[back or "background"]
        name, _, strength = back.partition("/")
        name, _, place = name.partition(":")
        color, share = self._color(name, place), int(strength or 100)
        if self.ansi:
            return color if share >= _WEAK else self._background
        return self.fade(self._background.blend(color, share / 100, 1))

    def _back_style(self, back: str, behind: Color) -> Style:
        if not back:
            return Style()
        if self.ansi and back == "selected":
            return Style(reverse=True)
        if self.ansi and back not in self._backs and behind is self._background:
            return Style()
        return Style(bgcolor=behind.rich_color)

    def _color(self, name: str, place: str) -> Color:
        if place:
            return _along(self._scales[name], place)
        try:
            return Color.parse(self._variables["foreground" if name == "text" else name])
        except (KeyError, ColorParseError):
            return Color.parse(self._variables["foreground"])

    def _selected(self) -> Color:
        if self.ansi:
            return self._backs["panel"]
        return self._backs["panel"].blend(Color.parse(self._variables["primary"]), 0.28)


def _along(stops: list[Color], place: str) -> Color:
    """The colour at a step (`9` of STEPS) or a percentage (`40%`) of the way along a scale."""
    share = int(place[:-1]) / 100 if place.endswith("%") else int(place) / (STEPS - 1)
    at = min(max(share, 0.0), 1.0) * (len(stops) - 1)
    lower = min(int(at), len(stops) - 2)
    first, second = stops[lower], stops[lower + 1]
    if first.ansi is not None or second.ansi is not None:
        return first if at - lower < 0.5 else second
    return first.blend(second, at - lower)
