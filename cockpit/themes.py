"""Themes as data: TOML files, every colour checked when read, without importing textual.

A broken theme is returned as broken, with its reason; it never stops the start.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cockpit.paths import config_dir
from cockpit.shipped import shipped

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROLES = (
    "background",
    "surface",
    "panel",
    "foreground",
    "muted",
    "faint",
    "primary",
    "secondary",
    "accent",
    "success",
    "warning",
    "error",
)
"""Colours that every theme gives under `[colors]`. `faint` is for tracks, rules and scales."""

ACTIVITIES = ("sm", "tensor", "dram", "memory")
"""Colours of the activity bars, under `[activity]`; each defaults to one of the roles."""

_ACTIVITY_ROLES = {"sm": "primary", "tensor": "accent", "dram": "secondary", "memory": "muted"}
_SCALE_ROLES = ("success", "warning", "error")
_ANSI = "black red green yellow blue magenta cyan white"
_ANSI_NAMES = frozenset(
    ["ansi_default"]
    + [f"ansi_{bright}{name}" for name in _ANSI.split() for bright in ("", "bright_")]
)
_HEX = re.compile(r"#[0-9a-fA-F]{6}\Z")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*\Z")
_SECTIONS = frozenset({"title", "summary", "dark", "colors", "scales", "activity"})


@dataclass(frozen=True)
class ThemeFile:
    """One theme. Colours are `#rrggbb`, or `ansi_…` for one of the terminal's own sixteen."""

    name: str
    title: str
    summary: str
    dark: bool
    colors: Mapping[str, str]
    """By the names in ROLES."""
    power: tuple[str, ...]
    """From no power to the limit, at least two."""
    heat: tuple[str, ...]
    """From cool to the point of slowing down, at least two."""
    activity: Mapping[str, str]
    """By the names in ACTIVITIES."""
    path: Path

    @property
    def ansi(self) -> bool:
        """Whether it leaves the background to the terminal."""
        return self.colors["background"].startswith("ansi_")


@dataclass(frozen=True)
class BrokenTheme:
    """A theme file that cannot be used, and why."""

    name: str
    path: Path
    reason: str


@dataclass(frozen=True)
class Themes:
    """What was found: by name, a user's theme replacing a shipped one, and the broken ones."""

    loaded: Mapping[str, ThemeFile] = field(default_factory=dict)
    broken: tuple[BrokenTheme, ...] = ()


def theme_directories(extra: Iterable[str] = ()) -> tuple[Path, ...]:
    """Where themes are looked for, later ones winning: shipped, the user's, then `extra`."""
    given = (Path(directory).expanduser() for directory in extra)
    return (shipped("themes"), config_dir() / "themes", *given)


def load_themes(directories: Iterable[Path]) -> Themes:
    """Every `*.toml` of the directories that exist."""
    loaded: dict[str, ThemeFile] = {}
    broken: list[BrokenTheme] = []
    for directory in directories:
        for path in sorted(directory.glob("*.toml")):
            try:
                loaded[path.stem] = read_theme(path)
            except (OSError, ValueError) as error:
                broken.append(BrokenTheme(path.stem, path, str(error)))
    return Themes(loaded, tuple(broken))


def read_theme(path: Path) -> ThemeFile:
    """The theme in one file, named as the file is. Raises ValueError with what is wrong, in words."""
    if not _NAME.match(path.stem):
        raise ValueError("the file's name must be lower-case letters, digits and dashes")
    with path.open("rb") as file:
        document = tomllib.load(file)
    unknown = sorted(set(document) - _SECTIONS)
    if unknown:
        raise ValueError(f"unknown key {unknown[0]}; known are {', '.join(sorted(_SECTIONS))}")
    dark = document.get("dark", True)
    if not isinstance(dark, bool):
        raise ValueError(f"dark must be true or false, not {dark!r}")
    given = _section(document, "colors", ROLES)
    missing = [role for role in ROLES if role not in given]
    if missing:
        raise ValueError(f"colors.{missing[0]} is missing")
    colors = {role: _color(given[role], f"colors.{role}") for role in ROLES}
    scales = _section(document, "scales", ("power", "heat"))
    activity = _section(document, "activity", ACTIVITIES)
    return ThemeFile(
        name=path.stem,
        title=_text(document, "title", path.stem),
        summary=_text(document, "summary", ""),
        dark=dark,
        colors=colors,
        power=_scale(scales, "power", colors),
        heat=_scale(scales, "heat", colors),
        activity={
            name: _color(activity.get(name, colors[_ACTIVITY_ROLES[name]]), f"activity.{name}")
            for name in ACTIVITIES
        },
        path=path,
    )


def _section(document: Mapping[str, Any], name: str, known: Iterable[str]) -> Mapping[str, Any]:
    section = document.get(name, {})
    if not isinstance(section, dict):
        raise ValueError(f"{name} must be a table")
    for key in section:
        if key not in known:
            raise ValueError(f"unknown key {name}.{key}; known are {', '.join(known)}")
    return section


def _scale(scales: Mapping[str, Any], name: str, colors: Mapping[str, str]) -> tuple[str, ...]:
    stops = scales.get(name, [colors[role] for role in _SCALE_ROLES])
    if not isinstance(stops, list) or len(stops) < 2:
        raise ValueError(f"scales.{name} must be a list of at least two colours")
    return tuple(_color(stop, f"scales.{name}") for stop in stops)


def _color(value: Any, where: str) -> str:
    if isinstance(value, str) and (_HEX.match(value) or value in _ANSI_NAMES):
        return value
    raise ValueError(f"{where} is {value!r}, which is neither #rrggbb nor an ansi_ name")


def _text(document: Mapping[str, Any], key: str, default: str) -> str:
    value = document.get(key, default)
    if not isinstance(value, str):
        raise ValueError(f"{key} must be text, not {value!r}")
    return value
