"""The bash example: any command once for each value, and what is told of it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from workload_run import Run, ended, run, start

COMMAND = ("bash", "sweep.sh")


@pytest.fixture
def sweep(tmp_path: Path):
    def go(**chosen: Any) -> Run:
        return run("sweep", COMMAND, tmp_path / "job", **chosen)

    return go


def test_each_value_is_run_and_its_figure_kept(sweep) -> None:
    done = sweep(
        command="echo loss=1.5; echo loss={}e-1", values="3 1 2", pattern="loss=([0-9.e-]+)"
    )
    assert done.code == 0, done.log
    table = done.table("runs")
    assert table["columns"] == ["value", "figure", "seconds", "exit code"]
    assert [(row[0], row[1], row[3]) for row in table["rows"]] == [
        ("3", 0.3, 0),
        ("1", 0.1, 0),
        ("2", 0.2, 0),
    ]
    assert (done.tail.progress.done, done.tail.progress.total) == (3, 3)
    assert done.tail.metrics == {"figure": 0.2}
    assert done.messages() == ["3 of 3 runs; the least figure is 0.1, of the value 1."]


def test_the_most_may_be_the_best_and_ranges_are_counted_out(sweep) -> None:
    done = sweep(command="echo {}", values="1:7:3 x", pattern="([0-9]+)$", best="most")
    assert [row[:2] for row in done.table("runs")["rows"]] == [
        ["1", 1], ["4", 4], ["7", 7], ["x", None],
    ]  # fmt: skip
    assert done.messages() == ["4 of 4 runs; the most figure is 7, of the value 7."]


def test_a_run_that_fails_has_no_figure_and_the_others_go_on(sweep) -> None:
    done = sweep(command="echo {}; [ {} != 2 ]", values="1 2 3", pattern="([0-9]+)")
    assert done.code == 1
    assert [row[1::2] for row in done.table("runs")["rows"]] == [[1, 0], [None, 1], [3, 0]]


def test_any_text_in_the_parameters_and_the_output_is_told_as_it_is(sweep) -> None:
    command = r"""printf 'a"b\\c\té %s \033[1m\377\n' '{}'; echo 7"""
    done = sweep(command=command, values='q"\\é', pattern="([0-9]+)$")
    assert done.code == 0, done.log
    assert done.table("runs")["rows"][0][:2] == ['q"\\é', 7]
    assert done.text("output") == 'a"b\\c\té q"\\é [1m\n7'


def test_a_run_that_takes_too_long_is_ended(sweep) -> None:
    done = sweep(command="echo 1; sleep {}", values="600", patience=1)
    assert (done.code, done.table("runs")["rows"][0][3]) == (1, 124)


def test_asked_to_stop_it_ends_the_run_and_leaves(tmp_path: Path) -> None:
    mark = tmp_path / "started"
    process = start(
        *("sweep", COMMAND, tmp_path / "job", {}),
        command=f"touch {mark}; exec sleep 600 # {{}}",
        values="1 2",
    )
    deadline = time.monotonic() + 60
    while not mark.exists():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    done = ended(process, tmp_path / "job", stop=True)
    assert done.messages() == ["0 of 2 runs."]


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ({"command": "echo"}, "The command has no {} for the value: echo"),
        ({"pattern": "("}, "The pattern is no extended regular expression: ("),
        ({"folder": "/nowhere"}, "There is no folder /nowhere."),
    ],
)
def test_what_cannot_be_is_told(sweep, chosen: dict[str, Any], told: str) -> None:
    done = sweep(**chosen)
    assert (done.code, done.messages()) == (2, [told])
