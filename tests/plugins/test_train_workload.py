"""Pre-training as a process: what it learns, leaves and goes on from. Needs torch."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from workload_run import Run, ended, start

pytestmark = pytest.mark.heavy

if os.environ.get("COCKPIT_REQUIRE_HEAVY") != "1":
    for needed in ("torch", "tokenizers", "safetensors"):
        pytest.importorskip(needed, reason=f"pre-training needs {needed}")

WORKLOAD = [sys.executable, "workload.py"]
THREADS = {"OMP_NUM_THREADS": "1"}
SHORT = {
    "depth": 2,
    "vocabulary": 400,
    "sequence": 32,
    "batch": 4,
    "steps": 30,
    "shuffle": 8,
    "optimizer": "adamw",
    "learning_rate": 0.003,
    "eval_share": 20.0,
    "eval_tokens": 320,
    "sample_tokens": 4,
    "device": "cpu",
}


def rows(path: Path, count: int = 60) -> str:
    colours = ["blue", "green", "white", "black", "red"]
    texts = [
        f"Thing {at} is {colours[at % 5]}, and {at % 7} more are not. " * 3 for at in range(count)
    ]
    path.write_text("".join(f"{json.dumps({'text': text})}\n" for text in texts))
    return str(path)


def begin(directory: Path, **chosen: Any) -> subprocess.Popen[str]:
    return start("llm-train", WORKLOAD, directory, THREADS, **{**SHORT, **chosen})


def taught(directory: Path, **chosen: Any) -> Run:
    return ended(begin(directory, **chosen), directory)


def again(directory: Path) -> Run:
    """The same job once more, as the shim starts it."""
    shutil.rmtree(directory / "code")
    chosen = json.loads((directory / "parameters.json").read_text())
    return ended(start("llm-train", WORKLOAD, directory, THREADS, **chosen), directory)


def events(directory: Path, kind: str) -> list[dict[str, Any]]:
    path = directory / "events.jsonl"
    told = path.read_text().splitlines() if path.exists() else []
    return [event for line in told if (event := json.loads(line))["type"] == kind]


def figures(directory: Path, name: str) -> dict[int, float]:
    """A figure by its step, as it was told last; what comes too fast is thinned out."""
    told = [event for event in events(directory, "metrics") if name in event["values"]]
    return {event["step"]: event["values"][name] for event in told}


def agree(first: dict[int, float], second: dict[int, float], within: float) -> bool:
    """Whether two curves have the same values at the steps that both have, the last one too."""
    both = first.keys() & second.keys()
    assert max(first) == max(second) and len(both) >= 2
    return all(first[step] == pytest.approx(second[step], rel=within, abs=0) for step in both)


def until(process: subprocess.Popen[str], directory: Path, kind: str, count: int) -> None:
    deadline = time.monotonic() + 120
    while len(events(directory, kind)) < count:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the jobs of these tests lie, beside each other."""
    return tmp_path_factory.mktemp("jobs")


@pytest.fixture(scope="module")
def data(home: Path) -> str:
    return rows(home / "rows.jsonl")


@pytest.fixture(scope="module")
def whole(home: Path, data: str) -> Run:
    """A run that nobody disturbs."""
    return taught(home / "1", data=data)


