"""docs/plugin.schema.json and the validator agree: on what is there, on what is right and wrong."""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from json_schema import fits

from cockpit import parameters, plugins
from cockpit.errors import UsageError
from cockpit.new_plugin import LANGUAGES, make_plugin
from cockpit.plugins.manifest import BENCH_KEYS, PRESET_KEYS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

REPOSITORY = Path(__file__).parents[2]
SCHEMA = json.loads((REPOSITORY / "docs" / "plugin.schema.json").read_text(encoding="utf-8"))

GOOD: dict[str, Any] = {
    "name": "tunnel",
    "title": "Tunnel",
    "summary": "Air.",
    "kind": "simulation",
    "command": ["python", "workload.py"],
    "requires": ["numpy>=2"],
    "environment": "numpy",
    "gpus": {"min": 0, "default": 1, "max": 2},
    "parameters": {
        "nx": {"type": "int", "default": 8, "minimum": 1, "maximum": 9, "unit": "m", "help": "x"},
        "speed": {"type": "float", "default": 1},
        "shape": {"type": "choice", "default": "a", "choices": ["a", "b"]},
        "fast": {"type": "bool", "default": False},
        "note": {"type": "str", "default": ""},
        "out": {"type": "path"},
    },
    "views": [
        {"type": "field", "name": "speed", "title": "Speed"},
        {"type": "chart", "metrics": ["mlups"]},
        {"type": "image", "name": "wake"},
        {"type": "table", "name": "forces", "title": "Forces"},
        {"type": "text", "name": "notes"},
    ],
    "presets": {
        "fine": {"title": "Fine", "summary": "Slow.", "gpus": 2, "parameters": {"nx": 9}},
        "plain-1": {"title": "Plain"},
    },
    "check": {"parameters": {"nx": 2}},
    "bench": {
        "command": ["python", "bench.py"],
        "requires": ["scipy"],
        "parameters": {"fast": True},
    },
}
GONE = object()

CHANGES: list[tuple[tuple[Any, ...], Any]] = [
    *(((key,), GONE) for key in GOOD),
    *(((key,), 1) for key in GOOD),
    *(((key,), "") for key in GOOD),
    *(((key,), []) for key in GOOD),
    *(((key,), {}) for key in GOOD),
    (("colour",), 1),
    (("kind",), "game"),
    (("kind",), "llm"),
    (("command",), ["", "x"]),
    (("requires",), [1]),
    (("environment",), "Big Ones"),
    (("gpus", "max"), -1),
    (("gpus", "max"), True),
    (("gpus", "max"), 2.5),
    (("gpus", "most"), 1),
    (("parameters", "nx"), 1),
    (("parameters", "nx"), {"type": "int"}),
    (("parameters", "nx"), {}),
    (("parameters", "n x"), {"type": "int"}),
    (("parameters", "größe"), {"type": "int"}),
    (("parameters", "_2"), {"type": "int"}),
    *(((("parameters", name), {"type": "int"})) for name in parameters.RESERVED),
    (("parameters", "nx", "type"), "integer"),
    (("parameters", "nx", "units"), "m"),
    *((("parameters", "nx", key), value) for key in parameters.KEYS for value in ("a", [], True)),
    *((("parameters", "speed", "default"), value) for value in (1.5, "1", False)),
    *((("parameters", "fast", "default"), value) for value in (True, "yes", 0)),
    *((("parameters", "note", "default"), value) for value in ("x", 0)),
    *((("parameters", "out", "default"), value) for value in ("/x", 0)),
    (("parameters", "shape", "choices"), GONE),
    (("parameters", "shape", "choices"), [1]),
    (("parameters", "shape", "default"), 1),
    (("views",), [1]),
    *((("views", 0, "type"), kind) for kind in (*plugins.VIEW_TYPES, "movie", ["field"])),
    *((("views", number, "name"), GONE) for number in (2, 3, 4)),
    *((("views", number, "metrics"), ["x"]) for number in (0, 2, 3, 4)),
    (("views", 0, "type"), GONE),
    (("views", 0, "name"), GONE),
    (("views", 0, "name"), 1),
    (("views", 0, "title"), 1),
    (("views", 0, "log"), True),
    (("views", 1, "metrics"), []),
    (("views", 1, "metrics"), "mlups"),
    (("check", "parameters"), 1),
    (("check", "steps"), 1),
    *((("presets", "fine"), value) for value in (1, {}, {"title": "T"}, {"name": "x"})),
    *((("presets", name), {"title": "T"}) for name in ("Fine", "-x", "a b", "2", "_a")),
    *(
        (("presets", "fine", key), value)
        for key in ("title", "summary", "parameters", "gpus", "colour")
        for value in (GONE, "", 1, {}, [], True, -1)
        if (key, value) != ("colour", GONE)
    ),
    *(
        (("bench", key), value)
        for key in ("command", "requires", "parameters", "gpus")
        for value in (GONE, "", 1, {}, [], [""], ["x"])
        if (key, value) != ("gpus", GONE)
    ),
]

