"""What `cockpit plugins list`, `path` and `show` print."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable

from cockpit.cli.text import DASH, table
from cockpit.parameters import describe
from cockpit.plugins import GpuNeed, Place, Plugin

HEAD = ("NAME", "KIND", "GPUS", "FROM", "WHAT IT DOES")
PATH_HEAD = ("WHOSE", "THERE", "FOLDER")
LABEL = 10


def list_page(listed: Iterable[Plugin], columns: int | None = None) -> str:
    """A line for each plugin; none is longer than `columns`, if there are so many."""
    rows = [(each.name, each.kind, each.gpus.bounds, whose(each), each.summary) for each in listed]
    lines = table(HEAD, rows, left=(0, 1, 2, 3, 4)).splitlines()
    return "\n".join(_cut(line, columns) for line in lines)


def _cut(line: str, columns: int | None) -> str:
    return line if columns is None or len(line) <= columns else line[: columns - 1] + "…"


def path_page(rows: Iterable[dict[str, object]]) -> str:
    """A line for each folder that is searched."""
    lines = [
        (str(row["origin"]), "yes" if row["exists"] else "no", str(row["path"])) for row in rows
    ]
    return table(PATH_HEAD, lines, left=(0, 1, 2))


def whose(plugin: Plugin | Place) -> str:
    """Who put it there: shipped, yours, configured, or the package that it comes with."""
    return plugin.package or plugin.origin or DASH


def show_page(plugin: Plugin) -> str:
    """Everything about one plugin."""
    rows = {
        "Kind": plugin.kind,
        "GPUs": _gpus(plugin.gpus),
        "Requires": ", ".join(plugin.requires) or DASH,
        **({"Family": plugin.environment} if plugin.environment else {}),
        "Command": " ".join(plugin.command),
        "Shows": ", ".join(_view(view) for view in plugin.views) or DASH,
        "From": whose(plugin),
        "Folder": str(plugin.directory),
        **({"Benchmark": f"cockpit bench {plugin.name}"} if plugin.bench else {}),
    }
    lines = [f"{plugin.name}: {plugin.title}", plugin.summary, ""]
    lines += [_entry(name, value, LABEL) for name, value in rows.items()]
    if plugin.presets:
        lines += [
            "",
            f"Presets, as in `cockpit run {plugin.name} --preset {plugin.presets[0].name}`",
        ]
        width = max(len(preset.name) for preset in plugin.presets)
        for preset in plugin.presets:
            told = ": ".join(filter(None, (preset.title, preset.summary)))
            lines.append("  " + _entry(preset.name, told, width))
    if plugin.parameters:
        lines += ["", "Parameters"]
        options = [f"--{each.name.replace('_', '-')}" for each in plugin.parameters]
        width = max(map(len, options))
        for option, parameter in zip(options, plugin.parameters, strict=True):
            lines.append("  " + _entry(option, describe(parameter), width))
    return "\n".join(lines)


def _gpus(need: GpuNeed) -> str:
    if need.minimum == need.maximum:
        return need.bounds
    return f"{need.bounds}, {need.default} unless told otherwise"


def _view(view: object) -> str:
    assert isinstance(view, dict)
    names = view.get("metrics") or [view.get("name")]
    return (
        f"{view['type']} of {' and '.join(names)}"
        if view["type"] == "chart"
        else (f"{view['type']} {names[0]}")
    )


def _entry(name: str, text: str, width: int) -> str:
    """A name and what it stands for, whose further lines stand below its first."""
    columns = max(60, min(shutil.get_terminal_size().columns, 110))
    indent = " " * (width + 3)
    return textwrap.fill(
        text,
        columns,
        initial_indent=f"{name:<{width}} ",
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
