"""Which plugins of a family can share one environment, and why the others cannot."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from cockpit.agent.environments.explain import BuildError
from cockpit.agent.environments.need import Need
from cockpit.agent.environments.requirements import name_of

DIVIDING = ("conflict", "version", "python", "requirement")
"""Kinds of failure that are the requirements' own: without one of the plugins it may go well."""

Members = Mapping[str, tuple[str, ...]]


def share(need: Need, apart: Mapping[str, str]) -> Need:
    """The need once it is known who cannot share: with the others that can, or alone."""
    if not need.members:
        return need
    if need.plugin in apart:
        return need.alone()
    return need.shared_by(frozenset(need.members) - frozenset(apart))


def divide(members: Members, resolve: Callable[[Sequence[str]], object]) -> dict[str, str]:
    """Plugin → why it cannot share. By name, each one that can joins those before it.

    `resolve` raises BuildError for requirements that cannot be had together.
    """
    apart: dict[str, str] = {}
    together: dict[str, tuple[str, ...]] = {}
    for plugin in sorted(members):
        everyone = [*together.values(), members[plugin]]
        try:
            resolve([each for requires in everyone for each in requires])
        except BuildError as error:
            if error.failure.kind not in DIVIDING:
                raise
            apart[plugin] = _reason(plugin, members[plugin], together, error)
        else:
            together[plugin] = members[plugin]
    return apart


def _reason(plugin: str, requires: Sequence[str], others: Members, error: BuildError) -> str:
    wanted = {name: each for each in requires if (name := name_of(each))}
    for other, theirs in others.items():
        for each in theirs:
            mine = wanted.get(name_of(each) or "")
            if mine is not None and mine != each:
                return f"{plugin} requires {mine}, and {other} requires {each}"
    return f"{plugin} and {', '.join(others)}: {error}" if others else f"{plugin}: {error}"
