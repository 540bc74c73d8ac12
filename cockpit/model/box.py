"""A box and its GPUs at one moment, what happened there, and how it was over time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

GpuState = Literal["ok", "warning", "critical", "lost"]
Severity = Literal["info", "warning", "critical"]
SourceKind = Literal["nvml", "simulated", "replay"]

HISTORY_METRICS: tuple[str, ...] = (
    "power_w",
    "temperature_c",
    "memory_temperature_c",
    "utilization_percent",
    "memory_used_bytes",
    "sm_clock_mhz",
    "memory_clock_mhz",
    "sm_active_percent",
    "tensor_active_percent",
    "dram_active_percent",
    "pcie_rx_bytes_per_s",
    "pcie_tx_bytes_per_s",
    "nvlink_rx_bytes_per_s",
    "nvlink_tx_bytes_per_s",
    "power_limit_w",
    "throttle_mask",
)
"""What is kept over time for every GPU; `throttle_mask` is the bit mask of THROTTLE_BITS."""

THROTTLE_BITS: Mapping[str, int] = {
    "idle": 0x1,
    "application_clocks": 0x2,
    "power_cap": 0x4,
    "hw_slowdown": 0x8,
    "sync_boost": 0x10,
    "sw_thermal": 0x20,
    "hw_thermal": 0x40,
    "power_brake": 0x80,
    "display": 0x100,
    "board_limit": 0x200,
    "reliability": 0x400,
}
"""NVML's clock event reasons, under the names used everywhere in cockpit."""


@dataclass(frozen=True)
class GpuInfo:
    """What does not change while the driver stays loaded."""

    index: int
    uuid: str
    name: str
    pci_bus_id: str = ""
    serial: str | None = None
    vbios_version: str | None = None
    architecture: str | None = None
    compute_capability: str | None = None
    memory_total_bytes: int | None = None
    power_limit_default_w: float | None = None
    power_limit_min_w: float | None = None
    power_limit_max_w: float | None = None
    sm_clock_max_mhz: int | None = None
    memory_clock_max_mhz: int | None = None
    pcie_generation_max: int | None = None
    pcie_width_max: int | None = None
    temperature_slowdown_c: float | None = None
    temperature_shutdown_c: float | None = None
    temperature_memory_max_c: float | None = None
    numa_node: int | None = None
    cpu_affinity: str | None = None
    """CPUs near this GPU in Linux list form, such as `0-31,64-95`."""
    nvlink_count: int | None = None
    nvlink_peers: tuple[int, ...] = ()
    """Indices of the GPUs at the other end of this one's NVLinks."""


@dataclass(frozen=True)
class BoxInfo:
    """A machine with GPUs, as its agent sees it. `revision` grows whenever anything in it changes."""

    name: str
    source: SourceKind
    driver_version: str | None
    gpu_count: int
    gpus: tuple[GpuInfo, ...] = ()
    cuda_version: str | None = None
    nvml_version: str | None = None
    agent_version: str = ""
    hostname: str = ""
    boot_id: str = ""
    topology: tuple[tuple[str, ...], ...] = ()
    """`topology[i][j]` in the words of `nvidia-smi topo -m`: X, NV#, PIX, PXB, PHB, NODE, SYS."""
    power_budget_w: float | None = None
    price_per_kwh: float | None = None
    co2_g_per_kwh: float | None = None
    currency: str = "€"
    revision: int = 0
    problem: str | None = None
    """Why there are no GPUs just now, such as a driver that went away; None when all is well."""
    advice: str | None = None
    """What to do about `problem`."""
    recorded_source: SourceKind | None = None
    """What was recorded, if this is a replay."""

    @property
    def simulated(self) -> bool:
        """Whether its figures are made up: a simulated box, or the recording of one."""
        return "simulated" in (self.source, self.recorded_source)


@dataclass(frozen=True)
class Reason:
    """Why a GPU is not simply ok, in plain words, and what to do."""

    code: str
    """Stable name: lost, thermal_slowdown, power_brake, margin, ecc, remap_pending, xid, …"""
    severity: Severity
    text: str
    advice: str = ""
    since_s: float | None = None


@dataclass(frozen=True)
class Process:
    """Something that holds memory or runs on a GPU."""

    pid: int
    user: str | None = None
    command: str | None = None
    """The command line, cut to 200 characters."""
    memory_used_bytes: int | None = None
    job: str | None = None
    container: str | None = None
    kind: Literal["compute", "graphics", "mps"] = "compute"
    start_ticks: int | None = None
    """Field 22 of /proc/PID/stat: with the pid it names one process for ever."""
    mine: bool = False
    """True when it belongs to the user the agent runs as."""


