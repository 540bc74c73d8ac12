"""`cockpit plugins`: what can be run here, what is broken and why, where they lie, new ones."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from cockpit import plugins as found_plugins
from cockpit.cli.command import Command
from cockpit.cli.connect import load_config, options_of
from cockpit.cli.plugin_pages import list_page, path_page, show_page, whose
from cockpit.cli.text import print_json
from cockpit.errors import UsageError
from cockpit.model import SCHEMA
from cockpit.new_plugin import LANGUAGES, make_plugin
from cockpit.plugins import KINDS, Found, Plugin


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = (
        "cockpit plugins [list] [WORD] [--kind KIND] [--json]\n"
        "       cockpit plugins show NAME [--json]\n"
        "       cockpit plugins new NAME [--language LANGUAGE] [--path DIR]\n"
        "       cockpit plugins check NAME|DIR [--real-gpus] [--timeout TIME] [--json]\n"
        "       cockpit plugins path [--json]"
    )
    parser.add_argument("what", nargs="?", choices=tuple(ACTIONS), default="list")
    parser.add_argument(
        "name", nargs="?", metavar="NAME", help="of the plugin; with list: a word to look for"
    )
    parser.add_argument("--kind", choices=KINDS, help="with list: only plugins of this kind")
    parser.add_argument(
        "--language",
        choices=LANGUAGES,
        help="with new: what the workload is written in (default: python)",
    )
    parser.add_argument(
        "--path", metavar="DIR", help="with new: the folder to make it in (default: your own)"
    )
    parser.add_argument(
        "--real-gpus",
        action="store_true",
        default=None,
        help="with check: this machine's GPUs in place of SIMULATED ones",
    )
    parser.add_argument(
        "--timeout", metavar="TIME", help="with check: how long its run may take (default: 5m)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON (schema 1)")


def run(arguments: argparse.Namespace) -> int:
    """List, show, make or check plugins. Listing ends with 1 when one of them is broken."""
    what, name = arguments.what, arguments.name
    if what == "path" and name is not None:
        raise UsageError(f"path takes no name, got {name!r}")
    if what in NAMING and name is None:
        raise UsageError(f"{what} what?", f"cockpit plugins {what} NAME")
    for option, owner in OWNERS.items():
        if what != owner and getattr(arguments, option.replace("-", "_")) is not None:
            raise UsageError(f"--{option} belongs to `cockpit plugins {owner}`, not to {what}")
    directories = load_config(options_of(arguments)).plugin_directories()
    return ACTIONS[what](arguments, directories)


def _list(arguments: argparse.Namespace, directories: tuple[Path, ...]) -> int:
    found = found_plugins.find_all(directories)
    word, kind = arguments.name or "", arguments.kind
    listed = [each for each in found.plugins if _fits(each, word, kind)]
    if arguments.json:
        document = {
            "plugins": [_plain(each) for each in listed],
            "broken": [_plain(each) for each in found.broken],
            "hidden": [_plain(each) for each in found.hidden],
        }
        print_json({"schema": SCHEMA, **document})
    elif listed:
        columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        print(list_page(listed, columns))
    if not listed:
        told = f"no plugin fits {' and '.join(filter(None, (word, kind)))}"
        print(f"cockpit: {told if word or kind else 'there are no plugins here'}", file=sys.stderr)
    _say_trouble(found)
    return 1 if found.broken or (not listed and (word or kind)) else 0


def _fits(plugin: Plugin, word: str, kind: str | None) -> bool:
    text = f"{plugin.name} {plugin.title} {plugin.summary} {plugin.kind} {plugin.package}"
    return word.lower() in text.lower() and kind in (None, plugin.kind)


def _say_trouble(found: Found) -> None:
    for place in found.hidden:
        print(
            f"cockpit: {place.name} ({whose(place)}) of {place.directory} is hidden by another"
            " of that name",
            file=sys.stderr,
        )
    for each in found.broken:
        print(f"cockpit: {each.name} is broken: {each.reason}", file=sys.stderr)


def _path(arguments: argparse.Namespace, directories: tuple[Path, ...]) -> int:
    from cockpit.plugins.packages import package_places

    searched = [(origin, root) for origin, root in reversed(found_plugins.roots(directories))]
    packaged = [(whose(place), place.directory) for place in package_places()]
    rows: list[dict[str, object]] = [
        {"path": str(path), "origin": origin, "exists": path.is_dir()}
        for origin, path in (*searched, *packaged)
    ]
    if arguments.json:
        print_json({"schema": SCHEMA, "folders": rows})
        return 0
    print(path_page(rows))
    print("cockpit: of two plugins of one name the upper folder's wins", file=sys.stderr)
    return 0


def _show(arguments: argparse.Namespace, directories: tuple[Path, ...]) -> int:
    plugin = found_plugins.find(arguments.name, directories)
    if arguments.json:
        print_json({"schema": SCHEMA, **_plain(plugin)})
    else:
        print(show_page(plugin))
    return 0


def _new(arguments: argparse.Namespace, directories: tuple[Path, ...]) -> int:
    name, language = arguments.name, arguments.language or "python"
    root = Path(arguments.path or found_plugins.own_folder()).expanduser().absolute()
    taken = found_plugins.places(directories).get(name)
    if taken is not None:
        raise UsageError(
            f"there is a plugin {name} already: {taken.directory}", "Choose another name."
        )
    files = make_plugin(name, language, root)
    # Configured folders may be relative, or lead through links.
    searched = [each.resolve() for _, each in found_plugins.roots(directories)]
    if arguments.json:
        document = {"name": name, "language": language, "directory": str(root / name)}
        print_json({"schema": SCHEMA, **document, "files": [str(file) for file in files]})
    else:
        print("\n".join(str(file) for file in files))
    if root.resolve() not in searched:
        told = f"set paths = [{str(root)!r}] under [plugins] in cockpit.toml, so that it is found"
        print(f"cockpit: {root} is not searched for plugins: {told}", file=sys.stderr)
    print(
        f"cockpit: made {name}; `cockpit run {name}` runs it, `cockpit plugins check {name}` checks it",
        file=sys.stderr,
    )
    return 0


def _check(arguments: argparse.Namespace, directories: tuple[Path, ...]) -> int:
    from cockpit.cli.plugin_check import check

    return check(arguments, directories)


ACTIONS: dict[str, Callable[[argparse.Namespace, tuple[Path, ...]], int]] = {
    "list": _list,
    "show": _show,
    "new": _new,
    "check": _check,
    "path": _path,
}
OWNERS = {
    "kind": "list",
    "language": "new",
    "path": "new",
    "real-gpus": "check",
    "timeout": "check",
}
NAMING = ("show", "new", "check")

plugins = Command(add_arguments, run)


def _plain(thing: object) -> dict[str, object]:
    """A plugin, a place or a broken one, as JSON has it."""
    return {**vars(thing), "directory": str(vars(thing)["directory"])}
