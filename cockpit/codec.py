"""Frozen dataclasses to JSON values and back.

Encoding leaves the walk to the C encoder (`default=vars`); decoding builds one converter per class
from its annotations and keeps it. Unknown keys are ignored, so that an older program can read a
newer one's messages; a missing key takes the field's default.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")
Converter = Callable[[Any], Any]


def dumps(value: Any) -> str:
    """`value` (dataclasses included, at any depth) as one line of JSON, without a newline.

    Raises ValueError for NaN or infinity, which JSON does not have.
    """
    return json.dumps(
        value, default=vars, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def loads(cls: type[T], data: Any) -> T:
    """Build a `cls` from decoded JSON. Raises ValueError that names the field that was wrong."""
    result: T = _converter(typing.cast(Any, cls))(data)
    return result


def _same(value: Any) -> Any:
    return value


@cache
def _converter(annotation: Any) -> Converter:
    """A function that turns a JSON value into what `annotation` says."""
    if dataclasses.is_dataclass(annotation) and isinstance(annotation, type):
        return _dataclass_converter(annotation)
    origin = typing.get_origin(annotation)
    arguments = typing.get_args(annotation)
    if origin is tuple:
        return _tuple_converter(arguments)
    if origin in (typing.Union, types.UnionType):
        return _union_converter(arguments)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping_converter(arguments)
    if annotation is float:
        return _number
    if annotation in (int, str, bool):
        return _expect(
            annotation, {int: "an integer", str: "text", bool: "true or false"}[annotation]
        )
    return _same


def _expect(kind: type, words: str) -> Converter:
    def convert(value: Any) -> Any:
        if type(value) is not kind:
            raise ValueError(f"expected {words}, got {value!r:.60}")
        return value

    return convert


def _number(value: Any) -> float:
    if type(value) is not float and type(value) is not int:
        raise ValueError(f"expected a number, got {value!r:.60}")
    return float(value)


def _tuple_converter(arguments: tuple[Any, ...]) -> Converter:
    item = _converter(arguments[0])

    def convert(value: Any) -> Any:
        if not isinstance(value, list):
            raise ValueError(f"expected a list, got {value!r:.60}")
        return tuple(value) if item is _same else tuple([item(entry) for entry in value])

    return convert


def _mapping_converter(arguments: tuple[Any, ...]) -> Converter:
    whole = _expect(dict, "an object")
    if not _holds_dataclasses(arguments):
        return whole
    item = _converter(arguments[1])
    return lambda value: {name: item(entry) for name, entry in whole(value).items()}


def _holds_dataclasses(arguments: tuple[Any, ...]) -> bool:
    """Whether a mapping's values must be built, and are not just JSON as it came."""
    return len(arguments) == 2 and dataclasses.is_dataclass(arguments[1])


def _union_converter(arguments: tuple[Any, ...]) -> Converter:
    choices = [_converter(argument) for argument in arguments if argument is not type(None)]
    optional = type(None) in arguments
    if len(choices) == 1 and optional:
        only = choices[0]
        return lambda value: None if value is None else only(value)

    def convert(value: Any) -> Any:
        if value is None and optional:
            return None
        problem: ValueError | None = None
        for choice in choices:
            try:
                return choice(value)
            except ValueError as error:
                problem = error
        raise problem or ValueError("no value fits")

    return convert


def _dataclass_converter(cls: type) -> Converter:
    """Builds `cls` without its `__init__`: a frozen one assigns field by field, which costs most."""
    hints = typing.get_type_hints(cls)
    fields = {item.name: item for item in dataclasses.fields(cls)}
    blank = {name: item.default for name, item in fields.items()}
    plain = [(name, _plain_types(hints[name])) for name in fields]
    converters: dict[str, Converter] = {}
    new, set_attribute, missing = object.__new__, object.__setattr__, dataclasses.MISSING

    def convert(value: Any) -> Any:
        if type(value) is not dict:
            raise ValueError(f"expected an object for {cls.__name__}, got {value!r:.60}")
        known = {**blank, **value}
        if len(known) != len(blank):
            known = {name: known[name] for name in blank}
        for name, types_of_field in plain:
            if type(known[name]) not in types_of_field:
                known[name] = converted(name, known[name])
        instance: Any = new(cls)
        set_attribute(instance, "__dict__", known)
        return instance

    def converted(name: str, entry: Any) -> Any:
        if entry is missing:
            factory = fields[name].default_factory
            if factory is dataclasses.MISSING:
                raise ValueError(f"{cls.__name__} needs {name!r}, which is missing")
            return factory()
        if entry is blank[name]:
            return entry
        # Made when it is first needed, so that a class may hold itself.
        converter = converters.get(name) or converters.setdefault(name, _converter(hints[name]))
        try:
            return converter(entry)
        except ValueError as error:
            raise ValueError(f"{cls.__name__}.{name}: {error}") from None

    return convert


def _plain_types(annotation: Any) -> frozenset[type]:
    """The types of JSON values that may stand in a field of that annotation just as they are."""
    arguments = typing.get_args(annotation)
    origin = typing.get_origin(annotation)
    if annotation is type(None):
        return frozenset({type(None)})
    if annotation in (float, int, str, bool):
        return frozenset({annotation})
    if origin in (typing.Union, types.UnionType):
        return frozenset().union(*map(_plain_types, arguments))
    if origin is typing.Literal:
        return frozenset(map(type, arguments))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return frozenset() if _holds_dataclasses(arguments) else frozenset({dict})
    return frozenset()
