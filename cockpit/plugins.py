"""Plugins on the desk: `plugin.toml` to Plugin, found by name, without importing any workload."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cockpit import paths
from cockpit.errors import UsageError
from cockpit.model import JobRequest
from cockpit.parameters import Parameter, check_value, parse_parameter, read_value
from cockpit.shipped import shipped

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = "plugin.toml"
KINDS = (
    "llm",
    "training",
    "simulation",
    "vision",
    "language",
    "rl",
    "data",
    "generation",
    "tool",
)
VIEW_TYPES = {"field": "name", "chart": "metrics"}
"""What the job screen can draw, and the key that says of what."""
KEYS = (
    "name",
    "title",
    "summary",
    "kind",
    "command",
    "requires",
    "gpus",
    "parameters",
    "views",
    "check",
)


@dataclass(frozen=True)
class GpuNeed:
    """How many GPUs a plugin can use."""

    minimum: int = 0
    default: int = 1
    maximum: int = 1

    @property
    def bounds(self) -> str:
        """`2`, or `0 to 1`."""
        if self.minimum == self.maximum:
            return str(self.minimum)
        return f"{self.minimum} to {self.maximum}"

    @property
    def wants(self) -> str:
        """The bounds with their noun: `1 GPU`, `0 to 1 GPUs`."""
        return f"{self.bounds} GPU" + ("" if self.bounds == "1" else "s")


@dataclass(frozen=True)
class Plugin:
    """A workload that can be launched."""

    name: str
    title: str
    summary: str
    kind: str
    command: tuple[str, ...]
    directory: Path
    requires: tuple[str, ...] = ()
    gpus: GpuNeed = GpuNeed()
    parameters: tuple[Parameter, ...] = ()
    views: tuple[Mapping[str, Any], ...] = ()
    check: Mapping[str, Any] = field(default_factory=dict)
    """Parameters of a run that is short, for `cockpit plugins check`."""


@dataclass(frozen=True)
class BrokenPlugin:
    """A plugin folder that cannot be used, and why."""

    name: str
    directory: Path
    reason: str


@dataclass(frozen=True)
class Found:
    """Everything there is, by name; a broken one hurts no other."""

    plugins: tuple[Plugin, ...]
    broken: tuple[BrokenPlugin, ...]


def own_folder() -> Path:
    """Where the user's own plugins lie; it need not exist."""
    return paths.config_dir() / "plugins"


def roots(extra: Iterable[str | Path] = ()) -> tuple[Path, ...]:
    """The folders searched for plugins; of two plugins of one name that in the later folder wins."""
    return (shipped("plugins"), own_folder(), *(Path(each).expanduser() for each in extra))


def folders(extra: Iterable[str | Path] = ()) -> dict[str, Path]:
    """Name → folder of every plugin, nothing read. The user's own win over the shipped, `extra` over both."""
    found: dict[str, Path] = {}
    for root in roots(extra):
        for file in sorted(root.glob(f"*/{FILE}")):
            found[file.parent.name] = file.parent
    return dict(sorted(found.items()))


def names(extra: Iterable[str | Path] = ()) -> tuple[str, ...]:
    """The names of all plugins, broken ones included."""
    return tuple(folders(extra))


def find(name: str, extra: Iterable[str | Path] = ()) -> Plugin:
    """One plugin. Raises UsageError if there is none of that name, or if it is broken."""
    known = folders(extra)
    if name not in known:
        have = ", ".join(known) or "none"
        raise UsageError(f"there is no plugin {name!r}", f"Plugins here: {have}.")
    return load(known[name])


def find_all(extra: Iterable[str | Path] = ()) -> Found:
    """Every plugin, and every broken one with its reason."""
    plugins: list[Plugin] = []
    broken: list[BrokenPlugin] = []
    for name, directory in folders(extra).items():
        try:
            plugins.append(load(directory))
        except UsageError as error:
            broken.append(BrokenPlugin(name, directory, error.message))
    return Found(tuple(plugins), tuple(broken))


def load(directory: Path) -> Plugin:
    """The plugin in a folder. Raises UsageError that names the file, the key and what it wants."""
    file = directory / FILE
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: not TOML: {error}") from None
    try:
        return _plugin(table, directory.resolve())
    except ValueError as error:
        raise UsageError(f"{file}: {error}") from None


def _plugin(table: Mapping[str, Any], directory: Path) -> Plugin:
    unknown = sorted(set(table) - set(KEYS))
    if unknown:
        raise ValueError(f"{unknown[0]}: no such key; keys are {', '.join(KEYS)}")
    name = _text(table, "name")
    if name != directory.name:
        raise ValueError(f"name: got {name!r}, wants the folder's name, {directory.name!r}")
    kind = _text(table, "kind")
    if kind not in KINDS:
        raise ValueError(f"kind: got {kind!r}, wants one of {', '.join(KINDS)}")
    command = _texts(table, "command")
    if not command:
        raise ValueError('command: wants a list of text such as ["python", "workload.py"]')
    parameters = _parameters(table.get("parameters", {}))
    return Plugin(
        name=name,
        title=_text(table, "title"),
        summary=_text(table, "summary"),
        kind=kind,
        command=command,
        directory=directory,
        requires=_texts(table, "requires"),
        gpus=_gpus(table.get("gpus", {})),
        parameters=parameters,
        views=_views(table.get("views", [])),
        check=_check(table.get("check", {}), parameters),
    )


