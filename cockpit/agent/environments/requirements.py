"""Requirements, as far as they must be understood here: is this installed, and is it new enough?"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

_REQUIREMENT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*(.*)", re.DOTALL)
_CLAUSE = re.compile(r"(==|>=|<=|!=|>|<)\s*([0-9][^\s,]*)")
_VERSION = re.compile(r"v?(\d+(?:\.\d+)*)")

Versions = Callable[[str], str | None]
"""The installed version of a distribution by its normal name; None if it is not installed."""


def installed_here(name: str) -> str | None:
    """The version that this very Python has."""
    # Half the import time of the whole agent, and most jobs require nothing.
    import importlib.metadata

    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def all_installed_here() -> str:
    """Every distribution of this Python, as the lines of a lock."""
    import importlib.metadata

    found = {
        normal_name(each.metadata["Name"]): each.version
        for each in importlib.metadata.distributions()
        if each.metadata["Name"]
    }
    return "".join(f"{name}=={version}\n" for name, version in sorted(found.items()))


def normal_name(name: str) -> str:
    """As PEP 503 has it: small letters, one dash."""
    return re.sub(r"[-_.]+", "-", name).lower()


def name_of(requirement: str) -> str | None:
    """Which distribution a requirement is about; None if that cannot be seen."""
    match = _REQUIREMENT.fullmatch(requirement.strip())
    return None if match is None else normal_name(match[1])


def missing(requires: Iterable[str], versions: Versions) -> tuple[str, ...]:
    """Those requirements that an environment with these versions does not surely have."""
    return tuple(each for each in requires if not satisfied(each, versions))


def satisfied(requirement: str, versions: Versions = installed_here) -> bool:
    """True if `versions` surely have what `requirement` asks for.

    Understands a name, extras (ignored) and the clauses == != >= <= > <, with `.*` after ==. What it
    does not understand, such as a marker or a URL, counts as not satisfied: an environment of its own
    is always right, only slower.
    """
    match = _REQUIREMENT.fullmatch(requirement.strip())
    if match is None:
        return False
    clauses = [clause.strip() for clause in match[2].split(",") if clause.strip()]
    installed = versions(normal_name(match[1]))
    return installed is not None and all(_holds(clause, installed) for clause in clauses)


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
