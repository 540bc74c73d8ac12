"""`cockpit show`: what a job reported, as a person, a script or a file can take it."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

import pytest

PNG = b"\x89PNG\r\n\x1a\n and so on"
REPORT = f"""
from cockpit.sdk import job
job.table("best", ["name", "loss"], [("a\\x1b[1m", 0.25), ("b", None)])
job.text("story", "Once\\n\\tupon \\x1b[1ma time")
job.text("best", "the other one")
job.image("wake", {PNG!r})
"""


@pytest.fixture
def reported(cockpit) -> str:
    """The id of a job that has ended."""
    command = (sys.executable, "-c", REPORT)
    started = cockpit("exec", "--simulate", "--gpus", "0", "--json", "--", *command)
    job_id = json.loads(started.out)["id"]
    assert cockpit("wait", "--simulate", job_id).code == 0
    return job_id


@pytest.fixture
def show(cockpit, reported: str):
    return lambda *words: cockpit("show", "--simulate", reported, *words)


def test_the_list_has_every_name_with_its_kind(show) -> None:
    assert show().out.split() == [
        *("KIND", "NAME", "table", "best", "text", "story", "text", "best", "image", "wake"),
    ]
    document = json.loads(show("--json").out)
    assert (document["tables"], document["texts"]) == (["best"], ["story", "best"])
    assert document["images"] == {"wake": "images/wake.png"}


def test_a_table_and_a_text_are_shown_without_what_would_steer_the_terminal(show) -> None:
    assert show("best", "--kind", "table").out.splitlines() == [
        "name   loss",
        "a·[1m  0.25",
        "b         —",
    ]
    assert show("story").out == "Once\n\tupon ·[1ma time\n"
    document = json.loads(show("story", "--json").out)
    assert (document["kind"], document["text"]) == ("text", "Once\n\tupon \x1b[1ma time")


def test_an_image_is_its_own_bytes(show, tmp_path: Path) -> None:
    assert show("wake", "--output", str(tmp_path / "wake.png")).code == 0
    assert (tmp_path / "wake.png").read_bytes() == PNG
    document = json.loads(show("wake", "--json").out)
    assert (document["format"], base64.b64decode(document["data"])) == ("png", PNG)


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("best",), 2, "is a table and a text\n  Choose with --kind."),
        (("worst",), 2, "shows no thing 'worst'\n  It shows: best, story, best, wake."),
        (("wake", "--kind", "text"), 2, "shows no text 'wake'"),
        (("--output", "x"), 2, "--kind and --output belong to a NAME"),
        (("story", "--output", "/nowhere/x"), 1, "/nowhere/x cannot be written: No such file"),
    ],
)
def test_bad_use_is_told(show, words: tuple[str, ...], code: int, told: str) -> None:
    done = show(*words)
    assert (done.code, done.out) == (code, "")
    assert " ".join(told.split()) in " ".join(done.err.split())


def test_a_job_that_reported_nothing_says_so(cockpit) -> None:
    started = cockpit("exec", "--simulate", "--gpus", "0", "--json", "--", "true")
    job_id = json.loads(started.out)["id"]
    cockpit("wait", "--simulate", job_id)
    done = cockpit("show", "--simulate", job_id)
    assert (done.code, done.out) == (0, "")
    assert "reported no table, text or image" in done.err
