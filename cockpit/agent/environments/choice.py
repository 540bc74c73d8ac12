"""Which Python a workload runs in: the agent's own if it has all that is required, else one of its own."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

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
    if need.family is not None and (prebuilt := settings.prebuilt.get(need.family)):
        python = Path(prebuilt).expanduser()
        prefix = python.parent.parent
        is_environment = (prefix / "pyvenv.cfg").exists()
        order = BuildOrder(str(root), str(job), need, prebuilt=str(python))
        return Environment(
            str(python), str(prefix) if is_environment else None, _stage(order, LOOKING)
        )
    if need.lock is None and not missing(need.requires, installed_here):
        if need.requires:
            (job / catalogue.LOCK).write_text(_own_lock())
        return Environment(sys.executable)
    place = job / LINK
    python = place / "bin" / "python"
    directory = root / key(share(need, catalogue.apart(root, key(need))))
    if catalogue.is_whole(directory):
        settle(directory, job, need.plugin)
        return Environment(str(python), str(place))
    order = BuildOrder(str(root), str(job), need, settings.offline)
    return Environment(str(python), str(place), _stage(order, BUILDING))


def to_build(need: Need, settings: EnvironmentSettings, root: Path) -> bool:
    """Whether the next job with this need would build its environment first."""
    if need.family is not None and need.family in settings.prebuilt:
        return False
    if need.lock is None and not missing(need.requires, installed_here):
        return False
    return not catalogue.is_whole(root / key(share(need, catalogue.apart(root, key(need)))))


def _stage(order: BuildOrder, text: str) -> Stage:
    command = (sys.executable, "-I", "-c", _START, _PACKAGE_ROOT, order.dumps())
    return Stage(command, order.job, {}, text)


@cache
def _own_lock() -> str:
    return all_installed_here()
