"""Pre-training's plugin.toml, its workload and its README agree. Needs no torch."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import Any

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PLUGIN = Path(__file__).parents[2] / "plugins" / "llm-train"


def _manifest() -> dict[str, Any]:
    return tomllib.loads((PLUGIN / "plugin.toml").read_text(encoding="utf-8"))


def _calls(name: str) -> list[ast.Call]:
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in PLUGIN.glob("*.py")]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [call for call in calls if ast.unparse(call.func) == name]


def test_the_defaults_by_hand_are_the_defaults_of_the_form() -> None:
    (call,) = _calls("job.parameters.defaults")
    by_hand = {word.arg: ast.literal_eval(word.value) for word in call.keywords}
    form = {name: entry["default"] for name, entry in _manifest()["parameters"].items()}
    assert by_hand == form


def test_the_readme_explains_every_parameter() -> None:
    readme = (PLUGIN / "README.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"^\| `(\w+)` \|", readme, flags=re.MULTILINE))
    assert explained == set(_manifest()["parameters"])


@pytest.mark.parametrize("kind", ["table", "text"])
def test_every_view_that_is_shown_is_told(kind: str) -> None:
    told = {ast.literal_eval(call.args[0]) for call in _calls(f"job.{kind}")}
    assert {view["name"] for view in _manifest()["views"] if view["type"] == kind} == told
