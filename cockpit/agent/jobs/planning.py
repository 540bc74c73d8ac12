"""From a request and its GPUs to what the shim runs: commands, directories, environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from cockpit.agent.jobs import environments
from cockpit.agent.jobs.executor import Stage, Start
from cockpit.agent.jobs.store import JobDirectory, Spec
from cockpit.model import JobRequest

TIME_LIMIT_MOST_S = 1e10
PYTHONS = ("python", "python3")


def problem(request: JobRequest) -> str:
    """What is wrong with a request by itself; empty if nothing."""
    if not request.command or not request.command[0]:
        return "the command is empty: say what to run"
    texts = (*request.command, *request.environment.values(), *request.environment)
    if any("\0" in text for text in texts):
        return "the command or the environment holds a NUL byte, which no program can be given"
    bad = [name for name in request.environment if not name or "=" in name]
    if bad:
        return f"{bad[0]!r} cannot be the name of an environment variable"
    if request.time_limit_s is not None and not 0 < request.time_limit_s < TIME_LIMIT_MOST_S:
        return f"a time limit of {request.time_limit_s:g} s makes no sense: give it more than 0"
    for directory in (request.plugin_directory, request.working_directory):
        if directory is not None and not (
            Path(directory).is_absolute() and Path(directory).is_dir()
        ):
            return f"{directory} is not a directory on this box: give an absolute path to one"
    return ""


def plan(spec: Spec, directory: JobDirectory, gpus: Sequence[str], sdk: Path, cache: Path) -> Start:
    """The start of a job on these GPUs (UUIDs). A plugin's `python` is that of its environment."""
    request = spec.request
    chosen = environments.choose(request.requires, cache, directory.path)
    command = request.command
    if request.plugin is not None and command[0] in PYTHONS:
        command = (chosen.python, *command[1:])
    environment = {
        "PYTHONUNBUFFERED": "1",
        **request.environment,
        **_own_environment(chosen.python, request),
        "PYTHONPATH": _joined(str(sdk), request.environment.get("PYTHONPATH", "")),
        "CUDA_VISIBLE_DEVICES": ",".join(gpus),
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "COCKPIT_JOB_ID": spec.id,
        "COCKPIT_JOB_DIR": str(directory.path),
        "COCKPIT_PARAMETERS": str(directory.path / "parameters.json"),
        "COCKPIT_EVENTS": str(directory.events),
    }
    workload = Stage(command, _working_directory(request, directory), environment)
    if chosen.build is None:
        return Start((workload,), tuple(gpus), request.time_limit_s)
    mark = {name: environment[name] for name in ("COCKPIT_JOB_ID", "COCKPIT_JOB_DIR")}
    build = Stage(chosen.build.command, chosen.build.directory, mark, chosen.build.text)
    return Start((build, workload), tuple(gpus), request.time_limit_s)


def _own_environment(python: str, request: JobRequest) -> dict[str, str]:
    """What makes an isolated environment the one that programs are found in."""
    if python == sys.executable:
        return {}
    binaries = Path(python).parent
    path = request.environment.get("PATH") or os.environ.get("PATH", os.defpath)
    return {"VIRTUAL_ENV": str(binaries.parent), "PATH": _joined(str(binaries), path)}


def _working_directory(request: JobRequest, directory: JobDirectory) -> str:
    if request.plugin_directory is not None:
        return str(directory.code)
    return request.working_directory or str(directory.path)


def _joined(*parts: str) -> str:
    return os.pathsep.join(part for part in parts if part)