def _text(table: Mapping[str, Any], key: str) -> str:
    value = table.get(key)
    if not isinstance(value, str) or not value:
        got = "nothing" if value is None else f"{value!r}"
        raise ValueError(f"{key}: got {got}, wants text")
    return value


def _texts(table: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise ValueError(f"{key}: got {value!r}, wants a list of text")
    return tuple(value)


def _gpus(table: Any) -> GpuNeed:
    if not isinstance(table, dict) or set(table) - {"min", "default", "max"}:
        raise ValueError(f"gpus: got {table!r}, wants a table with min, default and max")
    for key, value in table.items():
        if type(value) is not int or value < 0:
            raise ValueError(f"gpus.{key}: got {value!r}, wants a whole number of GPUs, 0 or more")
    default = table.get("default", 1)
    need = GpuNeed(table.get("min", 0), default, table.get("max", max(1, default)))
    if not need.minimum <= need.default <= need.maximum:
        raise ValueError(
            f"gpus: got min {need.minimum}, default {need.default}, max {need.maximum};"
            " wants min ≤ default ≤ max"
        )
    return need


def _parameters(table: Any) -> tuple[Parameter, ...]:
    if not isinstance(table, dict):
        raise ValueError(f"parameters: got {table!r}, wants a table per parameter")
    return tuple(parse_parameter(name, entry) for name, entry in table.items())


def _check(table: Any, parameters: Sequence[Parameter]) -> Mapping[str, Any]:
    if not isinstance(table, dict) or set(table) - {"parameters"}:
        raise ValueError(f"check: got {table!r}, wants a table with parameters")
    values = table.get("parameters", {})
    if not isinstance(values, dict):
        raise ValueError(f"check.parameters: got {values!r}, wants a table of values")
    known = {parameter.name: parameter for parameter in parameters}
    for name, value in values.items():
        where = f"check.parameters.{name}"
        if name not in known:
            raise ValueError(f"{where}: there is no such parameter")
        try:
            check_value(known[name], value)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
    return values


def _views(value: Any) -> tuple[Mapping[str, Any], ...]:
    if not isinstance(value, list) or not all(isinstance(view, dict) for view in value):
        raise ValueError("views: wants a [[views]] table per view")
    for number, view in enumerate(value, start=1):
        if view.get("type") not in tuple(VIEW_TYPES):
            got, wants = view.get("type"), ", ".join(VIEW_TYPES)
            raise ValueError(f"views, number {number}: type: got {got!r}, wants one of {wants}")
        unknown = sorted(set(view) - {"type", "title", VIEW_TYPES[view["type"]]})
        if unknown:
            raise ValueError(f"views, number {number}: {unknown[0]}: no such key of this type")
        if not isinstance(view.get("title", ""), str):
            raise ValueError(f"views, number {number}: title: got {view['title']!r}, wants text")
        if view["type"] == "field" and not isinstance(view.get("name"), str):
            raise ValueError(f"views, number {number}: name: wants the name of a frame")
        if view["type"] == "chart" and not _is_texts(view.get("metrics")):
            raise ValueError(f"views, number {number}: metrics: wants a list of metric names")
    return tuple(value)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) for item in value)


def validate(plugin: Plugin, values: Mapping[str, Any]) -> dict[str, Any]:
    """Every parameter of a plugin with its value: text is read, defaults are filled in.

    Raises UsageError that names the first parameter that is unknown, missing or out of bounds.
    """
    known = {parameter.name: parameter for parameter in plugin.parameters}
    for name in values:
        if name not in known:
            have = ", ".join(known) or "none"
            raise UsageError(f"{plugin.name} has no parameter {name!r}", f"It has: {have}.")
    result: dict[str, Any] = {}
    for name, parameter in known.items():
        value = values.get(name)
        if value is None:
            value = parameter.default
        if value is None:
            raise UsageError(f"{plugin.name} needs {name}: {parameter.help or parameter.type}")
        try:
            result[name] = read_value(parameter, value)
        except ValueError as error:
            raise UsageError(f"{name}: {error}") from None
    return result


def request(
    plugin: Plugin,
    parameters: Mapping[str, Any],
    gpus: int | Sequence[str] | None = None,
    name: str | None = None,
    environment: Mapping[str, str] | None = None,
    token: str | None = None,
) -> JobRequest:
    """What to submit to run a plugin; `gpus` is a count or UUIDs, and the plugin's default if None.

    Raises UsageError for a parameter or a number of GPUs that the plugin cannot take.
    """
    need = plugin.gpus
    wanted: int | tuple[str, ...] = (
        need.default if gpus is None else gpus if isinstance(gpus, int) else tuple(gpus)
    )
    count = wanted if isinstance(wanted, int) else len(wanted)
    if not need.minimum <= count <= need.maximum:
        raise UsageError(f"{plugin.name} runs on {need.wants}, not on {count}")
    return JobRequest(
        name=name or plugin.name,
        command=plugin.command,
        plugin=plugin.name,
        plugin_directory=str(plugin.directory),
        requires=plugin.requires,
        gpus=wanted,
        parameters=validate(plugin, parameters),
        environment=dict(environment or {}),
        views=plugin.views,
        token=token,
    )
