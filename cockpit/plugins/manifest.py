"""`plugin.toml` to Plugin: every key is checked, and what is wrong is named."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cockpit.errors import UsageError
from cockpit.model import ServiceWish
from cockpit.parameters import Parameter, check_value, parse_parameter
from cockpit.plugins.families import LOCK, check_family
from cockpit.plugins.model import Bench, GpuNeed, Plugin, Preset

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
VIEW_TYPES = {
    "chart": "metrics",
    "field": "name",
    "image": "name",
    "table": "name",
    "text": "name",
}
"""What the job screen can draw, and the key that says of what."""
KEYS = (
    "name",
    "title",
    "summary",
    "kind",
    "command",
    "requires",
    "environment",
    "gpus",
    "parameters",
    "presets",
    "views",
    "check",
    "bench",
    "service",
)
SERVICE_KEYS = ("protocol", "ready", "drain_s")
PROTOCOLS = ("http", "openai")
DRAIN_MOST_S = 3600.0
PRESET_KEYS = ("title", "summary", "parameters", "gpus")
BENCH_KEYS = ("command", "requires", "parameters")
READY_PATH = re.compile(r"/[!-~]*")
PRESET_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")

Table = Mapping[str, Any]


def load(directory: Path, name: str | None = None) -> Plugin:
    """The plugin in a folder. Its name is the folder's, unless a package gives it another.

    Raises UsageError that names the file, the key and what it wants.
    """
    file = directory / FILE
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: not TOML: {error}") from None
    try:
        return _plugin(table, directory.resolve(), name)
    except ValueError as error:
        raise UsageError(f"{file}: {error}") from None


def _plugin(table: Table, directory: Path, wanted: str | None) -> Plugin:
    unknown = sorted(set(table) - set(KEYS))
    if unknown:
        raise ValueError(f"{unknown[0]}: no such key; keys are {', '.join(KEYS)}")
    name = _text(table, "name")
    if name != (wanted or directory.name):
        whose = (
            f"the entry point's name, {wanted!r}"
            if wanted
            else f"the folder's name, {directory.name!r}"
        )
        raise ValueError(f"name: got {name!r}, wants {whose}")
    kind = _text(table, "kind")
    if kind not in KINDS:
        raise ValueError(f"kind: got {kind!r}, wants one of {', '.join(KINDS)}")
    command = _command(table)
    gpus = _gpus(table.get("gpus", {}))
    parameters = _parameters(table.get("parameters", {}))
    return Plugin(
        name=name,
        title=_text(table, "title"),
        summary=_text(table, "summary"),
        kind=kind,
        command=command,
        directory=directory,
        requires=_texts(table, "requires"),
        environment=check_family(table.get("environment"), (directory / LOCK).exists()),
        gpus=gpus,
        parameters=parameters,
        presets=_presets(table.get("presets", {}), parameters, gpus),
        views=_views(table.get("views", [])),
        check=_check(table.get("check", {}), parameters),
        bench=_bench(table.get("bench"), parameters, command),
        service=_service(table.get("service")),
    )


def _text(table: Table, key: str, where: str = "") -> str:
    value = table.get(key)
    if not isinstance(value, str) or not value:
        got = "nothing" if value is None else f"{value!r}"
        raise ValueError(f"{where}{key}: got {got}, wants text")
    return value


def _texts(table: Table, key: str, where: str = "") -> tuple[str, ...]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise ValueError(f"{where}{key}: got {value!r}, wants a list of text")
    return tuple(value)


def _command(table: Table, where: str = "") -> tuple[str, ...]:
    command = _texts(table, "command", where)
    if not command:
        raise ValueError(f'{where}command: wants a list of text such as ["python", "workload.py"]')
    return command


def _table(value: Any, keys: Sequence[str], where: str) -> Table:
    """`value` as a table with none but these keys."""
    if not isinstance(value, dict):
        raise ValueError(f"{where}: got {value!r}, wants a table with {', '.join(keys)}")
    unknown = sorted(set(value) - set(keys))
    if unknown:
        raise ValueError(f"{where}.{unknown[0]}: no such key; keys are {', '.join(keys)}")
    return value


def _gpus(value: Any) -> GpuNeed:
    table = _table(value, ("min", "default", "max"), "gpus")
    for key, entry in table.items():
        if type(entry) is not int or entry < 0:
            raise ValueError(f"gpus.{key}: got {entry!r}, wants a whole number of GPUs, 0 or more")
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


def _values(value: Any, where: str, parameters: Sequence[Parameter]) -> Table:
    """Values for some of the parameters, each of its type and within its bounds."""
    if not isinstance(value, dict):
        raise ValueError(f"{where}: got {value!r}, wants a table of values")
    known = {parameter.name: parameter for parameter in parameters}
    for name, entry in value.items():
        if name not in known:
            raise ValueError(f"{where}.{name}: there is no such parameter")
        try:
            check_value(known[name], entry)
        except ValueError as error:
            raise ValueError(f"{where}.{name}: {error}") from None
    return value


def _check(value: Any, parameters: Sequence[Parameter]) -> Table:
    table = _table(value, ("parameters",), "check")
    return _values(table.get("parameters", {}), "check.parameters", parameters)


def _presets(value: Any, parameters: Sequence[Parameter], gpus: GpuNeed) -> tuple[Preset, ...]:
    if not isinstance(value, dict):
        raise ValueError(f"presets: got {value!r}, wants a table per preset")
    return tuple(_preset(name, entry, parameters, gpus) for name, entry in value.items())


def _preset(name: str, value: Any, parameters: Sequence[Parameter], need: GpuNeed) -> Preset:
    where = f"presets.{name}"
    if not PRESET_NAME.fullmatch(name):
        raise ValueError(f"{where}: the name must be small letters, digits, - and _")
    table = _table(value, PRESET_KEYS, where)
    gpus = table.get("gpus")
    if gpus is not None and (type(gpus) is not int or not need.minimum <= gpus <= need.maximum):
        raise ValueError(f"{where}.gpus: got {gpus!r}, wants {need.wants}")
    return Preset(
        name=name,
        title=_text(table, "title", f"{where}."),
        summary=_text(table, "summary", f"{where}.") if "summary" in table else "",
        parameters=_values(table.get("parameters", {}), f"{where}.parameters", parameters),
        gpus=gpus,
    )


def _bench(value: Any, parameters: Sequence[Parameter], command: tuple[str, ...]) -> Bench | None:
    if value is None:
        return None
    table = _table(value, BENCH_KEYS, "bench")
    return Bench(
        command=_command(table, "bench.") if "command" in table else command,
        requires=_texts(table, "requires", "bench."),
        parameters=_values(table.get("parameters", {}), "bench.parameters", parameters),
    )


def _service(value: Any) -> ServiceWish | None:
    if value is None:
        return None
    table = _table(value, SERVICE_KEYS, "service")
    protocol = table.get("protocol", "http")
    if protocol not in PROTOCOLS:
        raise ValueError(f"service.protocol: got {protocol!r}, wants {' or '.join(PROTOCOLS)}")
    ready = table.get("ready", "event")
    if ready != "event" and not (isinstance(ready, str) and READY_PATH.fullmatch(ready)):
        raise ValueError(f'service.ready: got {ready!r}, wants "event" or a path such as /health')
    drain_s = table.get("drain_s", 30.0)
    if type(drain_s) not in (int, float) or not 0 <= drain_s <= DRAIN_MOST_S:
        raise ValueError(
            f"service.drain_s: got {drain_s!r}, wants seconds from 0 to {DRAIN_MOST_S:.0f}"
        )
    return ServiceWish(protocol, ready, float(drain_s))


def _views(value: Any) -> tuple[Table, ...]:
    if not isinstance(value, list) or not all(isinstance(view, dict) for view in value):
        raise ValueError("views: wants a [[views]] table per view")
    for number, view in enumerate(value, start=1):
        _check_view(view, f"views, number {number}")
    return tuple(value)


def _check_view(view: Table, where: str) -> None:
    kind = view.get("type")
    if not isinstance(kind, str) or kind not in VIEW_TYPES:
        raise ValueError(f"{where}: type: got {kind!r}, wants one of {', '.join(VIEW_TYPES)}")
    unknown = sorted(set(view) - {"type", "title", VIEW_TYPES[kind]})
    if unknown:
        raise ValueError(f"{where}: {unknown[0]}: no such key of this type")
    if not isinstance(view.get("title", ""), str):
        raise ValueError(f"{where}: title: got {view['title']!r}, wants text")
    if kind == "chart":
        if not _is_texts(view.get("metrics")):
            raise ValueError(f"{where}: metrics: wants a list of metric names")
    elif not isinstance(view.get("name"), str):
        what = "frame" if kind == "field" else kind
        raise ValueError(f"{where}: name: wants the name of the {what}")


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) for item in value)
