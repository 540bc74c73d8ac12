"""A model that has read nothing but Python's own text is taught to answer, by cockpit's commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.heavy

if os.environ.get("COCKPIT_REQUIRE_HEAVY") != "1":
    pytest.importorskip("peft", reason="fine-tuning needs torch, transformers and peft")

PATIENCE_S = 600.0


def test_the_pocket_presets_make_a_model_that_answers() -> None:
    # The path of a Unix socket must be short.
    with tempfile.TemporaryDirectory(prefix="ck") as folder:
        home = Path(folder)
        try:
            trained = job(home, "run", "llm-train", "--preset", "pocket")
            assert trained["state"] == "COMPLETED"
            assert trained["outputs"]["model"]["kind"] == "hf-model"
            reference = f"job:{trained['id']}"
            tuned = job(home, "run", "llm-tune", "--preset", "pocket", "--model", reference)
            assert tuned["state"] == "COMPLETED"
            told = (Path(tuned["directory"]) / "events.jsonl").read_text().splitlines()
            events = [json.loads(line) for line in told]
            (*_, table) = [event for event in events if event["type"] == "table"]
            answers = {row[0]: row[1:] for row in table["rows"]}
            before, after = answers["What is cockpit?"]
            assert "cockpit" not in before
            assert after == "cockpit is one terminal for the GPUs you own."
        finally:
            cockpit(home, "agent", "stop", "--all")


def job(home: Path, *words: str) -> dict[str, Any]:
    """A job that was run to its end."""
    number = json.loads(cockpit(home, *words, "--json"))["id"]
    cockpit(home, "wait", number)
    told: dict[str, Any] = json.loads(cockpit(home, "job", number, "--json"))
    return told


def cockpit(home: Path, *words: str) -> str:
    """What one command prints; it must end well."""
    (home / "run").mkdir(mode=0o700, exist_ok=True)
    names = {"RUNTIME_DIR": "run", "STATE_HOME": "s", "CONFIG_HOME": "c", "CACHE_HOME": "k"}
    variables = {f"XDG_{name}": str(home / place) for name, place in names.items()}
    done = subprocess.run(
        [sys.executable, "-m", "cockpit", "--simulate", *words],
        env={**os.environ, **variables, "OMP_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout
