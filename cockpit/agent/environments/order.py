"""What passes from the agent to the process that builds an environment, and what that leaves behind."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from cockpit.agent.environments import catalogue
from cockpit.agent.environments.need import Need

BUILDING = "building its environment (first use)"
PROGRESS = "building.json"
"""In the job's directory: `{"text"}`, how far the building is."""
EXPLANATION = "explanation.txt"
"""In the job's directory: why the building failed, in words; the shim makes it the job's reason."""
LINK = "environment"
"""In the job's directory: leads to the environment that it runs in."""


@dataclass(frozen=True)
class BuildOrder:
    """Build this, for that job."""

    root: str
    job: str
    need: Need
    offline: bool = False
    prebuilt: str | None = None
    """A Python that is to be looked at instead: has it all that is required?"""

    def dumps(self) -> str:
        """As one argument of a command line."""
        return json.dumps(asdict(self))

    @staticmethod
    def loads(text: str) -> BuildOrder:
        """What `dumps` was made of."""
        plain = json.loads(text)
        need = plain.pop("need")
        members = {name: tuple(requires) for name, requires in need.pop("members").items()}
        requires = tuple(need.pop("requires"))
        return BuildOrder(need=Need(requires=requires, members=members, **need), **plain)


def settle(directory: Path, job: Path, plugin: str) -> None:
    """Lead a job to its environment, and keep in its directory what exactly is in it."""
    spare = job / f".{LINK}.next"
    spare.unlink(missing_ok=True)
    spare.symlink_to(directory)
    spare.replace(job / LINK)
    shutil.copyfile(directory / catalogue.LOCK, job / catalogue.LOCK)
    catalogue.note_use(directory, plugin)
    # Of an earlier attempt.
    (job / EXPLANATION).unlink(missing_ok=True)


def say_progress(job: Path, text: str) -> None:
    """Tell the agent how far the building is. Raises OSError."""
    spare = job / f".{PROGRESS}.{os.getpid()}"
    spare.write_text(json.dumps({"text": f"{BUILDING}: {text}"}))
    spare.replace(job / PROGRESS)
