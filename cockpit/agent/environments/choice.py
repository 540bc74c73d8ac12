"""Which Python a workload runs in: the agent's own if it has all that is required, else one of its own."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from cockpit.agent.environments import catalogue
from cockpit.agent.environments.families import share
from cockpit.agent.environments.need import Need, key
from cockpit.agent.environments.order import BUILDING, LINK, BuildOrder, settle
from cockpit.agent.environments.requirements import all_installed_here, installed_here, missing
from cockpit.agent.jobs.executor import Stage
from cockpit.model import JobRequest
from cockpit.settings import EnvironmentSettings

LOOKING = "looking at its environment"
_START = (
    "import sys; sys.path.append(sys.argv[1]); from cockpit.agent.environments.build import main;"
    " sys.exit(main(sys.argv[2]))"
)
_PACKAGE_ROOT = str(Path(__file__).parents[3])


@dataclass(frozen=True)
class Environment:
    """A Python to run in, and how to build it first where that is still to be done."""

    python: str
    prefix: str | None = None
    """What activating it would set; None for the agent's own."""
    build: Stage | None = None


@dataclass(frozen=True)
class Place:
    """The Python that a workload would run in."""

    origin: Literal["prebuilt", "agent", "built"]
    python: str
    ready: bool = True
    """False if it is still to be built."""
    directory: Path | None = None
    """Of one that is, or will be, built here."""


def need_of(request: JobRequest, code: Path, settings: EnvironmentSettings) -> Need:
    """What a request asks for; `code` is the plugin's folder, which may hold a lock."""
    plugin = request.plugin or request.name
    lock = code / catalogue.LOCK
    if lock.is_file():
        return Need(plugin, request.requires, lock=str(lock), torch_backend=settings.torch_backend)
    members = {member.plugin: member.requires for member in request.family}
    if request.environment_name is not None:
        members[plugin] = request.requires
    return Need(
        plugin,
        request.requires,
        request.environment_name,
        members,
        torch_backend=settings.torch_backend,
    )


def choose(need: Need, settings: EnvironmentSettings, root: Path, job: Path) -> Environment:
    """The environment of a job; `root` holds those that were built before. Raises OSError."""
    place = where(need, settings, root)
    if place.origin == "prebuilt":
        prefix = Path(place.python).parent.parent
        is_environment = (prefix / "pyvenv.cfg").exists()
        order = BuildOrder(str(root), str(job), need, prebuilt=place.python)
        return Environment(
            place.python, str(prefix) if is_environment else None, _stage(order, LOOKING)
        )
    if place.directory is None:
        if need.requires:
            (job / catalogue.LOCK).write_text(_own_lock())
        return Environment(place.python)
    link = job / LINK
    python = str(link / "bin" / "python")
    if place.ready:
        settle(place.directory, job, need.plugin)
        return Environment(python, str(link))
    order = BuildOrder(str(root), str(job), need, settings.offline)
    return Environment(python, str(link), _stage(order, BUILDING))


def where(need: Need, settings: EnvironmentSettings, root: Path) -> Place:
    """Where the next job with this need would run. Nothing is changed."""
    if need.family is not None and (python := settings.prebuilt.get(need.family)):
        return Place("prebuilt", str(Path(python).expanduser()))
    if need.lock is None and not missing(need.requires, installed_here):
        return Place("agent", sys.executable)
    directory = root / key(share(need, catalogue.apart(root, key(need))))
    ready = catalogue.is_whole(directory)
    return Place("built", str(directory / "bin" / "python"), ready, directory)


def _stage(order: BuildOrder, text: str) -> Stage:
    command = (sys.executable, "-I", "-c", _START, _PACKAGE_ROOT, order.dumps())
    return Stage(command, order.job, {}, text)


@cache
def _own_lock() -> str:
    return all_installed_here()
