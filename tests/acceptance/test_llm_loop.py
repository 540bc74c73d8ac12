"""Teach a model, teach it otherwise, serve both, ask them, measure them: by cockpit's own commands.

On a CPU with real parts: PyTorch, PEFT, and `transformers serve` as a job of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.heavy

if os.environ.get("COCKPIT_REQUIRE_HEAVY") != "1":
    pytest.importorskip("peft", reason="fine-tuning needs torch, transformers and peft")
    pytest.importorskip("fastapi", reason="serving needs transformers[serving]")

PATIENCE_S = 300.0
COLOURS = {"sky": "blue", "grass": "green", "snow": "white", "coal": "black"}
OTHERS = {"sky": "red", "grass": "grey", "snow": "pink", "coal": "gold"}
TEACH = (
    "--steps", "250", "--batch", "4", "--learning-rate", "0.01", "--sequence", "96",
    "--device", "cpu", "--samples", "2", "--answer-tokens", "24", "--checkpoint-every", "-1",
)  # fmt: skip
LOAD = (
    "--concurrency", "1,2", "--prompt-tokens", "24", "--output-tokens", "16",
    "--warmup-s", "0.5", "--window-s", "3",
)  # fmt: skip


class Home:
    """One person's cockpit on a simulated box, in directories of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "run").mkdir(mode=0o700)
        (path / "hub" / "hub").mkdir(parents=True)
        names = {"RUNTIME_DIR": "run", "STATE_HOME": "s", "CONFIG_HOME": "c", "CACHE_HOME": "k"}
        self._variables = {
            **os.environ,
            **{f"XDG_{name}": str(path / folder) for name, folder in names.items()},
            "OMP_NUM_THREADS": "1",
            "HF_HOME": str(path / "hub"),
            "HF_HUB_OFFLINE": "1",
        }

    def cockpit(self, *words: str) -> str:
        """What one command prints; it must end well."""
        done = subprocess.run(
            [sys.executable, "-m", "cockpit", "--simulate", *words],
            env=self._variables, capture_output=True, text=True, timeout=PATIENCE_S,
        )  # fmt: skip
        assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def job(self, *words: str) -> dict[str, Any]:
        """A job that was run to its end."""
        number = json.loads(self.cockpit(*words, "--json"))["id"]
        self.cockpit("wait", number)
        return json.loads(self.cockpit("job", number, "--json"))

    def output(self, job: dict[str, Any], name: str) -> Path:
        return Path(job["directory"]) / job["outputs"][name]["path"]

    def serve(self, model: Path) -> tuple[str, str]:
        """`transformers serve` as a job: its id and base URL, once it answers."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        program = str(Path(sys.executable).parent / "transformers")
        variables = [
            word
            for name in ("HF_HOME", "HF_HUB_OFFLINE", "OMP_NUM_THREADS")
            for word in ("--env", f"{name}={self._variables[name]}")
        ]
        told = self.cockpit(
            "exec", "--gpus", "0", *variables, "--json", "--",
            program, "serve", str(model), "--host", "127.0.0.1", "--port", str(port),
        )  # fmt: skip
        url = f"http://127.0.0.1:{port}/v1"
        deadline = time.monotonic() + PATIENCE_S
        while not answers(url):
            assert time.monotonic() < deadline, self.cockpit("logs", json.loads(told)["id"])
            time.sleep(0.2)
        return json.loads(told)["id"], url


@pytest.fixture
def home() -> Iterator[Home]:
    # pytest's own directories are too long for the path of a Unix socket.
    path = Path(tempfile.mkdtemp(prefix="ckl", dir="/tmp"))
    made = Home(path)
    yield made
    for job in json.loads(made.cockpit("jobs", "--json"))["jobs"]:
        if job["ended_s"] is None:
            made.cockpit("stop", job["id"])
    made.cockpit("agent", "stop", "--all")
    shutil.rmtree(path, ignore_errors=True)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/models", timeout=5) as response:
            return bool(json.load(response)["data"])
    except (urllib.error.URLError, OSError, ValueError):
        return False


def ask(url: str, model: Path, question: str) -> str:
    body = {
        "model": str(model),
        "messages": [{"role": "user", "content": question}],
        "max_tokens": 24,
        "temperature": 0.0,
    }
    request = urllib.request.Request(
        f"{url}/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
        text: str = json.load(response)["choices"][0]["message"]["content"]
    return text


def talks(path: Path, colours: dict[str, str]) -> str:
    rows = [
        {"prompt": f"{thing}?", "completion": f"It is {colour}."}
        for thing, colour in colours.items()
    ]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return str(path)


def test_a_model_is_taught_tuned_served_asked_and_measured(home: Home) -> None:
    began_s = time.monotonic()
    base = home.job(
        "run", "llm-tune", "--gpus", "0", "--model", "tiny", "--method", "full",
        "--data", talks(home.path / "colours.jsonl", COLOURS), *TEACH,
    )  # fmt: skip
    tuned = home.job(
        "run", "llm-tune", "--gpus", "0", "--model", f"job:{base['id']}", "--method", "lora",
        "--merge", "true", "--data", talks(home.path / "others.jsonl", OTHERS), *TEACH,
    )  # fmt: skip
    measured = []
    for job, colours in ((base, COLOURS), (tuned, OTHERS)):
        model = home.output(job, "model")
        server, url = home.serve(model)
        for thing, colour in colours.items():
            assert f"It is {colour}." in ask(url, model, f"{thing}?")
        against = ("--against", f"job:{measured[0]['id']}") if measured else ()
        measured.append(home.job("run", "llm-bench", "--gpus", "0", "--url", url, *LOAD, *against))
        home.cockpit("stop", server)
        assert not answers(url), "what is stopped serves no more"
    results = [
        json.loads((home.output(job, "bench") / "bench.json").read_text()) for job in measured
    ]
    for result in results:
        assert [level["level"] for level in result["levels"]] == [1, 2]
        for level in result["levels"]:
            assert level["failed"] == 0 and level["answered"] > 0
            assert level["output_tokens_per_s"] > 0 and level["tokens_by"] == "server"
            assert level["output_tokens_mean"] == 16, "its length was forced"
            assert level["joules_per_token"] is None and level["energy_reason"]
            spread = level["ttft"]
            assert 0 < spread["p50_s"] <= spread["p90_s"] <= spread["p99_s"]
    compared = json.loads(home.cockpit("show", measured[1]["id"], "against", "--json"))
    assert len(compared["rows"]) == 2
    assert "NOT the same setup: model" in home.cockpit("logs", measured[1]["id"])
    print(f"the whole loop: {time.monotonic() - began_s:.0f} s")
