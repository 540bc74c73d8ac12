"""Reading configuration files and checking every value in them, for `cockpit.config`."""

from __future__ import annotations

import math
import re
import sys
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from cockpit import hosts
from cockpit.config import Config, Layer, sections
from cockpit.errors import UsageError
from cockpit.model import ENDED_STATES

BOUNDS: Mapping[str, tuple[float, float]] = {
    "agent.interval_s": (0.1, 3600),
    "agent.process_interval_s": (0.5, 3600),
    "agent.idle_exit_s": (0, 31_536_000),
    "agent.stuck_after_s": (0.1, 600),
    "terminal.refresh_s": (0.05, 60),
    "energy.power_budget_w": (1, 1_000_000),
    "energy.price_per_kwh": (0, 1_000_000),
    "energy.co2_g_per_kwh": (0, 10_000),
    "notify.min_seconds": (0, 31_536_000),
    "thresholds.margin_warning_c": (0, 100),
    "thresholds.margin_critical_c": (-20, 100),
    "thresholds.memory_temperature_warning_c": (30, 150),
    "thresholds.ecc_corrected_per_hour_warning": (0, 1e9),
    "thresholds.pcie_utilization_percent": (0, 100),
    "thresholds.orphan_memory_bytes": (0, 1 << 50),
    "thresholds.idle_hold_s": (1, 31_536_000),
    "thresholds.power_budget_percent": (1, 100),
    "simulate.gpu_count": (1, 64),
    "simulate.seed": (0, 2**31 - 1),
}
"""Least and most of every number."""

FREE_SECTIONS = ("keys", "hosts")
"""Tables whose keys are the person's own."""

MIG = re.compile(r"\d+:[1-7]g\.\d+gb(\*\d+)?")
FAULT = re.compile(r"\d+:(lost|hot|ecc|xid|link|slow)")
TORCH_BACKEND = re.compile(r"auto|index|cpu|cu\d{2,3}|rocm[\d.]+|xpu")
HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


@dataclass(frozen=True)
class Problem:
    """One wrong value."""

    where: str
    key: str
    text: str

    def __str__(self) -> str:
        return (
            f"{self.where}: {self.key}: {self.text}" if self.key else f"{self.where}: {self.text}"
        )


class _WrongError(Exception):
    """A value that does not fit; the text says what it got and what it wants."""


