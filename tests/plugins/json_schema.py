"""JSON Schema (draft 2020-12), as much of it as docs/plugin.schema.json uses."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}
SAY_NOTHING = {"$schema", "$defs", "title", "description", "else", "then"}


def fits(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> bool:
    """Whether `value` is valid. Raises KeyError for a keyword that is not known here."""
    words = [word for word in schema if word not in SAY_NOTHING]
    return all(KEYWORDS[word](value, schema[word], schema, root) for word in words)


def _type(value: Any, name: str, *_: Any) -> bool:
    return isinstance(value, TYPES[name]) and (name == "boolean" or not isinstance(value, bool))


def _properties(value: Any, each: dict[str, Any], _: Any, root: dict[str, Any]) -> bool:
    return not isinstance(value, dict) or all(
        fits(value[name], schema, root) for name, schema in each.items() if name in value
    )


def _additional(value: Any, wanted: Any, schema: dict[str, Any], root: dict[str, Any]) -> bool:
    if not isinstance(value, dict):
        return True
    others = [value[name] for name in value if name not in schema.get("properties", {})]
    return not others if wanted is False else all(fits(other, wanted, root) for other in others)


def _if(value: Any, condition: Any, schema: dict[str, Any], root: dict[str, Any]) -> bool:
    branch = "then" if fits(value, condition, root) else "else"
    return fits(value, schema.get(branch, {}), root)


def _names(value: Any, wanted: Any, _: Any, root: dict[str, Any]) -> bool:
    return not isinstance(value, dict) or all(fits(name, wanted, root) for name in value)


KEYWORDS: dict[str, Callable[[Any, Any, dict[str, Any], dict[str, Any]], bool]] = {
    "type": _type,
    "properties": _properties,
    "additionalProperties": _additional,
    "propertyNames": _names,
    "if": _if,
    "required": lambda v, names, *_: not isinstance(v, dict) or set(names) <= set(v),
    "enum": lambda v, among, *_: v in among,
    "const": lambda v, wanted, *_: v == wanted,
    "minimum": lambda v, least, *_: not isinstance(v, (int, float)) or v >= least,
    "minLength": lambda v, least, *_: not isinstance(v, str) or len(v) >= least,
    "minItems": lambda v, least, *_: not isinstance(v, list) or len(v) >= least,
    "maxItems": lambda v, most, *_: not isinstance(v, list) or len(v) <= most,
    "pattern": lambda v, pattern, *_: not isinstance(v, str) or bool(re.search(pattern, v)),
    "items": lambda v, each, _, root: (
        not isinstance(v, list) or all(fits(i, each, root) for i in v)
    ),
    "not": lambda v, other, _, root: not fits(v, other, root),
    "allOf": lambda v, every, _, root: all(fits(v, each, root) for each in every),
    "oneOf": lambda v, every, _, root: sum(fits(v, each, root) for each in every) == 1,
    "$ref": lambda v, ref, _, root: fits(v, root["$defs"][ref.rpartition("/")[2]], root),
}