ONLY_THE_VALIDATOR_KNOWS: list[tuple[tuple[Any, ...], Any]] = [
    (("name",), "other"),
    (("gpus", "min"), 3),
    (("parameters", "nx", "default"), 10),
    (("parameters", "shape", "default"), "c"),
    (("check", "parameters", "nx"), 10),
    (("check", "parameters", "nz"), 1),
    (("bench", "parameters", "nx"), 10),
    (("bench", "parameters", "nz"), 1),
    (("presets", "fine", "parameters", "nx"), 10),
    (("presets", "fine", "parameters", "nz"), 1),
    (("presets", "fine", "gpus"), 3),
]


def changed(place: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """The example with one value changed, and without what speaks of parameters or GPUs that went."""
    manifest = copy.deepcopy(GOOD)
    inner: Any = manifest
    for key in place[:-1]:
        inner = inner[key]
    if value is GONE:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    if place == ("parameters",):
        for key in ("check", "bench", "presets"):
            manifest.pop(key, None)
    elif place[0] == "gpus":
        manifest.pop("presets", None)
    return manifest


def validates(manifest: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> bool:
    """Whether the validator takes these values, as if they had stood in a file."""
    folder = tmp_path / "tunnel"
    folder.mkdir(exist_ok=True)
    (folder / plugins.FILE).touch()
    monkeypatch.setattr(tomllib, "loads", lambda _: manifest)
    try:
        plugins.load(folder)
    except UsageError:
        return False
    return True


def test_the_example_is_right_to_both(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert fits(GOOD, SCHEMA, SCHEMA)
    assert validates(GOOD, monkeypatch, tmp_path)


@pytest.mark.parametrize(("place", "value"), CHANGES, ids=str)
def test_both_say_the_same(
    place: tuple[Any, ...], value: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    manifest = changed(place, value)
    said = {"schema": fits(manifest, SCHEMA, SCHEMA)}
    said["validator"] = validates(manifest, monkeypatch, tmp_path)
    assert said["schema"] == said["validator"], f"docs/plugin.schema.json is to follow: {said}"


@pytest.mark.parametrize(("place", "value"), ONLY_THE_VALIDATOR_KNOWS, ids=str)
def test_what_a_schema_cannot_say_the_validator_does(
    place: tuple[Any, ...], value: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    manifest = changed(place, value)
    assert fits(manifest, SCHEMA, SCHEMA)
    assert not validates(manifest, monkeypatch, tmp_path)


def test_both_have_the_same_keys_and_words() -> None:
    parameter = SCHEMA["$defs"]["parameter"]["properties"]
    assert set(SCHEMA["properties"]) == set(plugins.KEYS)
    assert SCHEMA["properties"]["kind"]["enum"] == list(plugins.KINDS)
    assert set(parameter) == set(parameters.KEYS)
    assert set(SCHEMA["$defs"]["preset"]["properties"]) == set(PRESET_KEYS)
    assert set(SCHEMA["properties"]["bench"]["properties"]) == set(BENCH_KEYS)
    assert parameter["type"]["enum"] == list(parameters.TYPES)


def test_the_shipped_plugins_and_the_templates_fit(tmp_path: Path) -> None:
    files = sorted((REPOSITORY / "plugins").glob("*/plugin.toml"))
    for language in LANGUAGES:
        make_plugin(language, language, tmp_path)
        files.append(tmp_path / language / "plugin.toml")
    assert len(files) > len(LANGUAGES)
    for file in files:
        assert fits(tomllib.loads(file.read_text(encoding="utf-8")), SCHEMA, SCHEMA), file
        plugins.load(file.parent)
