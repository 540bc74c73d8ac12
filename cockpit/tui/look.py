"""Look: the styles of one theme, by short names, made once and then only looked up.

A front is a theme variable (`foreground`, `muted`, `warning`, `activity-sm`) or a step of a scale
(`power:0` to `power:23`, `heat:…`; `power:9:body` is calmer); a leading `*` makes it bold. A back
is `background`, `surface`, `panel` or `selected`.
"""

from __future__ import annotations

from collections.abc import Mapping

from rich.style import Style
from textual.color import Color

from cockpit.tui.themes import STEPS

BODY = 0.3
"""How far the body of a chart has gone to the background below its crest."""

FADED = 0.5
"""How far faded text has gone to the background: what is stale must still be readable."""


class Look:
    """Styles of one theme; `faded` gives the one for figures that are no longer of the present."""

    def __init__(self, variables: Mapping[str, str], faded: bool = False) -> None:
        self._variables = variables
        self._faded = faded
        self._styles: dict[tuple[str, str], Style] = {}
        background = Color.parse(variables["background"])
        self.ansi = background.ansi is not None
        self._backs = {
            "background": background,
            "surface": Color.parse(variables["surface"]),
            "panel": Color.parse(variables["panel"]),
        }
        self._backs["selected"] = self._selected()
        self._scales = {name: self._ramp(f"{name}-scale") for name in ("power", "heat")}

    def style(self, front: str, back: str = "background") -> Style:
        """The style of `front` on `back`."""
        key = (front, back)
        style = self._styles.get(key)
        if style is None:
            style = self._styles[key] = self._make(front, back)
        return style

    def _make(self, front: str, back: str) -> Style:
        bold = front.startswith("*")
        behind = self._backs[back]
        name, step, body = (*front.lstrip("*").split(":"), "", "")[:3]
        color = self._color(name, step)
        if self.ansi:
            chosen = back == "selected"
            return Style(
                color=color.rich_color,
                bgcolor=None if chosen else behind.rich_color,
                bold=bold,
                reverse=chosen,
                dim=self._faded,
            )
        if body:
            color = color.blend(behind, BODY)
        if self._faded:
            color = color.blend(behind, FADED)
        return Style(color=color.rich_color, bgcolor=behind.rich_color, bold=bold)

    def _color(self, name: str, step: str) -> Color:
        if step:
            return self._scales[name][max(0, min(STEPS - 1, int(step)))]
        return Color.parse(self._variables[name])

    def _selected(self) -> Color:
        if self.ansi:
            return self._backs["panel"]
        return self._backs["panel"].blend(Color.parse(self._variables["primary"]), 0.28)

    def _ramp(self, name: str) -> list[Color]:
        stops = [Color.parse(part) for part in self._variables[name].split()]
        colors = []
        for step in range(STEPS):
            place = step / (STEPS - 1) * (len(stops) - 1)
            lower = min(int(place), len(stops) - 2)
            first, second = stops[lower], stops[lower + 1]
            if first.ansi is not None or second.ansi is not None:
                colors.append(stops[round(place)])
            else:
                colors.append(first.blend(second, place - lower))
        return colors
