"""The wind tunnel's plugin.toml and its workload agree. Needs no Warp."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PLUGIN = Path(__file__).parents[2] / "plugins" / "cfd"


def _manifest() -> dict[str, Any]:
    return tomllib.loads((PLUGIN / "plugin.toml").read_text(encoding="utf-8"))


def _calls(name: str, file: str) -> list[ast.Call]:
    tree = ast.parse((PLUGIN / file).read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [call for call in calls if ast.unparse(call.func) == name]


def test_the_defaults_by_hand_are_the_defaults_of_the_form() -> None:
    (call,) = _calls("job.parameters.defaults", "workload.py")
    by_hand = {word.arg: ast.literal_eval(word.value) for word in call.keywords}
    form = {name: entry["default"] for name, entry in _manifest()["parameters"].items()}
    assert by_hand == form


def test_every_view_shows_something_that_the_workload_tells() -> None:
    names = [call.args[0] for call in _calls("job.frame", "running.py")]
    frames = {name.value for name in names if isinstance(name, ast.Constant)}
    metrics = {
        word.arg for call in _calls("job.metrics", "running.py") for word in call.keywords
    } - {"step"}
    for view in _manifest()["views"]:
        if view["type"] == "field":
            assert view["name"] in frames
        else:
            assert set(view["metrics"]) <= metrics


def test_the_readme_explains_every_parameter() -> None:
    readme = (PLUGIN / "README.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"^\| `(\w+)` \|", readme, flags=re.MULTILINE))
    assert explained == set(_manifest()["parameters"])
