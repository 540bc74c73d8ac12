"""From a request and its GPUs to what the shim runs: commands, directories, environment."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cockpit import paths, secret_names
from cockpit.agent.environments.choice import Environment, choose, need_of
from cockpit.agent.jobs.executor import Grant, Stage, Start
from cockpit.agent.jobs.services import KEY, PORT
from cockpit.agent.jobs.store import JobDirectory, Spec
from cockpit.model import JobRequest
from cockpit.settings import EnvironmentSettings

TIME_LIMIT_MOST_S = 1e10
PRIORITY_MOST = 1000
RETRIES_MOST = 100
ARRAY_MOST = 1000
INDEX_MOST = 1_000_000_000
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
    wrong = _wrong_numbers(request)
    if wrong:
        return wrong
    wrong = _wrong_secrets(request)
    if wrong:
        return wrong
    if request.working_directory is not None and request.snapshot_directory is not None:
        return "a job runs in a directory or in a copy of one, not both"
    directories = (request.plugin_directory, request.working_directory, request.snapshot_directory)
    for directory in directories:
        if directory is not None and not (
            Path(directory).is_absolute() and Path(directory).is_dir()
        ):
            return f"{directory} is not a directory on this box: give an absolute path to one"
    return ""


def _wrong_secrets(request: JobRequest) -> str:
    for name in request.secrets:
        problem = secret_names.problem(name)
        if problem:
            return problem
        if name in request.environment:
            return f"{name} is a secret and a plain variable at once: give it one way"
    return ""


def _wrong_numbers(request: JobRequest) -> str:
    """What is wrong with the wish for devices, or with how often to run it."""
    if request.slices and request.gpus not in (0, ()):
        return "a job has whole GPUs or slices, not both: CUDA sees no GPU beside a slice"
    memory = request.gpu_memory_bytes
    if memory is not None and not 0 < memory < 1 << 50:
        return f"{memory} bytes of GPU memory make no sense: give it more than 0"
    if not -PRIORITY_MOST <= request.priority <= PRIORITY_MOST:
        return f"a priority is from -{PRIORITY_MOST} to {PRIORITY_MOST}, not {request.priority}"
    if not 0 <= request.retries <= RETRIES_MOST:
        return f"retries are from 0 to {RETRIES_MOST}, not {request.retries}"
    if len(request.array) > ARRAY_MOST:
        return f"an array has at most {ARRAY_MOST} jobs, not {len(request.array)}"
    if len(set(request.array)) != len(request.array):
        return "the array names an index twice: name each once"
    if any(not 0 <= index <= INDEX_MOST for index in request.array):
        return f"the indices of an array are from 0 to {INDEX_MOST}"
    if request.array_parallel is not None and request.array_parallel < 1:
        return "an array needs at least one job at once"
    return ""


def plan(
    spec: Spec,
    directory: JobDirectory,
    grant: Grant,
    sdk: Path,
    settings: EnvironmentSettings,
    port: int | None = None,
) -> Start:
    """The start of a job on these devices. A plugin's `python` is that of its environment.

    `port` is that of a service; its key comes as a secret. Raises OSError if the job cannot be led
    to its environment.
    """
    request = spec.request
    need = need_of(request, directory.code, settings)
    chosen = choose(need, settings, environments_dir(), directory.path)
    command = request.command
    if request.plugin is not None and command[0] in PYTHONS:
        command = (chosen.python, *command[1:])
    environment = {
        "PYTHONUNBUFFERED": "1",
        **request.environment,
        **_activated(chosen, request),
        "PYTHONPATH": _joined(str(sdk), request.environment.get("PYTHONPATH", "")),
        "CUDA_VISIBLE_DEVICES": ",".join((*grant.gpus, *grant.slices)),
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "COCKPIT_JOB_ID": spec.id,
        "COCKPIT_JOB_DIR": str(directory.path),
        "COCKPIT_PARAMETERS": str(directory.path / "parameters.json"),
        "COCKPIT_EVENTS": str(directory.events),
        **_array_environment(spec),
        **({} if port is None else {PORT: str(port)}),
    }
    where = _working_directory(request, directory)
    names = request.secrets if port is None else (*request.secrets, KEY)
    workload = Stage(command, where, environment, secrets=names)
    if chosen.build is None:
        return Start((workload,), grant, request.time_limit_s)
    mark = {name: environment[name] for name in ("COCKPIT_JOB_ID", "COCKPIT_JOB_DIR")}
    build = Stage(chosen.build.command, chosen.build.directory, mark, chosen.build.text)
    return Start((build, workload), grant, request.time_limit_s)


def _array_environment(spec: Spec) -> dict[str, str]:
    if spec.array is None:
        return {}
    return {
        "COCKPIT_ARRAY_ID": spec.array.id,
        "COCKPIT_ARRAY_INDEX": str(spec.array.index),
        "COCKPIT_ARRAY_SIZE": str(spec.array.size),
    }


def environments_dir() -> Path:
    """Where this user's environments are, whatever agent built them."""
    return paths.cache_dir() / "environments"


def _activated(chosen: Environment, request: JobRequest) -> dict[str, str]:
    """What makes an environment the one that programs are found in."""
    if chosen.python == sys.executable:
        return {}
    path = request.environment.get("PATH") or os.environ.get("PATH", os.defpath)
    active = {"PATH": _joined(str(Path(chosen.python).parent), path)}
    return active if chosen.prefix is None else {"VIRTUAL_ENV": chosen.prefix, **active}


def _working_directory(request: JobRequest, directory: JobDirectory) -> str:
    if request.plugin_directory is not None:
        return str(directory.code)
    if request.snapshot_directory is not None:
        return str(directory.workdir)
    return request.working_directory or str(directory.path)


def _joined(*parts: str) -> str:
    return os.pathsep.join(part for part in parts if part)
