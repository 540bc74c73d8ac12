"""Where readings come from: the seam between the sampler and NVML, the simulation or a replay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from cockpit.model import BoxInfo, Event, Gpu

METRICS: tuple[str, ...] = (
    "power_w",
    "power_instant_w",
    "power_limit_w",
    "energy_j",
    "temperature_c",
    "memory_temperature_c",
    "thermal_margin_c",
    "utilization_percent",
    "memory_used_bytes",
    "memory_total_bytes",
    "sm_clock_mhz",
    "memory_clock_mhz",
    "throttle_reasons",
    "throttle_times_s",
    "sm_active_percent",
    "sm_occupancy_percent",
    "tensor_active_percent",
    "dram_active_percent",
    "pcie_rx_bytes_per_s",
    "pcie_tx_bytes_per_s",
    "nvlink_rx_bytes_per_s",
    "nvlink_tx_bytes_per_s",
    "pcie_generation",
    "pcie_width",
    "pcie_replays",
    "ecc_corrected",
    "ecc_uncorrected",
    "remapped_rows",
    "remap_pending",
    "remap_failed",
    "recovery_action",
    "mig_enabled",
    "nvlinks",
    "processes",
)
"""Every figure of a Gpu that can fail to be read."""


@dataclass(frozen=True)
class Sample:
    """One pass over the box. `gpus` have no health state yet; `events` have id 0."""

    time_s: float
    gpus: tuple[Gpu, ...]
    events: tuple[Event, ...] = ()


@dataclass(frozen=True)
class JobLoad:
    """A running job as telemetry needs it: whose processes are its own, and which GPUs it was given."""

    job: str
    pid: int
    """The job's first process; its tree is found below it."""
    gpus: tuple[str, ...]
    """UUIDs."""


class Source(Protocol):
    """Something that can be sampled.

    Every method is called from the sampler's thread, never from the event loop, and may block; only
    `close` and `box` may be called from another.
    """

    def open(self) -> BoxInfo:
        """Find the GPUs. A box whose driver is away is a BoxInfo with a `problem`, not an error."""

    def sample(self) -> Sample:
        """Read every GPU once. Never raises for a GPU or driver that fails: that is a reading too."""

    def box(self) -> BoxInfo:
        """The box as last seen; its `revision` has grown if anything in it changed."""

    def close(self) -> None:
        """Release the driver and end any thread. Safe to call twice."""
