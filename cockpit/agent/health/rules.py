"""What makes a GPU other than ok: one rule each, from a reading to a reason in plain words.

A rule looks at this moment only (and at what its Watch remembers); how long something must last
before it is told stands in `codes.py`. Texts are at most 60 characters.
"""

from __future__ import annotations

from collections.abc import Callable

from cockpit.agent.health import xids
from cockpit.agent.health.watch import Watch
from cockpit.model import BoxInfo, Gpu, Reason, Severity
from cockpit.settings import Thresholds

Rule = Callable[[Gpu, Watch, Thresholds, float], "Reason | None"]

_GIB = 1 << 30
_LOST_ERRORS = frozenset({"NVML_ERROR_GPU_IS_LOST", "NVML_ERROR_GPU_NOT_FOUND"})
_HARMLESS = frozenset({"idle", "application_clocks", "power_cap", "sync_boost", "display"})
_XID_TOLD_S = {"info": 300.0, "warning": 3600.0, "critical": 86400.0}
_RANK = {"info": 0, "warning": 1, "critical": 2}
_AIR = "check fans, airflow and the cards beside it"
_SEATING = "check its seating, riser and slot settings"
_ACTIONS: dict[str, tuple[Severity, str, str]] = {
    "reset": ("critical", "needs a reset", "stop its jobs, then reset the GPU"),
    "reboot": ("critical", "needs a reboot of the box", "finish what runs, then reboot"),
    "drain_p2p": ("warning", "must not talk to other GPUs", "stop jobs that span GPUs, then reset"),
    "drain_and_reset": ("warning", "needs a reset when free", "let its jobs end, then reset it"),
}


def no_answer(gpu: Gpu, box: BoxInfo) -> Reason | None:
    """Lost, or a driver that is away or hangs; then nothing else can be judged."""
    errors = gpu.errors
    if gpu.lost_since_s is None and (not errors or gpu.power_w is not None):
        return None
    if gpu.lost_since_s is not None or not _LOST_ERRORS.isdisjoint(errors.values()):
        return _lost(gpu)
    readings = (gpu.temperature_c, gpu.memory_used_bytes, gpu.sm_clock_mhz)
    if any(reading is not None for reading in readings):
        return None
    if box.problem is not None:
        text = f"GPU {gpu.index} has no readings: the driver is away"
        return Reason("driver", "critical", text, box.advice or "")
    text = f"the driver does not answer for GPU {gpu.index}"
    return Reason("stuck", "critical", text, "see dmesg; if it lasts, reboot")


def _lost(gpu: Gpu) -> Reason:
    advice = xids.describe(xids.FELL_OFF_THE_BUS).advice
    text = f"GPU {gpu.index} is lost to the driver"
    if gpu.last_xid == xids.FELL_OFF_THE_BUS:
        text = xids.sentence(gpu.index, xids.FELL_OFF_THE_BUS)
    return Reason("lost", "critical", text, advice, gpu.lost_since_s)


def thermal_slowdown(gpu: Gpu, watch: Watch, limits: Thresholds, now_s: float) -> Reason | None:
    """The hardware's slowdown halves the clocks; the driver's takes only as much as it needs."""
    reasons = gpu.throttle_reasons
    if not reasons or _HARMLESS.issuperset(reasons):
        return None
    margin = gpu.thermal_margin_c
    left = "" if margin is None else f", {margin:.0f} °C of margin"
    if "hw_thermal" in reasons:
        text = f"GPU {gpu.index} is slowed hard by heat{left}"
        return Reason("thermal_slowdown", "critical", text, _AIR)
    if "sw_thermal" in reasons:
        text = f"GPU {gpu.index} is slowed by heat{left}"
        return Reason("thermal_slowdown", "warning", text, _AIR)
    return None


def power_brake(gpu: Gpu, watch: Watch, limits: Thresholds, now_s: float) -> Reason | None:
    """Something outside the card, such as the power supply, tells it to draw less."""
    if "power_brake" not in gpu.throttle_reasons:
        return None
    text = f"GPU {gpu.index} is braked from outside (power brake)"
    return Reason("power_brake", "critical", text, "check the power supply and its cables")


