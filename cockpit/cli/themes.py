"""`cockpit themes`: the themes there are, and the broken ones with their reason."""

from __future__ import annotations

import argparse
import sys

from cockpit.cli.command import Command
from cockpit.cli.connect import load_config, options_of
from cockpit.cli.text import print_json, table
from cockpit.model import SCHEMA
from cockpit.themes import Themes, load_themes, theme_directories


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Choose one with `theme` in [terminal] of cockpit.toml, or COCKPIT_THEME."
    parser.add_argument("--json", action="store_true", help="one document")


def run(arguments: argparse.Namespace) -> int:
    """List the themes; 1 when one is broken or the configured one is not there."""
    terminal = load_config(options_of(arguments)).terminal_settings()
    found = load_themes(theme_directories(terminal.theme_directories))
    missing = terminal.theme not in found.loaded
    if arguments.json:
        print_json(_document(found, terminal.theme))
    else:
        rows = [
            ("*" if theme.name == terminal.theme else "", theme.name, theme.summary)
            for theme in found.loaded.values()
        ]
        print(table(("", "THEME", "WHAT IT IS"), rows, left=(0, 1, 2)))
    for broken in found.broken:
        print(f"cockpit: {broken.path} is broken: {broken.reason}", file=sys.stderr)
    if missing:
        print(f"cockpit: the configured theme {terminal.theme} is not there", file=sys.stderr)
    return 1 if found.broken or missing else 0


themes = Command(add_arguments, run)


def _document(found: Themes, current: str) -> dict[str, object]:
    loaded = [
        {
            "name": theme.name,
            "title": theme.title,
            "summary": theme.summary,
            "dark": theme.dark,
            "path": str(theme.path),
            "current": theme.name == current,
        }
        for theme in found.loaded.values()
    ]
    broken = [
        {"name": item.name, "path": str(item.path), "reason": item.reason} for item in found.broken
    ]
    return {"schema": SCHEMA, "themes": loaded, "broken": broken}
