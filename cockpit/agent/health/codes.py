"""How long each reason must last before it is told and before it is over, and its events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

EventKind = Literal["throttle", "lost", "alert"]


@dataclass(frozen=True)
class Code:
    """How a reason comes and goes."""

    over: str
    """Told when it ends; reads on from `GPU 3`."""
    event: EventKind | None = "alert"
    """None where the source has told it already."""
    begins_after_s: float = 0.0
    ends_after_s: float = 10.0
    begun: str | None = None
    """Told when it begins, where that is not the reason's own text; reads on from `GPU 3`."""


CODES: Mapping[str, Code] = {
    # An XID has often said why already; the event says what became of it.
    "lost": Code("answers again", event="lost", ends_after_s=0.0, begun="no longer answers"),
    "driver": Code("", event=None, ends_after_s=0.0),
    # At the start a slow driver needs a moment for the first reading.
    "stuck": Code("answers the driver again", begins_after_s=2.0, ends_after_s=3.0),
    "thermal_slowdown": Code("is no longer slowed by heat", event="throttle"),
    "power_brake": Code("is no longer braked from outside", event="throttle"),
    "hw_slowdown": Code("is no longer slowed by its hardware", "throttle", begins_after_s=3.0),
    # Heat is slow: a figure that is reached is no spike.
    "margin": Code("has thermal margin again"),
    "memory_temperature": Code("has cooler memory again"),
    "ecc": Code("has no uncorrected memory errors now", ends_after_s=0.0),
    "ecc_corrected": Code("corrects few memory errors again", ends_after_s=60.0),
    "remap_failed": Code("has no failed row remap now", ends_after_s=0.0),
    "remap_pending": Code("has no pending row remap now", ends_after_s=0.0),
    "recovery": Code("needs no recovery now", ends_after_s=0.0),
    "xid": Code("", event=None, ends_after_s=0.0),
    # A busy GPU pauses now and then; its link is judged over a minute of work.
    "pcie": Code("has its full PCIe width again", begins_after_s=3.0, ends_after_s=60.0),
    # It is read every few seconds only, and may still be that of the idle link.
    "pcie_generation": Code("runs PCIe at full speed", begins_after_s=15.0, ends_after_s=60.0),
    "nvlink": Code("has all its NVLinks again", begins_after_s=2.0),
    # Processes are read less often than memory: a new one needs time to show.
    "orphan_memory": Code("holds no unexplained memory now", begins_after_s=20.0),
    "idle_hold": Code("is no longer held idle", event=None, ends_after_s=0.0),
}
