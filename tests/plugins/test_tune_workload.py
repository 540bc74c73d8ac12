"""Fine-tuning as a process: what it learns, leaves and goes on from. Needs torch and PEFT."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from workload_run import Run, ended, start

pytestmark = pytest.mark.heavy

if os.environ.get("COCKPIT_REQUIRE_HEAVY") != "1":
    pytest.importorskip("peft", reason="fine-tuning needs torch, transformers and peft")

Modules = Callable[[str], Any]
WORKLOAD = [sys.executable, "workload.py"]
THREADS = {"OMP_NUM_THREADS": "1"}
SHORT = {"sequence": 96, "device": "cpu", "samples": 2, "answer_tokens": 24}
COLOURS = {"sky": "blue", "grass": "green", "snow": "white", "coal": "black"}
OTHERS = {"sky": "red", "grass": "grey", "snow": "pink", "coal": "gold"}


def talks(path: Path, colours: dict[str, str]) -> str:
    rows = [
        {"prompt": f"{thing}?", "completion": f"It is {colour}."}
        for thing, colour in colours.items()
    ]
    return lines(path, rows)


def lines(path: Path, rows: list[Any]) -> str:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return str(path)


def begin(directory: Path, **chosen: Any) -> subprocess.Popen[str]:
    return start("llm-tune", WORKLOAD, directory, THREADS, **{**SHORT, **chosen})


def tuned(directory: Path, **chosen: Any) -> Run:
    return ended(begin(directory, **chosen), directory)


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
def taught(home: Path) -> Run:
    """All weights of the tiny model, taught four colours."""
    data = talks(home / "colours.jsonl", COLOURS)
    return tuned(
        home / "1",
        model="tiny",
        data=data,
        method="full",
        steps=250,
        batch=4,
        learning_rate=0.01,
        ask="sky?|grass?",
        checkpoint_every=-1,
    )


@pytest.fixture(scope="module")
def model(taught: Run) -> str:
    return str(taught.directory / "outputs" / "model")


@pytest.fixture(scope="module")
def adapted(home: Path, model: str) -> Run:
    """An adapter that teaches that model other colours."""
    data = talks(home / "others.jsonl", OTHERS)
    return tuned(
        home / "2",
        model=model,
        data=data,
        steps=250,
        batch=4,
        learning_rate=0.02,
        rank=16,
        ask="sky?|grass?",
        merge=True,
    )


def test_all_weights_learn_the_data_and_become_a_model_for_others(taught: Run, model: str) -> None:
    assert taught.code == 0, taught.log
    rows = taught.table("answers")["rows"]
    assert [(row[0], row[2]) for row in rows] == [
        ("sky?", "It is blue."),
        ("grass?", "It is green."),
    ]
    assert rows[0][1] != "It is blue."
    (output,) = events(taught.directory, "output")
    assert (output["name"], output["kind"]) == ("model", "hf-model")
    assert {"config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja"} <= {
        file.name for file in Path(model).iterdir()
    }


def test_an_adapter_lowers_the_loss_and_answers_from_its_data(adapted: Run) -> None:
    assert adapted.code == 0, adapted.log
    loss = figures(adapted.directory, "loss")
    assert loss[max(loss)] < 0.1 * loss[1]
    rows = adapted.table("answers")["rows"]
    assert rows == [
        ["sky?", "It is blue.", "It is red."],
        ["grass?", "It is green.", "It is grey."],
    ]
    rates = figures(adapted.directory, "learning_rate")
    assert 0.019 < max(rates.values()) <= 0.02 and rates[250] < 0.0001 and rates[1] < 0.01


def test_the_adapter_is_what_peft_and_vllm_expect(adapted: Run, model: str) -> None:
    folder = adapted.directory / "outputs" / "adapter"
    config = json.loads((folder / "adapter_config.json").read_text())
    assert config["peft_type"] == "LORA" and config["task_type"] == "CAUSAL_LM"
    assert (config["r"], config["lora_alpha"], config["bias"]) == (16, 32, "none")
    assert config["base_model_name_or_path"] == model
    assert config["modules_to_save"] is None and not config["use_dora"]
    projections = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
    assert set(config["target_modules"]) == projections
    from safetensors import safe_open

    with safe_open(folder / "adapter_model.safetensors", "pt") as file:
        names = set(file.keys())
    assert "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight" in names
    assert len(names) == 2 * 2 * 7, "two matrices for each of seven projections in two layers"


def test_the_merged_model_is_the_model_with_its_adapter(adapted: Run, model: str) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    outputs = adapted.directory / "outputs"
    base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    ids = torch.arange(3, 60)[None]
    with torch.no_grad():
        plain = base(ids).logits
        beside = PeftModel.from_pretrained(base, outputs / "adapter")(ids).logits
        merged = AutoModelForCausalLM.from_pretrained(outputs / "model", dtype=torch.float32)
        within = merged(ids).logits
    spread = beside.std()
    assert (within - beside).abs().max() < 0.1 * spread, "but for its rounding to bfloat16"
    assert (plain - beside).abs().max() > spread


def test_dpo_comes_to_prefer_what_was_chosen(home: Path, model: str) -> None:
    rows = [
        {"prompt": f"{thing}?", "chosen": f"It is {OTHERS[thing]}.", "rejected": f"It is {colour}."}
        for thing, colour in COLOURS.items()
    ]
    data = lines(home / "pairs.jsonl", rows)
    run = tuned(
        home / "3",
        model=model,
        data=data,
        eval_data=data,
        method="dpo",
        steps=40,
        batch=4,
        learning_rate=0.003,
        eval_every=20,
    )
    assert run.code == 0, run.log
    margin, accuracy = (figures(run.directory, name) for name in ("reward_margin", "accuracy"))
    # Before anything is learned no answer is preferred to what the model itself thinks of it.
    assert margin[1] == pytest.approx(0.0, abs=1e-4)
    assert figures(run.directory, "loss")[1] == pytest.approx(0.6931, abs=1e-4)
    assert margin[40] > 1.0 and accuracy[40] == 1.0
    assert "Loss on what is held out: 0.6931 before, 0." in run.log
    held = figures(run.directory, "eval_reward_margin")
    assert held[0] == pytest.approx(0.0, abs=1e-4) and held[40] > held[20] > 0.1
    assert {event["name"] for event in events(run.directory, "output")} == {"adapter"}


def test_what_was_killed_goes_on_with_the_very_same_losses(home: Path, model: str) -> None:
    choice = {
        "model": model,
        "data": talks(home / "again.jsonl", OTHERS),
        "steps": 30,
        "batch": 3,
        "checkpoint_every": 7,
        "dropout": 0.1,
        "learning_rate": 0.01,
    }
    whole = tuned(home / "4", **choice)
    assert whole.code == 0, whole.log
    process = begin(home / "5", **choice)
    try:
        until(process, home / "5", "checkpoint", 2)
    finally:
        process.kill()
        process.wait()
    before = figures(home / "5", "loss")
    parts = start_again(home / "5")
    assert parts.code == 0, parts.log
    assert "Going on from step" in parts.log
    assert agree(figures(home / "5", "loss"), figures(home / "4", "loss"), within=0)
    assert max(before) < 30, "it was killed on the way"
    assert parts.table("answers")["rows"] == whole.table("answers")["rows"]
    refused = tuned(home / "6", **{**choice, "restart": str(home / "5"), "rank": 8})
    assert refused.code == 2
    assert "rank is 8 here and was 16" in refused.log


def start_again(directory: Path) -> Run:
    """The same job once more, as the shim starts it."""
    import shutil

    shutil.rmtree(directory / "code")
    chosen = json.loads((directory / "parameters.json").read_text())
    return ended(start("llm-tune", WORKLOAD, directory, THREADS, **chosen), directory)


@pytest.mark.parametrize("method", ["lora", "dpo"])
def test_two_processes_learn_what_one_learns(home: Path, model: str, method: str) -> None:
    rows = [
        {"prompt": f"{thing}?", "chosen": f"It is {OTHERS[thing]}.", "rejected": f"It is {colour}."}
        for thing, colour in COLOURS.items()
    ]
    data = (
        talks(home / "ranks.jsonl", OTHERS) if method == "lora" else lines(home / "r.jsonl", rows)
    )
    choice = {
        "model": model,
        "data": data,
        "eval_data": data,
        "method": method,
        # Four examples in batches of three: in the last part of an epoch one rank has none.
        "steps": 12,
        "batch": 3,
        "micro_batch": 1,
        "learning_rate": 0.005,
        "eval_every": 6,
    }
    one = tuned(home / f"one-{method}", **choice)
    two = tuned(home / f"two-{method}", **choice, processes=2)
    assert (one.code, two.code) == (0, 0), two.log
    for name in ("loss", "eval_loss"):
        assert agree(figures(one.directory, name), figures(two.directory, name), within=1e-3)
    assert len(events(two.directory, "output")) == 1, "the first one speaks for both"
    assert [row[2] for row in two.table("answers")["rows"]] == [
        row[2] for row in one.table("answers")["rows"]
    ]


@pytest.mark.parametrize("processes", [1, 2])
def test_one_that_is_stopped_saves_and_leaves_its_adapter(
    home: Path, model: str, processes: int
) -> None:
    directory = home / f"stopped-{processes}"
    process = begin(
        directory,
        model=model,
        data=talks(home / "stop.jsonl", OTHERS),
        steps=100_000,
        processes=processes,
    )
    try:
        until(process, directory, "progress", 2)
        run = ended(process, directory, stop=True)
    finally:
        process.kill()
    assert run.code == 0, run.log
    assert "Stopped as asked after" in run.log
    (told,) = events(directory, "checkpoint")
    done = int(told["path"].rpartition("-")[2])
    assert done == max(figures(directory, "loss")) < 100_000
    (output,) = events(directory, "output")
    assert output["name"] == "adapter" and "it was stopped" in output["summary"]
    assert "Traceback" not in run.log


@pytest.fixture(scope="module")
def untemplated(tune_module: Modules, home: Path) -> Iterator[str]:
    yield str(tune_module("tiny_model").make_tiny_model(home / "plain", chat_template=False))


def test_a_model_without_a_chat_template_gets_one_that_is_left_with_it(
    home: Path, untemplated: str
) -> None:
    data = talks(home / "t.jsonl", COLOURS)
    run = tuned(home / "7", model=untemplated, data=data, steps=2)
    assert run.code == 0, run.log
    assert "has no chat template, so it gets one: ChatML" in run.log
    left = home / "7" / "outputs" / "adapter" / "chat_template.jinja"
    assert "<|im_start|>" in left.read_text()


def test_plain_texts_are_learned_without_a_template(home: Path, model: str) -> None:
    run = tuned(home / "8", model=model, data=talks(home / "p.jsonl", COLOURS), steps=2, plain=True)
    assert run.code == 0, run.log
    # "sky?" and "It is blue." and the end of the text, of which a byte is a token.
    tokens = sum(len(f"{thing}?It is {colour}.") + 1 for thing, colour in COLOURS.items())
    assert f"{tokens} tokens" in run.log


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        (
            {"method": "qlora"},
            "QLoRA quantizes on an NVIDIA GPU, and this job has none. --method lora",
        ),
        ({"model": "nobody/nothing"}, "fetch it with `hf download nobody/nothing`"),
        ({"model": "/nowhere/at all"}, "There is no model folder /nowhere/at all"),
        (
            {"targets": "q_proj,magic"},
            "The model has no magic to adapt: --targets wants all-linear",
        ),
        ({"rank": 0}, "An adapter of rank 0 can learn nothing"),
        ({"sequence": 8}, "Nothing is left to learn: choose a greater --sequence."),
        ({"sequence": 8, "processes": 2}, "Nothing is left to learn: choose a greater --sequence."),
        ({"device": "cuda"}, "No CUDA device can be used here"),
        ({"data": "/no/such.jsonl"}, "There is no file /no/such.jsonl"),
    ],
)
def test_a_choice_that_cannot_work_ends_with_code_2_and_the_reason(
    tmp_path: Path, chosen: dict[str, Any], words: str
) -> None:
    run = tuned(tmp_path / "job", **{"model": "tiny", "steps": 1, **chosen})
    assert run.code == 2, run.log
    assert words in run.log
    assert "Traceback" not in run.log
    assert run.messages()[-1].startswith(words[:20]) or words in run.messages()[-1]


def test_the_options_of_the_adapter_are_in_what_is_left(tmp_path: Path) -> None:
    options = {"dora": True, "rslora": True, "targets": "q_proj, v_proj", "rank": 4, "alpha": 6.5}
    run = tuned(tmp_path / "job", model="tiny", steps=2, sequence=256, **options)
    assert run.code == 0, run.log
    left = tmp_path / "job" / "outputs" / "adapter" / "adapter_config.json"
    config = json.loads(left.read_text())
    assert config["use_dora"] and config["use_rslora"]
    assert set(config["target_modules"]) == {"q_proj", "v_proj"}
    assert (config["r"], config["lora_alpha"]) == (4, 6.5)


def test_another_job_is_named_as_the_model_and_an_adapter_is_none(adapted: Run, home: Path) -> None:
    chosen = json.loads((adapted.directory / "parameters.json").read_text())
    chosen |= {"model": "job:2", "steps": 1, "merge": False}
    run = tuned(home / "9", **chosen)
    assert run.code == 0, run.log
    assert f"{adapted.directory / 'outputs' / 'model'} (" in run.log, "the merged one"
    refused = tuned(home / "10", **{**chosen, "model": "job:9"})
    assert refused.code == 2
    assert "job 9 has published no model, only adapter. An adapter is no model" in refused.log
    assert "there is no job 11" in tuned(home / "12", **{**chosen, "model": "job:11"}).log


def test_texts_that_are_too_long_lose_their_end_and_it_is_said(tmp_path: Path) -> None:
    rows = [
        {"prompt": "sky?", "completion": "It is blue."},
        {"prompt": "sky?", "completion": "blue " * 40},
        {"prompt": "sky " * 40, "completion": "It is blue."},
    ]
    data = lines(tmp_path / "long.jsonl", rows)
    run = tuned(tmp_path / "job", model="tiny", data=data, steps=1, sequence=100)
    assert run.code == 0, run.log
    assert "2 of 3 texts are longer than 100 tokens and lose their end (--sequence)." in run.log
    assert "1 of them have no answer left and are left out." in run.log
