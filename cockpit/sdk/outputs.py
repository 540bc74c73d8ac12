"""What jobs leave for others, by name: where it belongs, and how another job finds it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = "outputs"
PREFIX = "job:"
"""`job:12` means what job 12 has left."""
_EVENTS = "events.jsonl"


def find_output(jobs: Path, reference: str, name: str) -> Path:
    """Where the output `name` of the job that `reference` means lies; `jobs` has all directories.

    Raises ValueError, in words for the person, if there is no such job, it has published no such
    output, or that is gone.
    """
    number = reference.removeprefix(PREFIX)
    directory = jobs / number
    if not number or Path(number).name != number or not directory.is_dir():
        raise ValueError(
            f"{reference}: there is no job {number or 'without a number'} on this box."
        )
    told = _published(directory / _EVENTS)
    if name not in told:
        others = f"only {', '.join(sorted(told))}" if told else "nothing so far"
        raise ValueError(f"{reference}: job {number} has published no {name}, {others}.")
    path = directory / told[name]
    if not path.exists():
        raise ValueError(f"{reference}: what job {number} published as {name} is gone from {path}.")
    return path


def _published(events: Path) -> dict[str, str]:
    """Name → path of the outputs that a job has told of; of each the newest."""
    found: dict[str, str] = {}
    try:
        with events.open("rb") as file:
            for line in file:
                if b'"output"' in line:
                    found.update(_output(line))
    except OSError:
        pass
    return found


def _output(line: bytes) -> dict[str, str]:
    try:
        event: Any = json.loads(line)
        return {str(event["name"]): str(event["path"])} if event["type"] == "output" else {}
    except (ValueError, KeyError, TypeError):
        return {}
