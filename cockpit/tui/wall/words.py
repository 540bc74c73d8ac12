"""Figures and states in the few cells that the wall has for them."""

from __future__ import annotations

import time
import unicodedata

from rich.cells import cell_len, set_cell_size

from cockpit.model import Gpu, Job, Process, Reason, Slice

NONE = "—"
GIB = 1 << 30
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


def clock(time_s: float, seconds: bool = True) -> str:
    """Local time of day."""
    return time.strftime("%H:%M:%S" if seconds else "%H:%M", time.localtime(time_s))


def span(seconds: float) -> str:
    """A length of time in its largest fitting units: 12 s, 5 min, 3 h, 2 d."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def remaining(seconds: float) -> str:
    """A time to go, as `1:05 h` or `12 min`."""
    if seconds >= 3600:
        return f"{int(seconds // 3600)}:{int(seconds % 3600 // 60):02d} h"
    return span(seconds)


def clip(text: str, width: int) -> str:
    """Foreign text made safe for one line of at most `width` cells, with `…` where it was cut."""
    if width <= 0:
        return ""
    if not text.isprintable():
        text = "".join(" " if unicodedata.category(c)[0] == "C" else c for c in text)
    if text.isascii():
        return text if len(text) <= width else text[: width - 1] + "…"
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1) + "…"


def wrap(text: str, width: int, lines: int) -> list[str]:
    """`text` on at most `lines` lines of `width` cells, broken at spaces."""
    rows: list[str] = []
    rest = " ".join(text.split())
    while rest and len(rows) < lines:
        if cell_len(rest) <= width or len(rows) == lines - 1:
            rows.append(clip(rest, width))
            return rows
        cut = rest.rfind(" ", 0, width + 1)
        cut = cut if cut > width // 2 else width
        rows.append(clip(rest[:cut].rstrip(), width))
        rest = rest[cut:].lstrip()
    return rows


def worst(gpu: Gpu) -> Reason | None:
    """The reason to name first."""
    order = {"critical": 0, "warning": 1, "info": 2}
    return min(gpu.reasons, key=lambda reason: order[reason.severity], default=None)


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
        since = f"since {clock(gpu.lost_since_s, seconds=False)}" if gpu.lost_since_s else ""
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
