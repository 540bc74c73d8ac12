"""Roles: what somebody who comes in through `cockpit serve` may do.

They are enforced where a session's requests pass, in `cockpit.serve.gate`; whatever a screen or a
command does has to go through there. A workload runs as the user of the box, so an operator, who
may launch one, can do whatever that user can: the role keeps from accidents, not from malice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from cockpit.protocol import METHODS

Role = Literal["viewer", "operator", "admin"]
ROLES: tuple[Role, ...] = ("viewer", "operator", "admin")
MEANING: Mapping[Role, str] = {
    "viewer": "looks",
    "operator": "starts and stops jobs and processes too",
    "admin": "everything",
}

_LOOKS = frozenset(
    {
        *("hello", "box", "snapshot", "subscribe", "seen", "history", "energy", "events"),
        *("job.list", "job.show", "job.log", "job.search", "job.events", "job.metrics"),
        *("job.frame", "job.image", "job.table", "job.text", "job.prospect", "usage"),
        *("environment.list", "environment.find"),
    }
)
"""Methods that change nothing, and show nothing that was not made to be shown."""
_RULES = frozenset({"shutdown", "simulate.fault", "environment.remove"})
"""Methods that only an admin may call; so may be whatever this cockpit does not know."""

VIEWER_COMMANDS = frozenset(
    {"status", "history", "events", "jobs", "job", "logs", "show", "wait", "usage"}
)
ADMIN_COMMANDS = frozenset({"agent", "hosts", "serve"})
"""Those that are about this machine or others, and not about its box."""
VIEWER_OPTIONS = frozenset({"--output", "-o"})
"""Of the viewer's commands, the options that would write here."""


@dataclass(frozen=True)
class Person:
    """Who is at the other end of a session, as the key they came with says."""

    name: str
    role: Role
    fingerprint: str = ""
    address: str = ""


def may(role: Role, needed: Role) -> bool:
    """Whether a role is at least the one that is needed."""
    return ROLES.index(role) >= ROLES.index(needed)


def role_for_method(method: str) -> Role:
    """The least role that may call a method of the protocol."""
    if method in _LOOKS:
        return "viewer"
    return "admin" if method in _RULES or method not in METHODS else "operator"


def role_for_command(name: str) -> Role:
    """The least role that may run a command of cockpit."""
    if name in VIEWER_COMMANDS:
        return "viewer"
    return "admin" if name in ADMIN_COMMANDS else "operator"
