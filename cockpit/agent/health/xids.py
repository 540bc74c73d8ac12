"""What an XID means and what to do about it, from NVIDIA's XID catalogue."""

from __future__ import annotations

from dataclasses import dataclass

from cockpit.model import Severity

FELL_OFF_THE_BUS = 79


@dataclass(frozen=True)
class Xid:
    """One entry of the catalogue."""

    number: int
    meaning: str
    """Reads on from the GPU's name: `GPU 3` + `fell off the bus`."""
    advice: str
    severity: Severity
    """info: the application's own fault · warning: keep an eye on it · critical: the GPU needs you."""


_RESET = "stop its jobs, then reset the GPU"
_RESTART = "restart the application; usually its own bug"

_CATALOGUE = {
    xid.number: xid
    for xid in (
        Xid(8, "stopped processing", _RESTART, "info"),
        Xid(13, "had a graphics exception", _RESTART, "info"),
        Xid(31, "had a memory page fault", _RESTART, "info"),
        Xid(32, "got a corrupted push buffer", _RESTART, "info"),
        Xid(43, "stopped processing", "nothing: the application's fault", "info"),
        Xid(45, "cleaned up after an application", "follow the XID before it", "info"),
        Xid(48, "had a double-bit ECC error", _RESET, "critical"),
        Xid(62, "halted its micro-controller", _RESET, "critical"),
        Xid(63, "remapped a memory row", "nothing now; a reset makes it take effect", "warning"),
        Xid(64, "failed to remap a memory row", _RESET, "critical"),
        Xid(69, "had a graphics engine error", _RESTART, "info"),
        Xid(74, "had an NVLink error", "check the link or bridge, then reset", "critical"),
        Xid(
            FELL_OFF_THE_BUS,
            "fell off the bus",
            "check power and seating, then reboot",
            "critical",
        ),
        Xid(92, "had many single-bit ECC errors", "watch it; if it goes on, support", "warning"),
        Xid(94, "contained a memory error", "restart the application", "warning"),
        Xid(95, "had an uncontained memory error", _RESET, "critical"),
        Xid(109, "timed out on a context switch", _RESET, "critical"),
        Xid(119, "had a GSP timeout", _RESET, "critical"),
        Xid(120, "had a GSP error", _RESET, "critical"),
        Xid(140, "had an unrecovered ECC error", _RESET, "critical"),
        Xid(143, "failed to initialize", _RESET, "critical"),
        Xid(154, "changed its recovery action", "do what its recovery action says", "warning"),
    )
}


def describe(xid: int) -> Xid:
    """The catalogue's entry; an XID that is not in it is a warning that says where to look."""
    known = _CATALOGUE.get(xid)
    if known is not None:
        return known
    return Xid(xid, "reported an error", "look it up in NVIDIA's XID catalogue", "warning")


def sentence(gpu_index: int, xid: int) -> str:
    """`GPU 3 fell off the bus (XID 79)`: at most 60 characters for every entry."""
    return f"GPU {gpu_index} {describe(xid).meaning} (XID {xid})"
