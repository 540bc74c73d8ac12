"""`cockpit plugins check`: what a reviewer says, after a run in a sandbox that leaves nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from cockpit.new_plugin import LANGUAGES

MANIFEST = """
name = "sloppy"
title = "Sloppy"
summary = "Does little."
kind = "simulation"
command = ["python", "workload.py"]
[gpus]
default = 0
"""


@pytest.fixture
def check(cockpit, tmp_path: Path):
    """Check a plugin made of a workload and more of a manifest: exit code, document."""

    def run(workload: str, more: str = "", *words: str) -> tuple[int, dict[str, Any]]:
        folder = tmp_path / "sloppy"
        folder.mkdir(exist_ok=True)
        (folder / "plugin.toml").write_text(MANIFEST + more)
        (folder / "workload.py").write_text(workload)
        done = cockpit("plugins", "check", str(folder), "--json", *words)
        return done.code, json.loads(done.out)

    return run


def texts(document: dict[str, Any], level: str) -> list[str]:
    return [each["text"] for each in document["findings"] if each["level"] == level]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_new_plugin_checks_clean(cockpit, tmp_path: Path, language: str) -> None:
    if language == "cuda" and shutil.which("nvcc") is None and shutil.which("g++") is None:
        pytest.skip("there is neither nvcc nor g++ to compile with")
    cockpit("plugins", "new", "fresh", "--language", language, "--path", str(tmp_path))
    done = cockpit("plugins", "check", str(tmp_path / "fresh"))
    assert done.code == 0, done.out + done.err
    assert done.out.startswith("run      COMPLETED in ")
    assert done.out.endswith("\nno problems, no warnings.\n")
    assert "SIMULATED" in done.err


def test_what_it_warned_of_is_noted(check) -> None:
    _, document = check(
        "from cockpit.sdk import job\nfor _ in range(3): job.message('no card', 'warning')"
    )
    assert texts(document, "note") == [
        "it has no views: its job screen shows no chart and no picture",
        "it warned: no card",
    ]


def test_a_shipped_example_checks_clean(cockpit) -> None:
    done = cockpit("plugins", "check", "sweep")
    assert done.code == 0, done.out + done.err
    assert done.out.endswith("\nno problems, no warnings.\n")


@pytest.mark.heavy
@pytest.mark.parametrize("plugin", ["burn-in", "patterns"])
def test_a_shipped_example_that_needs_more_checks_clean(cockpit, plugin: str) -> None:
    done = cockpit("plugins", "check", plugin)
    assert done.code == 0, done.out + done.err
    assert done.out.endswith("\nno problems, no warnings.\n")


def test_what_is_missing_is_said(check) -> None:
    code, document = check(
        "pass",
        "[parameters.n]\ntype = 'int'\ndefault = 1\nminimum = 0\n"
        "[[views]]\ntype = 'chart'\nmetrics = ['loss']\n[[views]]\ntype = 'field'\nname = 'map'\n",
    )
    assert code == 0 and document["ok"]
    assert texts(document, "warning") == [
        "there is no README.md",
        "parameters.n has no help",
        "parameters.n has no maximum",
        "it tells no progress",
        "views, number 1: no metric 'loss' was told",
        "views, number 2: no frame 'map' was told",
        "it tells no kernel, though its kind is simulation",
    ]
    assert texts(document, "note") == ["parameters.n has no unit; right if it is a plain number"]


def test_bad_and_unknown_events_are_problems(check) -> None:
    code, document = check(
        "import os\n"
        "with open(os.environ['COCKPIT_EVENTS'], 'a') as file:\n"
        '    file.write(\'{oops\\n{"type": "metrics", "values": {"a": "1"}}\\n\')\n'
        '    file.write(\'{"type": "advance", "done": 1}\\n\')\n'
    )
    assert (code, document["run"]["bad_events"]) == (1, 2)
    assert texts(document, "problem") == [
        "2 of its events could not be read",
        "it tells events of the type 'advance', which nobody reads",
    ]


def test_progress_that_stops_short_is_told(check) -> None:
    _, document = check("from cockpit.sdk import job\njob.progress(3, 10)\n")
    assert "it ended well, but told of 3 of 10 only" in texts(document, "warning")


def test_a_run_that_fails_is_a_problem_with_the_end_of_its_log(check, cockpit, tmp_path) -> None:
    code, document = check("import sys\nprint('no luck')\nsys.exit(3)")
    assert (code, document["run"]["exit_code"]) == (1, 3)
    assert texts(document, "problem") == ["the smoke run FAILED: exit code 3"]
    told = cockpit("plugins", "check", str(tmp_path / "sloppy")).out
    assert "    no luck\n" in told and "\n1 problem, 1 warning.\n" in told


def test_a_run_that_does_not_end_is_stopped(check) -> None:
    code, document = check("import time\ntime.sleep(600)", "", "--timeout", "1")
    assert (code, document["run"]["timed_out"], document["run"]["state"]) == (1, True, "CANCELLED")
    (text,) = texts(document, "problem")
    assert text.startswith("the smoke run was not done after ")


def test_nothing_is_left_of_the_sandbox(check) -> None:
    _, document = check("import os\nprint(os.environ['XDG_STATE_HOME'], end='')")
    place = document["run"]["log"]
    assert place.startswith("/tmp/ckp-") and not Path(place).exists()
    assert not [path for path in Path("/proc").glob("[0-9]*/environ") if mentions(path, place)]


def mentions(path: Path, text: str) -> bool:
    try:
        return text.encode() in path.read_bytes()
    except OSError:
        return False


def test_the_short_run_of_the_manifest_is_the_one_that_is_taken(check) -> None:
    more = "[parameters.n]\ntype = 'int'\n[check]\nparameters = {n = 7}\n"
    code, document = check("pass", more)
    assert (code, document["run"]["parameters"]) == (0, {"n": 7})


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("[parameters.n]\ntype = 'int'\n", "sloppy needs n: int"),
        ("[parameters.n]\ntype = 'number'\n", "parameters.n.type: got 'number'"),
        ("[check]\nparameters = {n = 7}\n", "check.parameters.n: there is no such parameter"),
    ],
)
def test_a_manifest_that_cannot_be_run_is_a_problem(check, more: str, told: str) -> None:
    code, document = check("pass", more)
    assert (code, document["run"]) == (1, None)
    assert told in " ".join(texts(document, "problem"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("check",), "check what?"),
        (("check", "nothing"), "'nothing' is neither a plugin nor a folder with a plugin.toml"),
        (("check", "cfd", "--timeout", "soon"), "--timeout: 'soon' is no length of time"),
        (("list", "--real-gpus"), "--real-gpus belongs to `cockpit plugins check`"),
    ],
)
def test_bad_use_is_told(cockpit, words: tuple[str, ...], told: str) -> None:
    done = cockpit("plugins", *words)
    assert (done.code, done.out) == (2, "")
    assert told in done.err
