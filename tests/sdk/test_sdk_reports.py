"""Pictures, tables and texts: whole or not at all, and never more than can be shown."""

from __future__ import annotations

import inspect
import json
import math
import typing
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cockpit import sdk
from cockpit.agent.jobs.events import LINE_BYTES
from cockpit.sdk import Job
from cockpit.sdk.reports import CONTENT_BYTES_MOST, table_content, text_content

PNG = b"\x89PNG\r\n\x1a\n and so on"
JPEG = b"\xff\xd8\xff\xe0 and so on"


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(
        environment={
            "COCKPIT_JOB_DIR": str(tmp_path),
            "COCKPIT_EVENTS": str(tmp_path / "events.jsonl"),
        },
        arguments=[],
        later=lambda seconds, call: None,
    )


def told(tmp_path: Path, kind: str) -> list[dict[str, Any]]:
    lines = (tmp_path / "events.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["type"] == kind]


def test_a_picture_is_copied_so_that_the_workload_may_go_on_writing_its_own(
    job: Job, tmp_path: Path
) -> None:
    plot = tmp_path / "elsewhere.png"
    plot.write_bytes(PNG)
    job.image("plot", plot)
    plot.write_bytes(b"half of")
    assert (tmp_path / "images/plot.png").read_bytes() == PNG
    assert [event["path"] for event in told(tmp_path, "image")] == ["images/plot.png"]
    assert [path.name for path in (tmp_path / "images").iterdir()] == ["plot.png"]


def test_each_picture_is_told_and_takes_the_place_of_the_one_before(
    job: Job, tmp_path: Path
) -> None:
    for number in range(3):
        job.image("plot", JPEG + bytes([number]))
    assert len(told(tmp_path, "image")) == 3
    assert (tmp_path / "images/plot.jpg").read_bytes() == JPEG + b"\x02"


def test_what_is_no_picture_is_refused_and_a_file_that_is_not_there_is_told_once(
    job: Job, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="PNG or JPEG"):
        job.image("plot", b"GIF89a")
    with pytest.raises(ValueError, match="is no name"):
        job.image("../plot", PNG)
    job.image("plot", tmp_path / "nowhere.png")
    job.image("plot", tmp_path / "nowhere.png")
    (message,) = told(tmp_path, "message")
    assert message["text"] == "No image plot: No such file or directory"
    assert not (tmp_path / "images").exists()


def test_a_picture_that_no_screen_can_be_sent_is_kept_and_told(job: Job, tmp_path: Path) -> None:
    job.image("poster", PNG + bytes(3_000_000))
    assert (tmp_path / "images/poster.png").stat().st_size > 3_000_000
    (message,) = told(tmp_path, "message")
    assert "poster is too large to be shown: 3.0 MB" in message["text"]


def test_outside_cockpit_no_picture_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Job(environment={}, arguments=[]).image("plot", PNG)
    assert not list(tmp_path.iterdir())


def test_a_table_takes_numbers_of_any_kind_and_shows_what_is_none_as_missing() -> None:
    cells = [1, True, Fraction(1, 2), math.inf, None, Path("/x"), "a"]
    content = table_content([*"abcdefg"], iter([cells]))
    assert content["rows"] == [[1, True, 0.5, None, None, "/x", "a"]]


def test_half_a_letter_becomes_a_question_mark() -> None:
    assert text_content("a \ud83d b")["text"] == "a ? b"
    content = table_content(["\ud83d"], [["\ud83d"], [Path("\udcff")]])
    assert (content["columns"], content["rows"]) == (["?"], [["?"], ["?"]])


@pytest.mark.parametrize(
    ("columns", "rows", "words"),
    [
        ([], [], "at least one column"),
        (["a", ""], [], "a name for each"),
        (["a", "b"], [(1, 2), (3,)], "row 2 has 1 cells, and there are 2 columns"),
    ],
)
def test_a_table_that_is_none_is_refused(columns: Any, rows: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        table_content(columns, rows)


@given(st.lists(st.tuples(st.text(max_size=2000), st.floats()), max_size=60))
def test_no_table_is_longer_than_an_event_may_be(rows: list[tuple[str, float]]) -> None:
    content = table_content(["name", "figure"], 20 * rows)
    assert len(json.dumps(content, allow_nan=False)) < LINE_BYTES - 1000
    assert len(content["rows"]) + content["left_out"] == 20 * len(rows)
    assert content["rows"] or not rows


@given(st.text(), st.integers(0, 20_000))
def test_a_text_is_kept_from_its_beginning_as_far_as_an_event_holds(text: str, times: int) -> None:
    whole = text * times
    content = text_content(whole)
    kept = content["text"]
    assert whole.startswith(kept) and len(kept) + content["left_out"] == len(whole)
    assert len(json.dumps(content)) < LINE_BYTES - 1000
    assert kept == whole or len(json.dumps(kept)) > CONTENT_BYTES_MOST * 0.9


def test_tables_that_come_too_fast_are_thinned_and_the_last_is_told(
    job: Job, tmp_path: Path
) -> None:
    for number in range(100):
        job.table("best", ["n"], [(number,)])
        job.text("now", str(number))
    job.flush()
    assert told(tmp_path, "table")[-1]["rows"] == [[99]]
    assert told(tmp_path, "text")[-1]["text"] == "99"
    assert len(told(tmp_path, "table")) < 100


def test_everything_a_workload_imports_says_its_types() -> None:
    kinds = [thing if inspect.isclass(thing) else type(thing) for thing in vars(sdk).values()]
    functions = [
        member
        for kind in kinds
        for name, member in inspect.getmembers(kind, inspect.isfunction)
        if member.__module__.startswith("cockpit.sdk") and not name.startswith("_")
    ]
    assert Job.metrics in functions
    for function in functions:
        wanted = {*inspect.signature(function).parameters, "return"} - {"self"}
        assert wanted <= set(typing.get_type_hints(function)), function.__qualname__
    assert (Path(sdk.__file__).parents[1] / "py.typed").exists()
