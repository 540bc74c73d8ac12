"""Theme files as Textual themes, with cockpit's own variables."""

from __future__ import annotations

from textual.theme import BUILTIN_THEMES, Theme

from cockpit.themes import ThemeFile

STEPS = 24
"""Colours in each of the `power-N` and `heat-N` scales."""

DEFAULT_VARIABLES: dict[str, str] = {
    "muted": "#8793ad",
    "faint": "#39445f",
    "activity-sm": "#7aa2f7",
    "activity-tensor": "#c099ff",
    "activity-dram": "#4fd6be",
    "activity-memory": "#8793ad",
    "power-scale": "#2e5cb8 #4fd6be #ffc777 #ff8f5e",
    "heat-scale": "#4f7ec8 #c3e88d #ff757f",
}
"""For a theme that does not come from a file of ours."""


def to_textual(theme: ThemeFile) -> Theme:
    """The theme as Textual takes it; cockpit's colours become variables such as `activity-sm`."""
    colors = theme.colors
    # Textual's own rules need more variables when the colours are the terminal's.
    base = BUILTIN_THEMES["ansi-dark" if theme.dark else "ansi-light"] if theme.ansi else None
    variables = dict(base.variables) if base else {}
    variables |= {
        "muted": colors["muted"],
        "faint": colors["faint"],
        "power-scale": " ".join(theme.power),
        "heat-scale": " ".join(theme.heat),
        "footer-key-foreground": colors["accent"],
        "border": colors["faint"],
        "border-blurred": colors["faint"],
        "scrollbar": colors["faint"],
        "scrollbar-hover": colors["muted"],
        "scrollbar-active": colors["primary"],
        "scrollbar-background": colors["background"],
        "scrollbar-background-hover": colors["background"],
        "scrollbar-background-active": colors["background"],
        "scrollbar-corner-color": colors["background"],
    }
    if not theme.ansi:
        variables["block-cursor-background"] = colors["primary"]
        variables["block-cursor-foreground"] = colors["background"]
    variables.update({f"activity-{name}": color for name, color in theme.activity.items()})
    return Theme(
        name=theme.name,
        primary=colors["primary"],
        secondary=colors["secondary"],
        accent=colors["accent"],
        success=colors["success"],
        warning=colors["warning"],
        error=colors["error"],
        foreground=colors["foreground"],
        background=colors["background"],
        surface=colors["surface"],
        panel=colors["panel"],
        boost=colors["panel"],
        dark=theme.dark,
        ansi=theme.ansi,
        variables=variables,
    )
