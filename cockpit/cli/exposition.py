"""A snapshot in Prometheus' text format, under dcgm-exporter's names, labels and units.

Names and units are those of dcgm-exporter's `dcp-metrics-included.csv`, so that dashboards made for
it work: ratios from 0 to 1, memory in MiB, energy in millijoules, violations in nanoseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cockpit.model import THROTTLE_BITS, BoxInfo, Gpu, Snapshot

MIB = 1 << 20


@dataclass(frozen=True)
class Family:
    """One metric family: how to read it from a GPU; None is left out."""

    name: str
    kind: str
    help: str
    value: Callable[[Gpu], float | None]


def _ratio(percent: float | None) -> float | None:
    return None if percent is None else percent / 100


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _memory_free(gpu: Gpu) -> float | None:
    if gpu.memory_total_bytes is None or gpu.memory_used_bytes is None:
        return None
    return (gpu.memory_total_bytes - gpu.memory_used_bytes) / MIB


def _clock_events(gpu: Gpu) -> float | None:
    if gpu.state == "lost" or "throttle_reasons" in gpu.errors:
        return None
    return sum(THROTTLE_BITS.get(reason, 0) for reason in gpu.throttle_reasons)


def _last_xid(gpu: Gpu) -> float | None:
    """dcgm-exporter's convention: 0 says that there was none, so only when that is known."""
    if gpu.last_xid is None and (gpu.state == "lost" or "last_xid" in gpu.errors):
        return None
    return gpu.last_xid or 0


def _violation(*reasons: str) -> Callable[[Gpu], float | None]:
    def value(gpu: Gpu) -> float | None:
        known = [gpu.throttle_times_s[name] for name in reasons if name in gpu.throttle_times_s]
        return sum(known) * 1e9 if known else None

    return value


def _flag(value: bool | None) -> float | None:
    return None if value is None else float(value)


FAMILIES: tuple[Family, ...] = (
    Family(
        "DCGM_FI_DEV_SM_CLOCK", "gauge", "SM clock frequency (in MHz).", lambda g: g.sm_clock_mhz
    ),
    Family(
        "DCGM_FI_DEV_MEM_CLOCK",
        "gauge",
        "Memory clock frequency (in MHz).",
        lambda g: g.memory_clock_mhz,
    ),
    Family(
        "DCGM_FI_DEV_MEMORY_TEMP",
        "gauge",
        "Memory temperature (in C).",
        lambda g: g.memory_temperature_c,
    ),
    Family("DCGM_FI_DEV_GPU_TEMP", "gauge", "GPU temperature (in C).", lambda g: g.temperature_c),
    Family("DCGM_FI_DEV_POWER_USAGE", "gauge", "Power draw (in W).", lambda g: g.power_w),
    Family(
        "DCGM_FI_DEV_POWER_MGMT_LIMIT",
        "gauge",
        "Power limit in force (in W).",
        lambda g: g.power_limit_w,
    ),
    Family(
        "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION",
        "counter",
        "Energy since the driver was loaded (in mJ).",
        lambda g: _times(g.energy_j, 1e3),
    ),
    Family("DCGM_FI_DEV_PCIE_REPLAY_COUNTER", "counter", "PCIe retries.", lambda g: g.pcie_replays),
    Family(
        "DCGM_FI_DEV_GPU_UTIL", "gauge", "GPU utilization (in %).", lambda g: g.utilization_percent
    ),
    Family(
        "DCGM_FI_DEV_XID_ERRORS",
        "gauge",
        "The last XID error; 0 when there was none.",
        _last_xid,
    ),
    Family(
        "DCGM_FI_DEV_CLOCK_THROTTLE_REASONS",
        "gauge",
        "Why the clocks are held down, as NVML's bit mask.",
        _clock_events,
    ),
    Family(
        "DCGM_FI_DEV_POWER_VIOLATION",
        "counter",
        "Time slowed by the power limit (in ns).",
        _violation("power_cap", "power_brake"),
    ),
    Family(
        "DCGM_FI_DEV_THERMAL_VIOLATION",
        "counter",
        "Time slowed by heat (in ns).",
        _violation("sw_thermal", "hw_thermal"),
    ),
    Family(
        "DCGM_FI_DEV_FB_USED",
        "gauge",
        "Memory in use (in MiB).",
        lambda g: _times(g.memory_used_bytes, 1 / MIB),
    ),
    Family("DCGM_FI_DEV_FB_FREE", "gauge", "Memory free (in MiB).", _memory_free),
    Family(
        "DCGM_FI_DEV_ECC_SBE_VOL_TOTAL",
        "counter",
        "Corrected memory errors since the driver was loaded.",
        lambda g: g.ecc_corrected,
    ),
    Family(
        "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL",
        "counter",
        "Uncorrected memory errors since the driver was loaded.",
        lambda g: g.ecc_uncorrected,
    ),
    Family(
        "DCGM_FI_DEV_ROW_REMAP_FAILURE",
        "gauge",
        "Whether remapping of rows has failed.",
        lambda g: _flag(g.remap_failed),
    ),
    Family(
        "DCGM_FI_DEV_ROW_REMAP_PENDING",
        "gauge",
        "Whether a remapping of rows waits for a reset.",
        lambda g: _flag(g.remap_pending),
    ),
    Family(
        "DCGM_FI_PROF_SM_ACTIVE",
        "gauge",
        "Share of time an SM has a warp (0 to 1).",
        lambda g: _ratio(g.sm_active_percent),
    ),
    Family(
        "DCGM_FI_PROF_SM_OCCUPANCY",
        "gauge",
        "Share of the warps an SM can hold (0 to 1).",
        lambda g: _ratio(g.sm_occupancy_percent),
    ),
    Family(
        "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE",
        "gauge",
        "Share of cycles the tensor pipe is active (0 to 1).",
        lambda g: _ratio(g.tensor_active_percent),
    ),
    Family(
        "DCGM_FI_PROF_DRAM_ACTIVE",
        "gauge",
        "Share of cycles the memory moves data (0 to 1).",
        lambda g: _ratio(g.dram_active_percent),
    ),
    Family(
        "DCGM_FI_PROF_PCIE_TX_BYTES",
        "gauge",
        "PCIe, from the GPU (in bytes per second).",
        lambda g: g.pcie_tx_bytes_per_s,
    ),
    Family(
        "DCGM_FI_PROF_PCIE_RX_BYTES",
        "gauge",
        "PCIe, to the GPU (in bytes per second).",
        lambda g: g.pcie_rx_bytes_per_s,
    ),
    Family(
        "DCGM_FI_PROF_NVLINK_TX_BYTES",
        "gauge",
        "NVLink, from the GPU (in bytes per second).",
        lambda g: g.nvlink_tx_bytes_per_s,
    ),
    Family(
        "DCGM_FI_PROF_NVLINK_RX_BYTES",
        "gauge",
        "NVLink, to the GPU (in bytes per second).",
        lambda g: g.nvlink_rx_bytes_per_s,
    ),
)


