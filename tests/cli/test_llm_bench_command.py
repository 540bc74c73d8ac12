"""`cockpit run llm-bench` against a real server with known delays and troubles."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from fake_llm import KEY, serving

SHORT = {
    "warmup-s": 0.1,
    "window-s": 1.0,
    "output-tokens": 6,
    "prompt-tokens": 60,
    "concurrency": "2",
}


class Bench:
    """One run of the plugin, and what its job shows."""

    def __init__(self, cockpit: Any, url: str, key: str = KEY, **more: Any) -> None:
        chosen = {**SHORT, **{name.replace("_", "-"): value for name, value in more.items()}}
        words = [word for name, value in chosen.items() for word in (f"--{name}", str(value))]
        self._cockpit = cockpit
        done = cockpit(
            "--simulate", "run", "llm-bench", "--url", url, "--key-env", "LLM_KEY",
            "--secret", "LLM_KEY", *words,
        )  # fmt: skip
        self.code, self.log = done.code, done.out + done.err
        found = re.search(r"job (\d+)", done.err)
        assert found, done.err
        self.id = found[1]

    def table(self, name: str) -> list[dict[str, Any]]:
        told = json.loads(self._cockpit("--simulate", "show", self.id, name, "--json").out)
        return [dict(zip(told["columns"], row, strict=True)) for row in told["rows"]]

    @property
    def job(self) -> dict[str, Any]:
        return json.loads(self._cockpit("--simulate", "job", self.id, "--json").out)

    @property
    def result(self) -> dict[str, Any]:
        path = Path(self.job["directory"]) / self.job["outputs"]["bench"]["path"]
        return json.loads((path / "bench.json").read_text())


@pytest.fixture
def measure(cockpit, monkeypatch: pytest.MonkeyPatch):
    def run(url: str, key: str = KEY, **more: Any) -> Bench:
        monkeypatch.setenv("LLM_KEY", key)
        return Bench(cockpit, url, **more)

    return run


def test_known_delays_give_known_figures_and_a_result_that_can_be_repeated(measure) -> None:
    with serving(first_s=0.15, gap_s=0.02) as fake:
        done = measure(fake.url)
        asked = list(fake.asked)
    assert done.code == 0, done.log
    (latency,), (row,) = done.table("latency"), done.table("bench")
    # The server's pauses are the least that there can be, and with them the rate has a most.
    assert latency["TTFT p50 ms"] >= 150 and latency["ITL p50 ms"] >= 19
    assert latency["whole p50 ms"] >= 250
    assert 0 < row["req/s"] <= 2 / 0.25
    assert 0 < row["out tok/s"] <= 6 * 2 / 0.25 * 1.2
    assert (row["failed"], row["J/token"]) == (0, None)
    assert latency["tokens out"] == 6
    assert abs(latency["tokens in"] - 60) <= 2, "found from what the server counts"
    prompts = [body["messages"][0]["content"] for body in asked]
    assert len({prompt.split()[0] for prompt in prompts[2:]}) == len(prompts[2:])
    assert all(body["ignore_eos"] for body in asked)
    result = done.result
    assert result["parameters"]["seed"] == 1 and result["setup"]["model"] == "tiny"
    assert KEY not in json.dumps(result) and KEY not in done.log
    assert result["levels"][0]["energy_reason"] == "the endpoint is no job of this box"
    assert "published" not in done.job["tables"]


def test_a_run_is_held_against_an_earlier_one_and_what_differs_is_named(measure) -> None:
    with serving(first_s=0.02) as fake:
        first = measure(fake.url)
        second = measure(fake.url, against=f"job:{first.id}", model="other")
    (row,) = second.table("against")
    assert row["ratio"] == pytest.approx(row["out tok/s"] / row["then"], abs=1e-3)
    assert "NOT the same setup: model: other here, tiny then" in second.log


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [
        ("429", "HTTP 429"),
        ("500", "HTTP 500"),
        ("cut", "connection lost"),
        ("silent", "no text"),
        ("error", "error in the stream"),
        ("slow", "slower than 0.4 s"),
    ],
)
def test_a_request_that_fails_is_counted_by_its_kind_and_never_as_fast(
    measure, trouble: str, kind: str
) -> None:
    with serving(trouble=trouble) as fake:
        done = measure(fake.url, timeout_s=0.4)
    assert done.code == 0, done.log
    (row,), failures = done.table("bench"), done.table("failures")
    assert {each["what"] for each in failures} == {kind}
    assert row["failed"] == sum(each["requests"] for each in failures) > 0
    assert row["good %"] < 100
    level = done.result["levels"][0]
    assert level["requests"] == level["answered"] + level["failed"]


def test_a_server_that_dies_ends_the_sweep_and_keeps_what_was_measured(measure) -> None:
    with serving(first_s=0.02, dies_after=400) as fake:
        done = measure(fake.url, concurrency="1,8,9,10,11")
    assert done.code == 1
    rows = done.table("bench")
    assert rows[0]["out tok/s"] > 0 and len(rows) < 5
    assert "no answer at all (connection lost)" in done.log
    assert "Traceback" not in done.log


def test_an_open_loop_counts_what_was_due_and_not_answered(measure) -> None:
    with serving(trouble="slow") as fake:
        done = measure(fake.url, concurrency="", rates="20", timeout_s=0.6)
    (row,) = done.table("bench")
    assert row["load"] == "20 req/s" and row["failed"] > 0
    assert done.result["levels"][0]["loop"] == "open"


def test_a_server_that_can_force_no_length_or_counts_nothing_is_measured_all_the_same(
    measure,
) -> None:
    with serving(strict=True, counts=False, first_s=0.02) as fake:
        done = measure(fake.url)
    assert done.code == 0, done.log
    assert "no way to force the length" in done.log and "a piece of text counts as one" in done.log
    assert done.result["levels"][0]["tokens_by"] == "pieces"


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"key": "wrong"}, "refuses the key (HTTP 401)"),
        ({"model": "huge"}, "There is no model 'huge'"),
        ({"concurrency": "1,two"}, "--concurrency: got '1,two'"),
        ({"concurrency": ""}, "Nothing to measure"),
        ({"shared_prefix": 60}, "--shared-prefix: got 60 of 60"),
        ({"against": "job:9999"}, "there is no job 9999"),
        ({"tool": "vllm", "vllm": "no-such-vllm"}, "there is no program 'no-such-vllm'"),
    ],
)
def test_what_cannot_be_measured_is_told_with_code_2(measure, more: dict[str, Any], told: str):
    with serving() as fake:
        done = measure(fake.url, **more)
    assert done.code == 2 and told in done.log
    assert "Traceback" not in done.log


def test_an_endpoint_that_is_not_there_is_told(measure) -> None:
    done = measure("http://127.0.0.1:9/v1")
    assert done.code == 2 and "cannot be asked for its models" in done.log


def test_the_client_measures_itself(cockpit) -> None:
    done = cockpit(
        "--simulate", "bench", "llm-bench", "--json", "--concurrency", "4", "--window-s", "0.5",
        "--warmup-s", "0.1",
    )  # fmt: skip
    assert done.code == 0, done.err
    (row,) = json.loads(done.out)["rows"]
    assert row[0] == "4 at once" and row[2] > 0