def test_it_learns_tells_and_leaves_a_model(whole: Run) -> None:
    assert whole.code == 0, whole.log
    held = figures(whole.directory, "eval_loss")
    assert held[0] == pytest.approx(math.log(333), abs=0.3), "of 333 tokens it knows none yet"
    assert held[30] < held[0] - 1.0
    assert whole.text("sample").startswith("After 30 steps")
    speed = {row[0]: row[1:] for row in whole.table("speed")["rows"]}
    assert speed["tokens"][0] > 0
    assert speed["MFU"][0] is None and "a CPU has no figure" in speed["MFU"][2]
    assert speed["efficiency"][0] is None and "without a GPU" in speed["efficiency"][2]
    (output,) = events(whole.directory, "output")
    assert (output["name"], output["kind"]) == ("model", "hf-model")
    left = {file.name for file in (whole.directory / "outputs" / "model").iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"} <= left
    assert "generation_config.json" in left


def test_what_was_killed_goes_on_with_the_very_same_losses(
    home: Path, data: str, whole: Run
) -> None:
    directory = home / "2"
    process = begin(directory, data=data, checkpoint_every=7)
    try:
        until(process, directory, "checkpoint", 2)
    finally:
        process.kill()
        process.wait()
    assert max(figures(directory, "loss")) < 30, "it was killed on the way"
    parts = again(directory)
    assert parts.code == 0, parts.log
    assert "Going on from step" in parts.log
    for name in ("loss", "eval_loss", "gradient_norm"):
        assert agree(figures(directory, name), figures(whole.directory, name), within=0)
    same = [each / "outputs" / "model" / "model.safetensors" for each in (directory, home / "1")]
    assert same[0].read_bytes() == same[1].read_bytes()


def test_another_job_goes_on_with_the_same_choices_alone(home: Path, data: str, whole: Run) -> None:
    chosen = {"data": data, "restart": str(whole.directory)}
    refused = taught(home / "3", **chosen, learning_rate=0.1)
    assert refused.code == 2
    assert "learning_rate is 0.1 here and was 0.003" in refused.log
    assert taught(home / "4", **chosen).code == 0
    assert figures(home / "4", "loss") == {}, "there was nothing left to learn"


@pytest.mark.parametrize(("optimizer", "within"), [("adamw", 1e-3), ("muon", 2e-2)])
def test_two_processes_learn_what_one_learns(
    home: Path, data: str, optimizer: str, within: float
) -> None:
    choice = {"data": data, "optimizer": optimizer, "micro_batch": 1, "steps": 12}
    one = taught(home / f"one-{optimizer}", **choice)
    two = taught(home / f"two-{optimizer}", **choice, processes=2)
    assert (one.code, two.code) == (0, 0), two.log
    for name in ("loss", "eval_loss"):
        assert agree(figures(one.directory, name), figures(two.directory, name), within)
    assert len(events(two.directory, "output")) == 1, "the first one speaks for both"


@pytest.mark.parametrize("processes", [1, 2])
def test_one_that_is_stopped_saves_and_leaves_its_model(
    home: Path, data: str, processes: int
) -> None:
    directory = home / f"stopped-{processes}"
    process = begin(directory, data=data, steps=100_000, processes=processes)
    try:
        until(process, directory, "progress", 2)
        run = ended(process, directory, stop=True)
    finally:
        process.kill()
    assert run.code == 0, run.log
    assert "Stopped as asked after" in run.log and "Traceback" not in run.log
    (told,) = events(directory, "checkpoint")
    done = int(told["path"].rpartition("-")[2])
    assert done == max(figures(directory, "loss")) < 100_000
    (output,) = events(directory, "output")
    assert output["name"] == "model" and "it was stopped" in output["summary"]


@pytest.mark.parametrize("processes", [1, 2])
def test_a_bad_line_on_the_way_ends_with_its_place_after_a_checkpoint(
    home: Path, processes: int
) -> None:
    path = Path(rows(home / f"bad-{processes}.jsonl"))
    with path.open("a") as file:
        file.write('{"text": 1}\n')
    directory = home / f"bad-{processes}"
    choice = {"data": str(path), "steps": 60, "processes": processes, "eval_tokens": 32}
    run = taught(directory, **choice)
    assert run.code == 2, run.log
    said = run.messages()[-1]
    assert f"{path.name}:61: has a int and no text as 'text'" in said
    assert "Traceback" not in run.log
    (told,) = events(directory, "checkpoint")
    assert f"{told['path']} goes on" in said
    assert not events(directory, "output")
    if processes == 1:
        after = taught(home / "bad-on", **choice, restart=str(directory), skip_bad=True)
        assert after.code == 0, after.log
        assert "rows that could not be used were left out" in after.log
        assert max(figures(home / "bad-on", "loss")) == 60


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"data": "/no/such.jsonl"}, "There is no file /no/such.jsonl"),
        ({"batch": 3, "processes": 2}, "choose --batch 4"),
        ({"device": "cuda"}, "No CUDA device can be used here"),
        ({"tokenizer": "/nowhere"}, "There is no tokenizer at /nowhere"),
        ({"restart": "99"}, "job 99 has left none"),
        ({"warmup": 60.0, "cooldown": 60.0}, "more than 100 % together"),
    ],
)
def test_a_choice_that_cannot_work_ends_with_code_2_and_the_reason(
    tmp_path: Path, data: str, chosen: dict[str, Any], words: str
) -> None:
    run = taught(tmp_path / "job", **{"data": data, **chosen})
    assert run.code == 2, run.log
    assert words in run.messages()[-1]
    assert "Traceback" not in run.log


def test_another_jobs_tokenizer_is_taken(home: Path, data: str, whole: Run) -> None:
    run = taught(home / "9", data=data, steps=1, tokenizer="job:1", vocabulary=300)
    assert run.code == 0, run.log
    files = [each / "outputs" / "model" / "tokenizer.json" for each in (home / "9", home / "1")]
    assert files[0].read_bytes() == files[1].read_bytes()
