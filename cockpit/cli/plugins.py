"""`cockpit plugins`: what can be run here, and what is broken and why."""

from __future__ import annotations

import argparse
import sys

from cockpit import plugins as found_plugins
from cockpit.cli.command import Command
from cockpit.cli.connect import load_config, options_of
from cockpit.cli.text import DASH, print_json, table
from cockpit.errors import UsageError
from cockpit.model import SCHEMA
from cockpit.plugins import BrokenPlugin, Plugin

HEAD = ("NAME", "KIND", "GPUS", "WHAT IT DOES")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "cockpit plugins [list | show NAME] [--json]"
    parser.add_argument("what", nargs="?", choices=("list", "show"), default="list")
    parser.add_argument("name", nargs="?", help="with show: the plugin")
    parser.add_argument("--json", action="store_true", help="print JSON (schema 1)")


def run(arguments: argparse.Namespace) -> int:
    """List plugins, or show one. 1 when a listed plugin is broken."""
    directories = load_config(options_of(arguments)).plugin_directories()
    if arguments.what == "show":
        if arguments.name is None:
            raise UsageError("show what?", "cockpit plugins show NAME")
        plugin = found_plugins.find(arguments.name, directories)
        if arguments.json:
            print_json({"schema": SCHEMA, **_plain(plugin)})
        else:
            print(_page(plugin))
        return 0
    if arguments.name is not None:
        raise UsageError(f"list takes no name, got {arguments.name!r}")
    found = found_plugins.find_all(directories)
    if arguments.json:
        broken = [{**vars(each), "directory": str(each.directory)} for each in found.broken]
        listed = [_plain(each) for each in found.plugins]
        print_json({"schema": SCHEMA, "plugins": listed, "broken": broken})
    else:
        _print_list(found.plugins, found.broken)
    return 1 if found.broken else 0


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
