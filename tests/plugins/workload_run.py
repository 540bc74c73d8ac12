"""Runs a shipped workload as a job would, and reads what it tells as the agent does."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cockpit.agent.jobs.events import EventTail, read_event

REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Run:
    """A workload that has ended, and what it told."""

    code: int
    log: str
    directory: Path
    tail: EventTail

    def table(self, name: str) -> dict[str, Any]:
        return read_event(self.directory / "events.jsonl", self.tail.tables[name])

    def text(self, name: str) -> str:
        text: str = read_event(self.directory / "events.jsonl", self.tail.texts[name])["text"]
        return text

    def messages(self) -> list[str]:
        lines = (self.directory / "events.jsonl").read_text().splitlines()
        events = [json.loads(line) for line in lines]
        return [event["text"] for event in events if event["type"] == "message"]


def start(
    plugin: str,
    command: Sequence[str],
    directory: Path,
    variables: dict[str, str],
    /,
    **chosen: Any,
) -> subprocess.Popen[str]:
    """The workload in a copy of its folder, with these parameters."""
    directory.mkdir(exist_ok=True)
    shutil.copytree(REPOSITORY / "plugins" / plugin, directory / "code")
    (directory / "parameters.json").write_text(json.dumps(chosen))
    environment = {
        **os.environ,
        "COCKPIT_JOB_DIR": str(directory),
        "COCKPIT_EVENTS": str(directory / "events.jsonl"),
        "COCKPIT_PARAMETERS": str(directory / "parameters.json"),
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONDONTWRITEBYTECODE": "1",
        **variables,
    }
    return subprocess.Popen(
        command,
        cwd=directory / "code",
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )


def ended(process: subprocess.Popen[str], directory: Path, stop: bool = False) -> Run:
    """The run once it is over; with `stop` it is asked to end first."""
    if stop:
        process.send_signal(signal.SIGTERM)
    log, _ = process.communicate(timeout=180)
    tail = EventTail(directory / "events.jsonl")
    tail.read_all()
    assert tail.bad_lines == 0, log
    return Run(process.returncode, log, directory, tail)


def run(plugin: str, command: Sequence[str], directory: Path, /, **chosen: Any) -> Run:
    """`start`, and wait for the end."""
    return ended(start(plugin, command, directory, {}, **chosen), directory)
