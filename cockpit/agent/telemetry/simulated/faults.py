"""Faults on request: what each does to a card, and the XIDs that a real card would give with it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cockpit.agent.health.xids import FELL_OFF_THE_BUS, describe
from cockpit.agent.telemetry.simulated.card import Card
from cockpit.errors import UsageError

KINDS = ("lost", "hot", "ecc", "xid", "link", "slow")
_GSP_TIMEOUT = 119
_DOUBLE_BIT = 48
_NVLINK_ERROR = 74
_KIND = re.compile(r"(lost|hot|ecc|xid|link|slow)|xid(\d{1,3})", re.ASCII)


@dataclass(frozen=True)
class Fault:
    """One fault of one GPU; `xid` is the number that the `xid` fault reports."""

    gpu_index: int
    kind: str
    xid: int = _GSP_TIMEOUT


@dataclass
class Condition:
    """What is wrong with a card, apart from its physics."""

    lost_since_s: float | None = None
    ecc_corrected: int = 0
    ecc_uncorrected: int = 0
    remapped_rows: int = 0
    remap_pending: bool = False
    recovery_action: str = "none"
    dead_link: int | None = None
    link_errors: int = 0
    last_xid: int | None = None
    last_xid_s: float | None = None


def parse_fault(text: str, gpu_count: int) -> Fault:
    """`3:lost`, `4:xid`, `4:xid79`. Raises UsageError."""
    index, _, kind = text.partition(":")
    if not (index.isascii() and index.isdigit()):
        raise UsageError(f"simulated fault {text!r} does not begin with a GPU index", _usage())
    return make_fault(int(index), kind, gpu_count)


def make_fault(gpu_index: int, kind: str, gpu_count: int) -> Fault:
    """Raises UsageError for a GPU or a kind that does not exist."""
    if not 0 <= gpu_index < gpu_count:
        raise UsageError(
            f"simulated fault on GPU {gpu_index}: there is no such GPU",
            f"this box has GPUs 0 to {gpu_count - 1}",
        )
    found = _KIND.fullmatch(kind)
    if found is None:
        raise UsageError(f"simulated fault {kind!r} is unknown", _usage())
    if found[2] is None:
        return Fault(gpu_index, kind)
    number = int(found[2])
    # A card with this XID is one that no longer answers.
    return Fault(gpu_index, "lost" if number == FELL_OFF_THE_BUS else "xid", number)


def begin(fault: Fault, card: Card, condition: Condition, now_s: float) -> tuple[int, ...]:
    """Do to the card what the fault does; returns the XIDs it reports."""
    if fault.kind == "lost":
        if condition.lost_since_s is not None:
            return ()
        condition.lost_since_s = now_s
        return (FELL_OFF_THE_BUS,)
    if fault.kind == "hot":
        card.hot = True
    elif fault.kind == "slow":
        card.slow = True
    elif fault.kind == "ecc":
        condition.ecc_uncorrected += 2
        condition.remapped_rows += 1
        condition.remap_pending = True
        condition.recovery_action = "reset"
        return (_DOUBLE_BIT,)
    elif fault.kind == "link":
        condition.dead_link = 0
        condition.link_errors += 127
        return (_NVLINK_ERROR,)
    else:
        if describe(fault.xid).severity == "critical":
            condition.recovery_action = "reset"
        return (fault.xid,)
    return ()


def end(fault: Fault, card: Card, condition: Condition) -> None:
    """As if the card had been repaired, or reset: its counters begin anew."""
    if fault.kind == "lost":
        condition.lost_since_s = None
    elif fault.kind == "hot":
        card.hot = False
    elif fault.kind == "slow":
        card.slow = False
    elif fault.kind == "ecc":
        condition.ecc_uncorrected = 0
        condition.remap_pending = False
    elif fault.kind == "link":
        condition.dead_link = None
    condition.recovery_action = "none"
    condition.last_xid = condition.last_xid_s = None


def _usage() -> str:
    return f"write GPU:KIND, such as 3:lost or 4:xid79; KIND is one of {', '.join(KINDS)}"
