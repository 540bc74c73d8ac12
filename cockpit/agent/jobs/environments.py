"""Which Python a workload runs in: the agent's own if it has all that is required, else one of its own."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cockpit.agent.jobs import build_environment
from cockpit.agent.jobs.executor import Stage

_REQUIREMENT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*(.*)", re.DOTALL)
_CLAUSE = re.compile(r"(==|>=|<=|!=|>|<)\s*([0-9][^\s,]*)")
_VERSION = re.compile(r"v?(\d+(?:\.\d+)*)")


@dataclass(frozen=True)
class Environment:
    """A Python to run in, and how to build it first where that is still to be done."""

    python: str
    build: Stage | None = None


def choose(requires: Sequence[str], cache: Path, job_directory: Path) -> Environment:
    """The environment for a set of requirements; `cache` holds those that were built before."""
    if all(satisfied(requirement) for requirement in requires):
        return Environment(sys.executable)
    directory = cache / key(requires)
    python = str(directory / "bin" / "python")
    if build_environment.is_whole(directory):
        return Environment(python)
    explanation = str(job_directory / "explanation.txt")
    script = str(Path(build_environment.__file__))
    command = (sys.executable, "-I", script, str(directory), explanation, *requires)
    return Environment(
        python, Stage(command, str(job_directory), {}, "building its environment (first use)")
    )


def key(requires: Sequence[str]) -> str:
    """Names one environment: the same requirements for the same Python give the same one."""
    parts = [
        *sorted({re.sub(r"\s+", "", requirement) for requirement in requires}),
        sys.version,
        os.uname().machine,
        sys.executable,
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def satisfied(requirement: str) -> bool:
    """True if this very Python surely has what `requirement` asks for.

    Understands a name, extras (ignored) and the clauses == != >= <= > <, with `.*` after ==. What it
    does not understand, such as a marker or a URL, counts as not satisfied: an environment of its own
    is always right, only slower.
    """
    # Half the import time of the whole agent, and most jobs require nothing.
    import importlib.metadata

    match = _REQUIREMENT.fullmatch(requirement.strip())
    if match is None:
        return False
    name, clauses = match[1], [clause.strip() for clause in match[2].split(",") if clause.strip()]
    try:
        installed = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return all(_holds(clause, installed) for clause in clauses)


def _holds(clause: str, installed: str) -> bool:
    match = _CLAUSE.fullmatch(clause)
    if match is None:
        return False
    operator, wanted = match[1], match[2]
    if wanted == installed:
        return operator in ("==", ">=", "<=")
    if wanted.endswith(".*"):
        prefix, have = _key(wanted[:-2]), _key(installed)
        if operator not in ("==", "!=") or prefix is None or have is None:
            return False
        length = len(wanted[:-2].split("."))
        same = _padded(have, length)[:length] == _padded(prefix, length)
        return same == (operator == "==")
    have, want = _key(installed), _key(wanted)
    if have is None or want is None:
        return False
    return {
        "==": have == want,
        "!=": have != want,
        ">=": have >= want,
        "<=": have <= want,
        ">": have > want,
        "<": have < want,
    }[operator]


def _key(version: str) -> tuple[int, ...] | None:
    """Sorts final releases; None for anything else, such as a pre-release."""
    match = _VERSION.fullmatch(version.strip().partition("+")[0])
    if match is None:
        return None
    numbers = [int(part) for part in match[1].split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _padded(numbers: tuple[int, ...], length: int) -> tuple[int, ...]:
    return numbers + (0,) * (length - len(numbers))
