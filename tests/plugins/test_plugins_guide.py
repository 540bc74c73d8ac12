"""docs/plugins.md, followed from its first line to its last by somebody with an empty home."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cockpit.agent.jobs.events import EventTail
from cockpit.cli.plugin_check import EVENT_TYPES

GUIDE = Path(__file__).parents[2] / "docs" / "plugins.md"
FENCE = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks() -> list[tuple[str, str, str]]:
    """Language, file name or nothing, and text of each block."""
    return FENCE.findall(GUIDE.read_text(encoding="utf-8"))


class Newcomer:
    """A home with nothing in it, where `cockpit` and `python` are found."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.folder = home / ".config" / "cockpit" / "plugins" / "ripples"
        tools = home / "bin"
        tools.mkdir()
        # Not a link: a link to the interpreter of a venv would leave the venv.
        for name, words in (("cockpit", "-m cockpit"), ("python", "")):
            (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
            (tools / name).chmod(0o755)
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("XDG_", "COCKPIT_"))
        }
        self.environment = {
            **kept,
            "HOME": str(home),
            "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
            "XDG_RUNTIME_DIR": str(home),
            "COCKPIT_SOURCE": "simulated",
        }

    def type(self, script: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            env=self.environment,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


@pytest.fixture(scope="module")
def newcomer() -> Iterator[Newcomer]:
    # pytest's own directories are too long for the path of a Unix socket.
    home = Path(tempfile.mkdtemp(prefix="ckg-", dir="/tmp"))
    newcomer = Newcomer(home)
    yield newcomer
    newcomer.type("cockpit agent stop --all")
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def followed(newcomer: Newcomer) -> str:
    """What all commands printed, after the files of the page were saved in its order."""
    said = ""
    for language, file, text in blocks():
        if language == "sh":
            done = newcomer.type(text)
            assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
            said += done.stdout + done.stderr
        elif file:
            (newcomer.folder / file).write_text(text)
    return said


def test_every_block_is_one_that_is_run() -> None:
    assert GUIDE.read_text(encoding="utf-8").count("```") == 2 * len(blocks())
    kinds = {(language, file) for language, file, _ in blocks()}
    assert kinds == {
        ("sh", ""),
        ("json", ""),
        ("toml", "plugin.toml"),
        ("python", "workload.py"),
        ("markdown", "README.md"),
    }


def test_every_command_of_the_page_does_what_it_says(followed: str) -> None:
    assert followed.count("no problems, no warnings.") == 2
    assert "Length of the pond's side; a whole number from 8 to 500 (cells)" in " ".join(
        followed.split()
    )
    assert re.search(r"ripples +COMPLETED", followed)
    assert "20 of 20 steps (100%)" in followed


def test_the_job_has_the_kernel_the_chart_and_the_picture(
    followed: str, newcomer: Newcomer
) -> None:
    listed = json.loads(newcomer.type("cockpit jobs --json").stdout)["jobs"]
    job = json.loads(newcomer.type(f"cockpit job {listed[0]['id']} --json").stdout)
    assert job["progress"]["done"] == 200
    assert [kernel["name"] for kernel in job["kernels"]] == ["leapfrog"]
    assert job["kernels"][0]["bytes_per_s"] > 0
    assert set(job["metrics"]) == {"energy"} and job["frames"] == ["water"]


def test_the_events_of_the_page_can_be_read(tmp_path: Path) -> None:
    (text,) = [text for language, _, text in blocks() if language == "json"]
    (tmp_path / "events.jsonl").write_text(text)
    tail = EventTail(tmp_path / "events.jsonl")
    tail.read_all()
    assert tail.bad_lines == 0
    assert tail.progress is not None and tail.roofline is not None and tail.kernels
    told = {json.loads(line)["type"] for line in text.splitlines()}
    # A frame lives in a ring file, which the SDK writes.
    assert told == set(EVENT_TYPES) - {"frame"}
