"""Families of plugins: those that name the same `environment` share one, made for all of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from cockpit.model import FamilyMember
from cockpit.plugins.model import Plugin

LOCK = "requirements.lock"
"""A file beside plugin.toml: exactly these versions, and no others."""

NAME = re.compile(r"[a-z][a-z0-9_-]*")


def check_family(name: object, has_lock: bool) -> str | None:
    """The `environment` of a plugin.toml. Raises ValueError that says what it wants."""
    if name is None:
        return None
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError(
            f"environment: got {name!r}, wants a family's name: small letters, digits, - and _"
        )
    if has_lock:
        raise ValueError(
            f"environment: a family is resolved together, and {LOCK} fixes the versions of this"
            " plugin alone; take one of the two away"
        )
    return name


def with_family(plugin: Plugin, others: Iterable[Plugin]) -> Plugin:
    """The plugin, knowing every one of `others` that shares its environment."""
    if plugin.environment is None:
        return plugin
    members = {other.name: other for other in others if other.environment == plugin.environment}
    members[plugin.name] = plugin
    family = tuple(FamilyMember(name, members[name].requires) for name in sorted(members))
    return replace(plugin, family=family)
