"""Which variables of a job may be secrets."""

from __future__ import annotations

import re

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OWN = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")


def problem(name: str) -> str:
    """Why a variable of that name cannot be a secret; empty if it can.

    The text does not repeat what is no name: it may be a value that was put in the wrong place.
    """
    if not _NAME.fullmatch(name):
        return "a secret's name has letters, digits and _ only, and begins with no digit"
    if name in _OWN or name.startswith("COCKPIT_"):
        return f"{name} is set by cockpit itself, so it cannot be a secret"
    return ""