def read_layer(path: Path) -> Layer:
    """One file as a layer. Raises UsageError when it cannot be read or is no TOML."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    try:
        text = path.read_bytes().decode()
        document = tomllib.loads(text)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: is not UTF-8 text (byte {error.start})") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"{path}: is not TOML: {error}", "https://toml.io shows how.") from None
    return Layer(dict(_flat(document, path, text)))


def build(layers: Sequence[Layer]) -> tuple[Config, list[Problem]]:
    """Lay the layers over the defaults; with any problem the Config is the default one."""
    changes: dict[str, dict[str, Any]] = {}
    sources: dict[str, str] = {}
    problems = []
    for layer in layers:
        for key, (value, where) in layer.values.items():
            section, _, name = key.partition(".")
            try:
                checked = check(key, _from_text(key, value) if layer.text else value)
            except _WrongError as error:
                problems.append(Problem(where, key, str(error)))
                continue
            changes.setdefault(section, {})[name] = checked
            sources[key] = where
    if problems:
        return Config(), problems
    config = Config(sources=sources)
    for section, values in changes.items():
        current = getattr(config, section)
        new = {**current, **values} if section in FREE_SECTIONS else replace(current, **values)
        replacement: dict[str, Any] = {section: new}
        config = replace(config, **replacement)
    return config, []


def check(key: str, value: Any) -> Any:
    """`value` as the type that `key` has. Raises with what it got and what it wants."""
    section, _, name = key.partition(".")
    if section not in sections():
        raise _WrongError(f"there is no section [{section}]{_near(section, sections())}")
    if not name:
        raise _WrongError(f"got {_show(value)}, wants a table of settings: [{section}]")
    if section == "keys":
        return _text(value, "the keys of an action as text, such as 'ctrl+s,s'")
    if section == "hosts":
        return _host(name, value)
    known = _annotations(section)
    if name not in known:
        everywhere = [f"{table}.{entry}" for table in sections() for entry in _annotations(table)]
        raise _WrongError(f"there is no such key{_near(name, known) or _near(key, everywhere)}")
    return _convert(key, known[name], value)


def known_keys() -> list[str]:
    """Every key there is, in the order of cockpit.toml; the free ones of [keys] and [hosts] left out."""
    return [f"{section}.{name}" for section in sections() for name in _annotations(section)]


def _host(name: str, value: Any) -> str:
    target = _text(value, "what to connect to as text, such as 'me@gpubox.lan'")
    if not hosts.NAME.fullmatch(name):
        raise _WrongError(f"{name!r} is no name of a box: letters, digits, dot, - and _ only")
    try:
        hosts.split_target(target)
    except UsageError as error:
        raise _WrongError(error.message) from None
    return target


@cache
def _annotations(section: str) -> Mapping[str, Any]:
    if section in FREE_SECTIONS:
        return {}
    kind = type(getattr(Config(), section))
    hints = typing.get_type_hints(kind)
    return {item.name: hints[item.name] for item in fields(kind)}


def _convert(key: str, annotation: Any, value: Any) -> Any:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        annotation = typing.get_args(annotation)[0]
    if typing.get_origin(annotation) is typing.Literal:
        return _choice(typing.get_args(annotation), value)
    if typing.get_origin(annotation) is tuple:
        return _texts(key, value)
    if typing.get_origin(annotation) is Mapping:
        return _table(key, value)
    if annotation is bool:
        if type(value) is not bool:
            raise _WrongError(f"got {_show(value)}, wants true or false")
        return value
    if annotation in (int, float):
        return _number(key, annotation, value)
    return _fitting(key, _text(value, "text"))


def _fitting(key: str, value: str) -> str:
    if key == "notify.webhook" and not re.match(r"https?://[^/\s]", value):
        raise _WrongError(f"got {_show(value)}, wants an address that begins with https://")
    if key == "notify.command":
        _command(value)
    if key == "environments.torch_backend" and not TORCH_BACKEND.fullmatch(value):
        raise _WrongError(
            f'got {_show(value)}, wants "auto", "index", "cpu", or one such as "cu130"'
        )
    return value


def _command(value: str) -> None:
    import shlex

    try:
        words = shlex.split(value)
    except ValueError as error:
        raise _WrongError(f"got {_show(value)}, wants a command line: {error}") from None
    if not words:
        raise _WrongError(f"got {_show(value)}, wants a command line")


def _table(key: str, value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise _WrongError(f"got {_show(value)}, wants a table of texts")
    for name, text in value.items():
        _text(text, f"text for {name}")
        if key == "notify.webhook_headers" and not HEADER.fullmatch(name):
            raise _WrongError(f"got {_show(name)}, wants the name of an HTTP header")
        if key == "environments.prebuilt" and not text.startswith(("/", "~/")):
            raise _WrongError(f"got {_show(text)}, wants the absolute path of a Python for {name}")
    return dict(value)


def _number(key: str, kind: type, value: Any) -> Any:
    low, high = BOUNDS[key]
    wants = f"wants {'a whole number' if kind is int else 'a number'} from {low:g} to {high:g}"
    if type(value) is not int and (kind is int or type(value) is not float):
        raise _WrongError(f"got {_show(value)}, {wants}")
    if not math.isfinite(value) or not low <= value <= high:
        raise _WrongError(f"got {_show(value)}, {wants}")
    return kind(value)


def _choice(choices: tuple[str, ...], value: Any) -> str:
    if not isinstance(value, str) or value not in choices:
        wants = ", ".join(f'"{choice}"' for choice in choices)
        raise _WrongError(f"got {_show(value)}, wants one of {wants}{_near(value, choices)}")
    return value


def _texts(key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise _WrongError(f"got {_show(value)}, wants a list of texts")
    if key == "simulate.mig":
        for item in value:
            if not MIG.fullmatch(item):
                raise _WrongError(f"got {_show(item)}, wants GPU:PROFILE*COUNT such as 8:1g.10gb*7")
    if key == "simulate.faults":
        for item in value:
            if not FAULT.fullmatch(item):
                raise _WrongError(
                    f"got {_show(item)}, wants GPU:KIND, kind one of lost, hot, ecc, xid, link, slow"
                )
    if key == "notify.when":
        for item in value:
            _choice(tuple(sorted(ENDED_STATES)), item)
    return tuple(value)


def _text(value: Any, wants: str) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise _WrongError(f"got {_show(value)}, wants {wants}")
    return value


def _from_text(key: str, value: str) -> Any:
    """A value of the environment: a number where the key is one, else the text itself."""
    section, _, name = key.partition(".")
    if _annotations(section)[name] not in (int, float):
        return value
    try:
        return float(value)
    except ValueError:
        return value


def _flat(
    document: Mapping[str, Any], path: Path, text: str
) -> Iterator[tuple[str, tuple[Any, str]]]:
    for section, table in document.items():
        if not isinstance(table, dict):
            yield section, (table, _where(path, text, "", section))
            continue
        if section not in sections():
            yield f"{section}.", (table, _where(path, text, section, ""))
            continue
        for name, value in table.items():
            yield f"{section}.{name}", (value, _where(path, text, section, name))


def _where(path: Path, text: str, section: str, name: str) -> str:
    """The file, and the line where a plain reading of it finds the key."""
    current = ""
    header = re.compile(r"\s*\[+\s*[\"']?([^\]\"']+?)[\"']?\s*\]")
    assignment = re.compile(r"\s*[\"']?([\w.\- ]+?)[\"']?\s*=")
    for number, line in enumerate(text.splitlines(), start=1):
        if found := header.match(line):
            current = found[1]
            if current == section and not name:
                return f"{path}, line {number}"
        elif (found := assignment.match(line)) and name:
            full = f"{current}.{found[1]}" if current else found[1]
            if full in (f"{section}.{name}" if section else name, section):
                return f"{path}, line {number}"
    return str(path)


def _near(word: Any, known: Any) -> str:
    if not isinstance(word, str):
        return ""
    import difflib

    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.55)
    return f"; did you mean {near[0]}?" if near else ""


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