def exposition(info: BoxInfo, snapshot: Snapshot) -> str:
    """The whole page, newline at its end. A value that could not be read is left out."""
    labels = [_labels(info, gpu) for gpu in snapshot.gpus]
    lines: list[str] = []
    for family in FAMILIES:
        samples = list(_samples(family, snapshot, labels))
        if samples:
            lines += [f"# HELP {family.name} {family.help}", f"# TYPE {family.name} {family.kind}"]
            lines += samples
    lines += [
        "# HELP cockpit_gpus GPUs of this box, by state.",
        "# TYPE cockpit_gpus gauge",
        *_counts(info, snapshot),
    ]
    return "\n".join(lines) + "\n"


def _samples(family: Family, snapshot: Snapshot, labels: list[str]) -> Iterator[str]:
    for gpu, own in zip(snapshot.gpus, labels, strict=True):
        value = family.value(gpu)
        if value is not None:
            yield f"{family.name}{{{own}}} {_number(value)}"


def _counts(info: BoxInfo, snapshot: Snapshot) -> Iterator[str]:
    for state in ("ok", "warning", "critical", "lost"):
        count = sum(gpu.state == state for gpu in snapshot.gpus)
        own = _joined({"state": state, "Hostname": info.hostname or info.name, **_mark(info)})
        yield f"cockpit_gpus{{{own}}} {count}"


def _labels(info: BoxInfo, gpu: Gpu) -> str:
    bus = next((known.pci_bus_id for known in info.gpus if known.uuid == gpu.uuid), "")
    labels = {"gpu": str(gpu.index), "UUID": gpu.uuid, "pci_bus_id": bus}
    labels |= {"device": f"nvidia{gpu.index}", "modelName": gpu.name}
    labels |= {"Hostname": info.hostname or info.name}
    if info.driver_version:
        labels["DCGM_FI_DRIVER_VERSION"] = info.driver_version
    return _joined(labels | _mark(info))


def _mark(info: BoxInfo) -> dict[str, str]:
    """A label that keeps made-up figures apart from real ones for ever."""
    return {"simulated": "true"} if info.simulated else {}


def _joined(labels: dict[str, str]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else f"{value:.10g}"
