"""`cockpit plugins`: what can be run here, what is broken and why, where they lie, new ones."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from cockpit import plugins as found_plugins
from cockpit.cli.command import Command
from cockpit.cli.connect import load_config, options_of
from cockpit.cli.text import DASH, print_json, table
from cockpit.errors import UsageError
from cockpit.model import SCHEMA
from cockpit.new_plugin import LANGUAGES, make_plugin
from cockpit.plugins import BrokenPlugin, Plugin

HEAD = ("NAME", "KIND", "GPUS", "WHAT IT DOES")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = (
        "cockpit plugins [list | path | show NAME] [--json]\n"
        "       cockpit plugins new NAME [--language LANGUAGE] [--path DIR]\n"
        "       cockpit plugins check NAME|DIR [--real-gpus] [--timeout TIME] [--json]"
    )
    parser.add_argument("what", nargs="?", choices=tuple(ACTIONS), default="list")
    parser.add_argument("name", nargs="?", metavar="NAME", help="of the plugin")
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
    if what in NAMELESS and name is not None:
        raise UsageError(f"{what} takes no name, got {name!r}")
    if what not in NAMELESS and name is None:
        raise UsageError(f"{what} what?", f"cockpit plugins {what} NAME")
    for option, owner in OWNERS.items():
        if what != owner and getattr(arguments, option.replace("-", "_")) is not None:
            raise UsageError(f"--{option} belongs to `cockpit plugins {owner}`, not to {what}")
    directories = load_config(options_of(arguments)).plugin_directories()
    return ACTIONS[what](arguments, directories)


def _list(arguments: argparse.Namespace, directories: tuple[Path, ...]) -> int:
    found = found_plugins.find_all(directories)
    if arguments.json:
        broken = [{**vars(each), "directory": str(each.directory)} for each in found.broken]
        listed = [_plain(each) for each in found.plugins]
        print_json({"schema": SCHEMA, "plugins": listed, "broken": broken})
    else:
        _print_list(found.plugins, found.broken)
    return 1 if found.broken else 0


def _path(arguments: argparse.Namespace, directories: tuple[Path, ...]) -> int:
    own = found_plugins.own_folder()
    rows = [
        {
            "path": str(root),
            "origin": "yours"
            if root == own
            else "configured"
            if root in directories
            else "shipped",
            "exists": root.is_dir(),
        }
        for root in reversed(found_plugins.roots(directories))
    ]
    if arguments.json:
        print_json({"schema": SCHEMA, "folders": rows})
        return 0
    lines = [
        (str(row["origin"]), "yes" if row["exists"] else "no", str(row["path"])) for row in rows
    ]
    print(table(("WHOSE", "THERE", "FOLDER"), lines, left=(0, 1, 2)))
    print("cockpit: of two plugins of one name the upper folder's wins", file=sys.stderr)
    return 0


def _show(arguments: argparse.Namespace, directories: tuple[Path, ...]) -> int:
    plugin = found_plugins.find(arguments.name, directories)
    if arguments.json:
        print_json({"schema": SCHEMA, **_plain(plugin)})
    else:
        print(_page(plugin))
    return 0


def _new(arguments: argparse.Namespace, directories: tuple[Path, ...]) -> int:
    name, language = arguments.name, arguments.language or "python"
    root = Path(arguments.path or found_plugins.own_folder()).expanduser().absolute()
    taken = found_plugins.folders(directories).get(name)
    if taken is not None:
        raise UsageError(f"there is a plugin {name} already: {taken}", "Choose another name.")
    files = make_plugin(name, language, root)
    # Configured folders may be relative, or lead through links.
    searched = root.resolve() in [each.resolve() for each in found_plugins.roots(directories)]
    if arguments.json:
        document = {"name": name, "language": language, "directory": str(root / name)}
        print_json({"schema": SCHEMA, **document, "files": [str(file) for file in files]})
    else:
        print("\n".join(str(file) for file in files))
    if not searched:
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
    "path": _path,
    "show": _show,
    "new": _new,
    "check": _check,
}
OWNERS = {"language": "new", "path": "new", "real-gpus": "check", "timeout": "check"}
NAMELESS = ("list", "path")

plugins = Command(add_arguments, run)


def _plain(plugin: Plugin) -> dict[str, object]:
    return {**vars(plugin), "directory": str(plugin.directory)}


def _print_list(listed: tuple[Plugin, ...], broken: tuple[BrokenPlugin, ...]) -> None:
    if listed:
        rows = [(each.name, each.kind, _gpus(each), each.summary) for each in listed]
        print(table(HEAD, rows, left=(0, 1, 2, 3)))
    elif not broken:
        print("cockpit: there are no plugins here", file=sys.stderr)
    for each in broken:
        print(f"cockpit: {each.name} is broken: {each.reason}", file=sys.stderr)


def _gpus(plugin: Plugin) -> str:
    return plugin.gpus.bounds


def _page(plugin: Plugin) -> str:
    lines = [
        f"{plugin.name}: {plugin.title}",
        plugin.summary,
        "",
        f"{'Kind':<10} {plugin.kind}",
        f"{'GPUs':<10} {_gpus(plugin)}, {plugin.gpus.default} unless told otherwise",
        f"{'Requires':<10} {', '.join(plugin.requires) or DASH}",
        f"{'Command':<10} {' '.join(plugin.command)}",
        f"{'Folder':<10} {plugin.directory}",
        f"{'Options':<10} cockpit run {plugin.name} --help",
    ]
    return "\n".join(lines)
