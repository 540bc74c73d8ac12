"""How a job finds the service that another job is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cockpit.sdk.outputs import PREFIX


@dataclass(frozen=True)
class ServiceAccess:
    """How a service is reached on this box."""

    base_url: str
    """Of one that speaks OpenAI's API it ends in /v1."""
    key: str
    models: tuple[str, ...] = ()


def find_service(jobs: Path, reference: str) -> ServiceAccess:
    """The service of the job that `reference` means; `jobs` has all directories.

    Raises ValueError, in words for the person, if there is no such job or it does not serve now.
    """
    number = reference.removeprefix(PREFIX)
    directory = jobs / number
    if not number or Path(number).name != number or not directory.is_dir():
        raise ValueError(
            f"{reference}: there is no job {number or 'without a number'} on this box."
        )
    access, spec = _read(directory / "service.json"), _read(directory / "spec.json")
    wish = (spec.get("request") or {}).get("service") if spec else None
    if not access or not wish:
        raise ValueError(f"{reference}: job {number} is no service, or has not started.")
    if "ended_s" in (_read(directory / "status.json") or {}):
        raise ValueError(f"{reference}: the service of job {number} has ended.")
    told = _told(directory / "events.jsonl")
    if wish.get("ready") == "event" and told.get("state") != "ready":
        state = told.get("state", "starting")
        raise ValueError(f"{reference}: the service of job {number} is not ready: {state}.")
    path = "/v1" if wish.get("protocol") == "openai" else ""
    models = tuple(str(name) for name in told.get("models", ()))
    return ServiceAccess(f"http://127.0.0.1:{access['port']}{path}", str(access["key"]), models)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def _told(events: Path) -> dict[str, Any]:
    """What the service said of itself last."""
    found: dict[str, Any] = {}
    try:
        with events.open("rb") as file:
            for line in file:
                if b'"service"' in line:
                    try:
                        event = json.loads(line)
                    except ValueError:
                        continue
                    if isinstance(event, dict) and event.get("type") == "service":
                        found = event
    except OSError:
        pass
    return found
