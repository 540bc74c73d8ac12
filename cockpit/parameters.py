"""A plugin's typed parameters: read from `plugin.toml`, offered as options, checked as values."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TYPES = ("int", "float", "str", "bool", "choice", "path")
RESERVED = (
    *("help", "gpus", "name", "preset", "time_limit", "after", "secret", "json", "detach"),
    *("notify", "no_notify"),
    *("gpu_memory", "slice", "priority", "array", "retries", "exclusive", "shared"),
    *("simulate", "demo", "replay", "host", "config"),
)
"""Names of options that `cockpit run` has for every plugin."""
KEYS = ("type", "default", "minimum", "maximum", "unit", "help", "choices")

Value = int | float | str | bool


@dataclass(frozen=True)
class Parameter:
    """One parameter. Without a default it must be given."""

    name: str
    type: str
    """One of TYPES."""
    default: Value | None = None
    minimum: float | None = None
    maximum: float | None = None
    unit: str = ""
    help: str = ""
    choices: tuple[str, ...] = ()

    @property
    def wants(self) -> str:
        """What a value must be, in words."""
        if self.type == "choice":
            return f"one of {', '.join(self.choices)}"
        words = {"int": "a whole number", "float": "a number", "bool": "true or false"}
        kind = words.get(self.type, "text" if self.type == "str" else "a path")
        if self.minimum is not None and self.maximum is not None:
            kind += f" from {_figure(self.minimum)} to {_figure(self.maximum)}"
        elif self.minimum is not None:
            kind += f" of at least {_figure(self.minimum)}"
        elif self.maximum is not None:
            kind += f" of at most {_figure(self.maximum)}"
        return f"{kind} ({self.unit})" if self.unit else kind


def _figure(value: float) -> str:
    """A bound as people read it: `4096`, `1 000 000 000`, `0.5`, `1e-06`."""
    if float(value).is_integer() and 10_000 <= abs(value) < 1e15:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:g}"


def parse_parameter(name: str, table: Any) -> Parameter:
    """One `[parameters.NAME]` table. Raises ValueError that names the key."""
    where = f"parameters.{name}"
    if not (name.isidentifier() and name.isascii()):
        raise ValueError(f"{where}: the name must be letters, digits and _")
    if name in RESERVED:
        raise ValueError(f"{where}: the name is taken by an option of `cockpit run`")
    if not isinstance(table, dict):
        raise ValueError(f"{where}: got {table!r}, wants a table")
    unknown = sorted(set(table) - set(KEYS))
    if unknown:
        raise ValueError(f"{where}.{unknown[0]}: no such key; keys are {', '.join(KEYS)}")
    kind = table.get("type")
    if kind not in TYPES:
        raise ValueError(f"{where}.type: got {kind!r}, wants one of {', '.join(TYPES)}")
    for key in ("minimum", "maximum"):
        if key in table and (
            isinstance(table[key], bool) or not isinstance(table[key], (int, float))
        ):
            raise ValueError(f"{where}.{key}: got {table[key]!r}, wants a number")
    for key in ("unit", "help"):
        if not isinstance(table.get(key, ""), str):
            raise ValueError(f"{where}.{key}: got {table[key]!r}, wants text")
    choices = table.get("choices", [])
    if not isinstance(choices, list) or not all(isinstance(item, str) for item in choices):
        raise ValueError(f"{where}.choices: got {choices!r}, wants a list of text")
    if (kind == "choice") != bool(choices):
        raise ValueError(f'{where}.choices: wants to be there for type "choice", and only then')
    parameter = Parameter(name, **{**table, "choices": tuple(choices)})
    if parameter.default is not None:
        try:
            check_value(parameter, parameter.default)
        except ValueError as error:
            raise ValueError(f"{where}.default: {error}") from None
    return parameter


def read_value(parameter: Parameter, value: Any) -> Value:
    """A value for a parameter, given as text or as what it is. A path becomes absolute.

    Raises ValueError that says what it got and what it wants.
    """
    if isinstance(value, str) and parameter.type in ("int", "float", "bool"):
        value = _from_text(parameter, value)
    return check_value(parameter, value)


def _from_text(parameter: Parameter, text: str) -> Value:
    wrong = ValueError(f"got {text!r}, wants {parameter.wants}")
    try:
        if parameter.type == "int":
            return int(text)
        if parameter.type == "float":
            return float(text)
    except ValueError:
        raise wrong from None
    words = {"true": True, "yes": True, "on": True, "1": True}
    words.update({"false": False, "no": False, "off": False, "0": False})
    if text.strip().lower() not in words:
        raise wrong
    return words[text.strip().lower()]


def check_value(parameter: Parameter, value: Any) -> Value:
    """A value that is of its type already, as it stands in a file; else as `read_value`."""
    kinds: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "bool": (bool,)}
    fits = isinstance(value, kinds.get(parameter.type, (str,)))
    if isinstance(value, bool) and parameter.type != "bool":
        fits = False
    if fits and parameter.type == "choice":
        fits = value in parameter.choices
    if fits and parameter.type in ("int", "float"):
        low = -math.inf if parameter.minimum is None else parameter.minimum
        high = math.inf if parameter.maximum is None else parameter.maximum
        fits = math.isfinite(value) and low <= value <= high
    if not fits:
        raise ValueError(f"got {value!r}, wants {parameter.wants}")
    if parameter.type == "float":
        return float(value)
    if parameter.type == "path" and value:
        try:
            return str(Path(value).expanduser().absolute())
        except RuntimeError:
            raise ValueError(f"got {value!r}, and there is no such user's home") from None
    checked: Value = value
    return checked


def add_options(parser: argparse.ArgumentParser, parameters: Iterable[Parameter]) -> None:
    """An option per parameter; values stay text, to be checked all in one place by `validate`."""
    group = parser.add_argument_group("parameters")
    for parameter in parameters:
        group.add_argument(
            f"--{parameter.name.replace('_', '-')}",
            dest=f"parameter_{parameter.name}",
            metavar=parameter.type.upper(),
            help=describe(parameter).replace("%", "%%"),
        )


def given(arguments: argparse.Namespace) -> dict[str, str]:
    """The parameters that were given as options."""
    prefix = "parameter_"
    return {
        name[len(prefix) :]: value
        for name, value in vars(arguments).items()
        if name.startswith(prefix) and value is not None
    }


def describe(parameter: Parameter) -> str:
    """In one line: what it is, what it wants, and its default."""
    parts = [parameter.help, parameter.wants]
    if parameter.default is None:
        parts.append("required")
    else:
        default = str(parameter.default)
        shown = default.lower() if isinstance(parameter.default, bool) else default
        parts.append(f"default {shown or 'empty'}")
    return "; ".join(part.rstrip(".") for part in parts if part)