@dataclass(frozen=True)
class Slice:
    """One MIG instance of a GPU."""

    uuid: str
    profile: str
    """As in `nvidia-smi -L`: 1g.10gb, 3g.40gb, …"""
    gpu_instance: int
    compute_instance: int = 0
    placement_start: int | None = None
    placement_size: int | None = None
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    sm_active_percent: float | None = None
    tensor_active_percent: float | None = None
    dram_active_percent: float | None = None
    processes: tuple[Process, ...] = ()


@dataclass(frozen=True)
class NvLink:
    """One NVLink of a GPU."""

    link: int
    active: bool | None
    peer: int | None = None
    """Index of the GPU at the other end; None for a switch or when unknown."""
    errors: int | None = None
    """Sum of this link's error counters since the driver was loaded."""


@dataclass(frozen=True)
class Gpu:
    """One GPU at one moment."""

    index: int
    uuid: str
    name: str
    state: GpuState = "ok"
    reasons: tuple[Reason, ...] = ()
    power_w: float | None = None
    """One-second average."""
    power_instant_w: float | None = None
    power_limit_w: float | None = None
    energy_j: float | None = None
    """Counter since the driver was loaded."""
    temperature_c: float | None = None
    memory_temperature_c: float | None = None
    thermal_margin_c: float | None = None
    """Degrees left before the GPU slows itself down."""
    utilization_percent: float | None = None
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    sm_clock_mhz: int | None = None
    memory_clock_mhz: int | None = None
    throttle_reasons: tuple[str, ...] = ()
    throttle_times_s: Mapping[str, float] = field(default_factory=dict)
    """Seconds spent slowed since the driver was loaded, by reason."""
    sm_active_percent: float | None = None
    sm_occupancy_percent: float | None = None
    tensor_active_percent: float | None = None
    dram_active_percent: float | None = None
    pcie_rx_bytes_per_s: float | None = None
    pcie_tx_bytes_per_s: float | None = None
    nvlink_rx_bytes_per_s: float | None = None
    nvlink_tx_bytes_per_s: float | None = None
    pcie_generation: int | None = None
    pcie_width: int | None = None
    pcie_replays: int | None = None
    ecc_corrected: int | None = None
    ecc_uncorrected: int | None = None
    """Volatile counts: since the driver was loaded."""
    remapped_rows: int | None = None
    """Correctable and uncorrectable remaps together, for the life of the card."""
    remap_pending: bool | None = None
    remap_failed: bool | None = None
    recovery_action: str | None = None
    """NVML's own verdict: none, reset, reboot, drain_p2p, drain_and_reset; None when not readable."""
    last_xid: int | None = None
    last_xid_s: float | None = None
    mig_enabled: bool | None = None
    slices: tuple[Slice, ...] = ()
    nvlinks: tuple[NvLink, ...] = ()
    processes: tuple[Process, ...] = ()
    errors: Mapping[str, str] = field(default_factory=dict)
    """Metric name → why it is None, such as NVML_ERROR_NOT_SUPPORTED."""
    lost_since_s: float | None = None
    """When the GPU was last known to answer, if it is lost."""


@dataclass(frozen=True)
class Totals:
    """Sums over the GPUs that answered."""

    power_w: float | None = None
    power_limit_w: float | None = None
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    energy_today_j: float | None = None
    """Since local midnight, from the energy counters."""
    cost_today: float | None = None


@dataclass(frozen=True)
class Snapshot:
    """Every GPU of a box at one moment, in index order."""

    time_s: float
    gpus: tuple[Gpu, ...]
    totals: Totals = Totals()
    sequence: int = 0
    box_revision: int = 0
    """`BoxInfo.revision` this belongs to; a client that has another one asks for the box again."""
    interval_s: float = 1.0


@dataclass(frozen=True)
class Event:
    """Something that happened, kept and shown."""

    id: int
    """Grows by one per event of a box; 0 before the store has numbered it."""
    time_s: float
    kind: Literal["xid", "throttle", "lost", "back", "alert", "job", "driver", "agent"]
    severity: Severity
    text: str
    advice: str = ""
    gpu_uuid: str | None = None
    gpu_index: int | None = None
    job: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Series:
    """One metric of one GPU over time. The four tuples are equally long; a gap is None."""

    gpu_uuid: str
    metric: str
    resolution_s: float
    times_s: tuple[float, ...] = ()
    minimum: tuple[float | None, ...] = ()
    mean: tuple[float | None, ...] = ()
    maximum: tuple[float | None, ...] = ()