def hw_slowdown(gpu: Gpu, watch: Watch, limits: Thresholds, now_s: float) -> Reason | None:
    """A hardware slowdown that names neither heat nor power."""
    reasons = gpu.throttle_reasons
    if "hw_slowdown" not in reasons or "hw_thermal" in reasons or "power_brake" in reasons:
        return None
    text = f"GPU {gpu.index} is slowed by its hardware"
    return Reason("hw_slowdown", "warning", text, "check power and cooling")


def margin(gpu: Gpu, watch: Watch, limits: Thresholds, now_s: float) -> Reason | None:
    left = gpu.thermal_margin_c
    if left is None or left > limits.margin_warning_c:
        return None
    if left <= limits.margin_critical_c:
        text = f"GPU {gpu.index} has no thermal margin left"
        return Reason("margin", "critical", text, _AIR)
    text = f"GPU {gpu.index} has {left:.0f} °C left before it slows down"
    return Reason("margin", "warning", text, _AIR)


def memory_temperature(gpu: Gpu, watch: Watch, limits: Thresholds, now_s: float) -> Reason | None:
    heat = gpu.memory_temperature_c
    if heat is None or heat < limits.memory_temperature_warning_c:
        return None
    text = f"memory of GPU {gpu.index} is at {heat:.0f} °C"
    return Reason("memory_temperature", "warning", text, _AIR)


def ecc(gpu: Gpu, watch: Watch, limits: Thresholds, now_s: float) -> Reason | None:
    count = gpu.ecc_uncorrected
    if not count:
        return None
    errors = "error" if count == 1 else "errors"
    text = f"GPU {gpu.index} has {count} uncorrected memory {errors}"
    return Reason("ecc", "critical", text, "stop its jobs, then reset the GPU")


def ecc_corrected(gpu: Gpu, watch: Watch, limits: Thresholds, now_s: float) -> Reason | None:
    if gpu.ecc_corrected is None:
        return None
    growth = watch.corrected_in_an_hour(gpu.ecc_corrected, now_s)
    if growth < limits.ecc_corrected_per_hour_warning:
        return None
    text = f"GPU {gpu.index} corrected {growth} memory errors in an hour"
    return Reason("ecc_corrected", "warning", text, "watch it; if it goes on, replace the card")


def remap(gpu: Gpu, watch: Watch, limits: Thresholds, now_s: float) -> Reason | None:
    if gpu.remap_failed:
        text = f"GPU {gpu.index} could not remap a memory row"
        return Reason("remap_failed", "critical", text, "reset it; if it stays, replace the card")
    if gpu.remap_pending:
        text = f"GPU {gpu.index} has a memory row remap pending"
        return Reason("remap_pending", "warning", text, "reset the GPU when it is free")
    return None


def recovery(gpu: Gpu, watch: Watch, limits: Thresholds, now_s: float) -> Reason | None:
    """NVML's own verdict."""
    action = gpu.recovery_action
    if action is None or action == "none":
        return None
    unknown: tuple[Severity, str, str] = ("warning", f"asks for: {action}", "see nvidia-smi -q")
    severity, text, advice = _ACTIONS.get(action, unknown)
    return Reason("recovery", severity, f"GPU {gpu.index} {text}"[:60], advice)


def xid(gpu: Gpu, watch: Watch, limits: Thresholds, now_s: float) -> Reason | None:
    """The worst XID of late. An application's own fault is told for some minutes only."""
    if not watch.xids:
        return None
    worst: tuple[int, float, xids.Xid] | None = None
    for number, reported_s in watch.xids.items():
        known = xids.describe(number)
        if now_s - reported_s >= _XID_TOLD_S[known.severity]:
            continue
        if worst is None or (_RANK[known.severity], reported_s) > worst[:2]:
            worst = (_RANK[known.severity], reported_s, known)
    if worst is None:
        return None
    _, reported_s, known = worst
    # Where NVML says that nothing is to be done, the worst is over.
    severe = known.severity == "critical" and gpu.recovery_action != "none"
    return Reason(
        "xid",
        "critical" if severe else "warning",
        xids.sentence(gpu.index, known.number),
        known.advice,
        reported_s,
    )


