"""In words: what a plugin needs, and what would become of it now. Pure: no Textual."""

from __future__ import annotations

import re

from cockpit.model import Prospect
from cockpit.plugins import Plugin
from cockpit.tui.draw import Run

FATE_MARKS: dict[str, tuple[str, str]] = {
    "starts": ("▶", "success"),
    "waits": ("○", "warning"),
    "never": ("✗", "error"),
}
"""What would become of it → its mark and its ink."""


def needs(plugin: Plugin) -> str:
    """`1 GPU`, `0-1 GPUs`, `no GPU`."""
    need = plugin.gpus
    if need.maximum == 0:
        return "no GPU"
    bounds = need.bounds.replace(" to ", "-")
    return f"{bounds} GPU{'' if bounds == '1' else 's'}"


def packages(plugin: Plugin) -> str:
    """The names of what it requires."""
    return ", ".join(re.split(r"[\s\[<>=!~;@]", each.strip())[0] for each in plugin.requires)


def _wait(fate: Prospect) -> str:
    """What it would wait for, without saying again that it waits."""
    return fate.text.removeprefix("waiting ").removeprefix("for ")


def short_fate(fate: Prospect | None) -> str:
    """In a few words, for the list."""
    if fate is None:
        return ""
    if fate.fate == "starts":
        return "starts at once" + (", builds its environment" if fate.builds else "")
    if fate.fate == "waits":
        return f"would wait: {_wait(fate)}"
    return f"cannot run here: {fate.text}"


def long_fate(fate: Prospect) -> tuple[Run, ...]:
    """What Enter would lead to, for the form."""
    mark, ink = FATE_MARKS[fate.fate]
    if fate.fate == "starts":
        where = f" on {fate.text}" if fate.text else ""
        said = f"starts at once{where}"
    elif fate.fate == "waits":
        said = f"waits: {_wait(fate)}"
    else:
        said = f"cannot run here: {fate.text}"
    builds = "  its environment is built first" if fate.builds and fate.fate != "never" else ""
    return ((f"{mark} ", ink), (said, "foreground"), (builds, "muted"))
