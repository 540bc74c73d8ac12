"""`cockpit config show|validate|path`: every setting and where it came from."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Mapping

from cockpit.cli.command import Command
from cockpit.cli.connect import load_config, options_of
from cockpit.cli.options import GlobalOptions
from cockpit.cli.text import print_json, table
from cockpit.config import Config, config_files, load, user_file
from cockpit.config_check import known_keys
from cockpit.errors import UsageError
from cockpit.model import SCHEMA

HIDDEN = "…"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what",
        choices=("show", "validate", "path"),
        nargs="?",
        default="show",
        help="show every value and its origin (default), check the files, or list the files",
    )
    parser.add_argument("--json", action="store_true", help="one document")


def run(arguments: argparse.Namespace) -> int:
    """Show, check or list; `validate` ends with 1 when something is wrong in a file."""
    options = options_of(arguments)
    if arguments.what == "validate":
        return _validate(options, arguments.json)
    if arguments.what == "path":
        return _path(options, arguments.json)
    return _show(load_config(options), arguments.json)


config = Command(add_arguments, run)


def _show(current: Config, as_json: bool) -> int:
    free = {"keys": current.keys, "hosts": current.hosts}
    keys = [*known_keys(), *(f"{table}.{name}" for table in free for name in free[table])]
    values = {key: _value(current, key) for key in keys}
    if as_json:
        rows = {
            key: {"value": value, "from": current.provenance(key)} for key, value in values.items()
        }
        print_json({"schema": SCHEMA, "settings": rows})
    else:
        lines = [(key, _words(value), current.provenance(key)) for key, value in values.items()]
        print(table(("KEY", "VALUE", "FROM"), lines, left=(0, 1, 2)))
    return 0


def _value(current: Config, key: str) -> object:
    section, _, name = key.partition(".")
    table_of = getattr(current, section)
    value = table_of[name] if isinstance(table_of, Mapping) else getattr(table_of, name)
    # Headers hold passwords, a webhook's path often one too, and pages are shown around.
    if key == "notify.webhook_headers":
        return dict.fromkeys(value, HIDDEN)
    if key == "notify.webhook" and value is not None:
        return re.sub(r"://(?:[^/@]*@)?([^/?#]*).*", rf"://\1/{HIDDEN}", value)
    return value


def _words(value: object) -> str:
    """A value as cockpit.toml would have it; a dash where nothing is set."""
    if value is None:
        return "—"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f'{name} = "{text}"' for name, text in value.items()) + "}"
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{item}"' for item in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def _validate(options: GlobalOptions, as_json: bool) -> int:
    """Check what would be read now. What is wrong is this command's data, so it goes to stdout."""
    problem = None
    try:
        load(options.config)
    except UsageError as error:
        problem = error
    if as_json:
        problems = problem.message.split("\n  ") if problem else []
        print_json({"schema": SCHEMA, "ok": problem is None, "problems": problems})
    else:
        read = [str(path) for path, _ in config_files(options.config) if path.exists()]
        well = f"ok: {', '.join(read)}" if read else "ok: there is no file; the defaults are used"
        print(problem or well)
    return 0 if problem is None else 1


def _path(options: GlobalOptions, as_json: bool) -> int:
    files = [
        {"path": str(path), "exists": path.exists(), "writable": os.access(path, os.W_OK)}
        for path, _ in config_files(options.config)
    ]
    if as_json:
        print_json({"schema": SCHEMA, "files": files, "user": str(user_file())})
    else:
        rows = [(str(file["path"]), "read" if file["exists"] else "not there") for file in files]
        print(table(("FILE, LATER ONES WIN", ""), rows, left=(0, 1)))
    return 0