def pcie(gpu: Gpu, watch: Watch, limits: Thresholds, now_s: float) -> Reason | None:
    """A link that is too narrow, told only while the GPU is busy: that is when it costs something."""
    most = watch.info.pcie_width_max if watch.info else None
    width = gpu.pcie_width
    if width is None or most is None or width >= most or not _works(gpu, watch, limits):
        return None
    text = f"GPU {gpu.index} runs PCIe x{width} instead of x{most}"
    return Reason("pcie", "warning", text, _SEATING)


def pcie_generation(gpu: Gpu, watch: Watch, limits: Thresholds, now_s: float) -> Reason | None:
    """Only while it is busy: an idle link slows down by itself."""
    most = watch.info.pcie_generation_max if watch.info else None
    generation = gpu.pcie_generation
    if generation is None or most is None or generation >= most or not _works(gpu, watch, limits):
        return None
    text = f"GPU {gpu.index} runs PCIe gen {generation} instead of gen {most}"
    return Reason("pcie_generation", "warning", text, _SEATING)


def _works(gpu: Gpu, watch: Watch, limits: Thresholds) -> bool:
    busy = watch.busy_percent(gpu)
    return busy is not None and busy >= limits.pcie_utilization_percent


def nvlink(gpu: Gpu, watch: Watch, limits: Thresholds, now_s: float) -> Reason | None:
    down = watch.links_down(gpu)
    if not down:
        return None
    text = f"GPU {gpu.index} has {down} of {len(gpu.nvlinks)} NVLinks down"
    return Reason("nvlink", "warning", text, "check the bridge, then reset the GPU")


def orphan_memory(gpu: Gpu, watch: Watch, limits: Thresholds, now_s: float) -> Reason | None:
    """Memory in use while nothing runs, and no process to show for it."""
    used = gpu.memory_used_bytes
    if used is None or used < limits.orphan_memory_bytes or "processes" in gpu.errors:
        return None
    if watch.busy_percent(gpu) != 0:
        return None
    holders = {process.pid: process.memory_used_bytes for process in gpu.processes}
    for each in gpu.slices:
        holders.update((process.pid, process.memory_used_bytes) for process in each.processes)
    shown = 0
    for held in holders.values():
        if held is None:
            return None
        shown += held
    if used - shown < limits.orphan_memory_bytes:
        return None
    text = f"GPU {gpu.index} holds {_gib(used - shown)} that no process shows"
    return Reason("orphan_memory", "warning", text, f"fuser -v /dev/nvidia{gpu.index} may name it")


def idle_hold(gpu: Gpu, watch: Watch, limits: Thresholds, now_s: float) -> Reason | None:
    """A process that keeps memory while the GPU does nothing."""
    busy = watch.busy_percent(gpu)
    if busy is None or busy > 0 or not (gpu.processes or gpu.slices):
        watch.busy_s = now_s
        return None
    idle_s = now_s - watch.busy_s
    if idle_s < limits.idle_hold_s or not gpu.memory_used_bytes:
        return None
    if not gpu.processes and not any(each.processes for each in gpu.slices):
        return None
    text = f"GPU {gpu.index} idle for {_hours(idle_s)} with {_gib(gpu.memory_used_bytes)} held"
    return Reason("idle_hold", "info", text, "end what holds it, if nobody needs it", watch.busy_s)


def _gib(size: int) -> str:
    return f"{size / _GIB:.0f} GiB" if size >= 10 * _GIB else f"{size / _GIB:.1f} GiB"


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.0f} h" if seconds >= 3600 else f"{seconds / 60:.0f} min"


RULES: tuple[Rule, ...] = (
    power_brake,
    thermal_slowdown,
    hw_slowdown,
    margin,
    memory_temperature,
    ecc,
    ecc_corrected,
    remap,
    recovery,
    xid,
    pcie,
    pcie_generation,
    nvlink,
    orphan_memory,
    idle_hold,
)
"""In the order in which reasons of the same severity are told."""
