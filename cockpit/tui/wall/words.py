"""Figures and states in the few cells that the wall has for them: its columns and badges."""

from __future__ import annotations

from cockpit.model import Gpu, Job, Process, Slice
from cockpit.tui.phrases import GIB, NONE, time_of_day, worst

KWH = 3.6e6

_WORDS = {
    "lost": "LOST",
    "thermal_slowdown": "HOT",
    "margin": "warm",
    "memory_temperature": "warm",
    "power_brake": "BRAKE",
    "hw_slowdown": "SLOW",
    "ecc": "ECC",
    "ecc_corrected": "ecc",
    "remap_pending": "remap",
    "remap_failed": "REMAP",
    "recovery": "reset",
    "xid": "XID",
    "nvlink": "link",
    "pcie": "pcie",
    "orphan_memory": "held",
    "idle_hold": "idle",
    "stuck": "stuck",
}
"""At most five letters for a reason's code; capitals are for what cannot wait."""

_THROTTLES = (
    ("hw_thermal", "HOT", "warning"),
    ("sw_thermal", "HOT", "warning"),
    ("power_brake", "BRAKE", "warning"),
    ("hw_slowdown", "SLOW", "warning"),
    ("power_cap", "cap", "muted"),
    ("board_limit", "board", "muted"),
    ("reliability", "volt", "muted"),
    ("sync_boost", "sync", "muted"),
)


def number(value: float | None, width: int = 0) -> str:
    """A whole number, right-aligned; a dash if there is none."""
    text = NONE if value is None else f"{value:.0f}"
    return text.rjust(width)


def gib(value: float | None, width: int = 0) -> str:
    """Bytes as whole GiB with a G."""
    return (NONE if value is None else f"{value / GIB:.0f}G").rjust(width)


def rate(value: float | None) -> str:
    """Bytes per second as GB/s in at most four characters."""
    if value is None:
        return NONE
    giga = value / 1e9
    return f"{giga:.1f}" if giga < 9.95 else f"{giga:.0f}"


def kilowatts(value: float | None) -> str:
    """Watts as kW with two digits."""
    return NONE if value is None else f"{value / 1000:.2f}"


def mark(gpu: Gpu) -> tuple[str, str]:
    """The state of a GPU in a word of at most five letters, and the colour to write it in."""
    if gpu.state == "lost":
        return "LOST", "*error"
    reason = worst(gpu)
    if reason is not None and reason.severity != "info":
        color = "*error" if reason.severity == "critical" else "*warning"
        if reason.code == "pcie" and gpu.pcie_width:
            return f"x{gpu.pcie_width}", color
        return _WORDS.get(reason.code, reason.code[:5]), color
    for name, word, color in _THROTTLES:
        if name in gpu.throttle_reasons:
            return word, color
    if gpu.utilization_percent == 0 and not gpu.mig_enabled:
        return "idle", "muted"
    return "", "muted"


def work(gpu: Gpu, job: Job | None) -> tuple[str, str]:
    """What a GPU does, in a few words, and their colour."""
    if gpu.state == "lost":
        since = f"since {time_of_day(gpu.lost_since_s, seconds=False)}" if gpu.lost_since_s else ""
        return since, "error"
    if job is not None:
        return f"#{job.id} {job.name}", "foreground"
    users = sorted({process.user or "someone" for process in all_processes(gpu)})
    if users:
        return "EXTERNAL " + " ".join(users), "muted"
    return "free", "muted"


def all_processes(gpu: Gpu) -> tuple[Process, ...]:
    """Processes of the GPU and of its slices."""
    return gpu.processes + tuple(p for part in gpu.slices for p in part.processes)


def slice_name(part: Slice) -> str:
    """A MIG profile without its memory: 3g."""
    return part.profile.split(".")[0]
