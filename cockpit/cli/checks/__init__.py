"""What `cockpit doctor` looks at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. A problem keeps cockpit from working as it should here."""

    name: str
    level: Literal["ok", "warning", "problem"]
    text: str
    advice: str = ""
