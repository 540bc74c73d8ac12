"""The values a person chose for this run."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

_WORDS_FOR_TRUE = ("1", "true", "yes", "on")
_WORDS_FOR_FALSE = ("0", "false", "no", "off")


class Parameters(Mapping[str, Any]):
    """Read-only values by name, as `parameters["nx"]` or `parameters.nx`."""

    def __init__(
        self, values: Mapping[str, Any] | None = None, arguments: Sequence[str] | None = None
    ) -> None:
        """`arguments` is the command line that `defaults` reads; None under cockpit, which has
        already read one."""
        self._values = dict(values or {})
        self._arguments = arguments

    def defaults(self, **values: Any) -> Parameters:
        """These parameters, completed by `values`.

        Outside cockpit the command line is read here: `--name value` for each of `values`, of the
        type of its default; `--help` lists them, and bad use ends the program with exit code 2.
        """
        if self._arguments is not None:
            return Parameters(_read_command_line(values, self._arguments))
        given = {name: value for name, value in self._values.items() if value is not None}
        return Parameters(values | given)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._values:
            known = ", ".join(sorted(self.__dict__.get("_values", {}))) or "none"
            raise AttributeError(f"there is no parameter {name!r}; known: {known}")
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Parameters({self._values!r})"


def read_parameters(environment: Mapping[str, str], arguments: Sequence[str]) -> Parameters:
    """The parameters of this process: the JSON file cockpit wrote, or else the command line.

    Raises OSError or ValueError if cockpit named a file that cannot be read as an object.
    """
    path = environment.get("COCKPIT_PARAMETERS", "")
    if not path:
        return Parameters(arguments=arguments)
    values = json.loads(Path(path).read_text(encoding="utf-8"))
    if not isinstance(values, dict):
        raise ValueError(f"{path} holds no JSON object")
    return Parameters(values)


def _read_command_line(values: Mapping[str, Any], arguments: Sequence[str]) -> dict[str, Any]:
    parser = argparse.ArgumentParser(
        allow_abbrev=False, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    for name, value in values.items():
        kind: Any = _truth if isinstance(value, bool) else str if value is None else type(value)
        spellings = dict.fromkeys((f"--{name}", f"--{name.replace('_', '-')}"))
        parser.add_argument(*spellings, dest=name, type=kind, default=value, help=kind.__name__)
    return vars(parser.parse_args(list(arguments)))


def _truth(text: str) -> bool:
    if text.lower() in _WORDS_FOR_TRUE:
        return True
    if text.lower() in _WORDS_FOR_FALSE:
        return False
    raise argparse.ArgumentTypeError(f"expected true or false, got {text!r}")


_truth.__name__ = "bool"
