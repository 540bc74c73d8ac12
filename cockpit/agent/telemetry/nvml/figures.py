"""The figures of one GPU while they are gathered: what could be read, and why the rest could not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from cockpit.agent.telemetry.nvml.library import ReadError, check, error_name

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

_EMPTY: Mapping[str, Any] = {
    "throttle_reasons": (),
    "throttle_times_s": {},
    "processes": (),
    "nvlinks": (),
    "slices": (),
}
"""What a figure that is a collection holds while it is not readable."""


class Figures:
    """`values` and `errors` are what a Gpu is made from."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {**dict.fromkeys(METRICS), **_EMPTY}
        self.errors: dict[str, str] = {}

    def note(self, metric: str, reason: str | None) -> None:
        """Say why a figure is not readable, or that it is (None)."""
        # The mapping is in the hands of readers of older passes, so it is replaced, not changed.
        if reason is not None:
            if self.errors.get(metric) != reason:
                self.errors = {**self.errors, metric: reason}
        elif metric in self.errors:
            self.errors = {name: text for name, text in self.errors.items() if name != metric}

    def failed(self, metrics: Sequence[str], code: int) -> None:
        """A call for these figures was refused. Raises DriverGoneError and GpuLostError."""
        with suppress(ReadError):
            check(code)
        for metric in metrics:
            self.values[metric] = _EMPTY.get(metric)
            self.note(metric, error_name(code))

    def readable(self, metrics: Sequence[str]) -> None:
        """A call for these figures was answered."""
        if self.errors:
            for metric in metrics:
                self.note(metric, None)
