"""What a job leaves for others: told when it is whole, found by its name, missed in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cockpit.agent.jobs.events import EventTail
from cockpit.model import JobOutput
from cockpit.sdk import Job


def job_in(directory: Path) -> Job:
    directory.mkdir(parents=True, exist_ok=True)
    return Job(
        environment={
            "COCKPIT_JOB_DIR": str(directory),
            "COCKPIT_EVENTS": str(directory / "events.jsonl"),
        },
        arguments=[],
    )


def test_a_published_output_is_found_by_another_job_and_known_to_the_agent(tmp_path: Path) -> None:
    first, second = job_in(tmp_path / "12"), job_in(tmp_path / "13")
    folder = first.output("model")
    assert folder == tmp_path / "12" / "outputs" / "model" and folder.is_dir()
    (folder / "config.json").write_text("{}")
    first.publish("model", kind="hf-model", summary="after 300 steps")
    assert second.find_output("job:12", "model") == folder
    assert second.find_model("job:12") == str(folder)
    tail = EventTail(tmp_path / "12" / "events.jsonl")
    tail.read_all()
    assert tail.outputs == {"model": JobOutput("outputs/model", "hf-model", "after 300 steps")}
    assert tail.bad_lines == 0


@pytest.mark.parametrize("reference", ["org/name", "/models/base", "gpt2"])
def test_what_means_no_job_stays_as_it_is(tmp_path: Path, reference: str) -> None:
    assert job_in(tmp_path / "1").find_model(reference) == reference


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("job:99", "job:99: there is no job 99 on this box"),
        ("job:", "there is no job without a number"),
        ("job:../12", "there is no job ../12"),
        ("job:11", "job 11 has published no model, nothing so far"),
        ("job:12", "job 12 has published no model, only adapter"),
        ("job:14", "what job 14 published as model is gone from"),
    ],
)
def test_an_output_that_is_not_there_is_told_in_words(
    tmp_path: Path, reference: str, words: str
) -> None:
    job_in(tmp_path / "11").output("model")
    adapter = job_in(tmp_path / "12")
    adapter.output("adapter")
    adapter.publish("adapter")
    gone = job_in(tmp_path / "14")
    gone.output("model")
    gone.publish("model")
    (tmp_path / "14" / "outputs" / "model").rmdir()
    with pytest.raises(ValueError) as caught:
        job_in(tmp_path / "15").find_output(reference, "model")
    assert words in str(caught.value)


def test_what_does_not_lie_there_cannot_be_published(tmp_path: Path) -> None:
    job = job_in(tmp_path / "1")
    with pytest.raises(ValueError, match="there is no output 'model' to publish"):
        job.publish("model")
    for name in ("", "../x", "a/b"):
        with pytest.raises(ValueError, match="is no name"):
            job.output(name)


@pytest.mark.parametrize("line", ["", "not json", '{"type": "output"}', '"output"', "[1]"])
def test_other_lines_in_its_events_are_passed_over(tmp_path: Path, line: str) -> None:
    job = job_in(tmp_path / "1")
    job.output("model")
    told: list[Any] = [line, json.dumps({"type": "text", "name": "x", "text": '"output"'})]
    (tmp_path / "1" / "events.jsonl").write_text("".join(f"{each}\n" for each in told))
    job.publish("model")
    assert job.find_output("job:1", "model") == tmp_path / "1" / "outputs" / "model"
