"""The figures that one nvmlDeviceGetFieldValues call brings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pynvml

from cockpit.agent.telemetry.nvml.fields import ALL_LINKS, Field, FieldBatch, Value
from cockpit.agent.telemetry.nvml.figures import Figures
from cockpit.agent.telemetry.nvml.library import Library, error_name
from cockpit.agent.telemetry.nvml.rates import KIB, CounterRates

# Field id → metric and what to divide it by, in the order they are asked for.
_FAST: Mapping[int, tuple[str, float]] = {
    pynvml.NVML_FI_DEV_POWER_AVERAGE: ("power_w", 1e3),
    pynvml.NVML_FI_DEV_POWER_INSTANT: ("power_instant_w", 1e3),
    pynvml.NVML_FI_DEV_POWER_CURRENT_LIMIT: ("power_limit_w", 1e3),
    pynvml.NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION: ("energy_j", 1e3),
    pynvml.NVML_FI_DEV_MEMORY_TEMP: ("memory_temperature_c", 1.0),
}
_THROTTLE_TIMES: Mapping[int, str] = {
    pynvml.NVML_FI_DEV_CLOCKS_EVENT_REASON_SW_POWER_CAP: "power_cap",
    pynvml.NVML_FI_DEV_CLOCKS_EVENT_REASON_SYNC_BOOST: "sync_boost",
    pynvml.NVML_FI_DEV_CLOCKS_EVENT_REASON_SW_THERM_SLOWDOWN: "sw_thermal",
    pynvml.NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN: "hw_thermal",
    pynvml.NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_POWER_BRAKE_SLOWDOWN: "power_brake",
}
"""Nanoseconds spent slowed, by reason."""
_COUNTERS: Mapping[Field, tuple[str, int]] = {
    pynvml.NVML_FI_DEV_PCIE_COUNT_RX_BYTES: ("pcie_rx_bytes_per_s", 1),
    pynvml.NVML_FI_DEV_PCIE_COUNT_TX_BYTES: ("pcie_tx_bytes_per_s", 1),
    (pynvml.NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_RX, ALL_LINKS): ("nvlink_rx_bytes_per_s", KIB),
    (pynvml.NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX, ALL_LINKS): ("nvlink_tx_bytes_per_s", KIB),
}
"""Read only where the GPU's activity counters do not give the rates."""
_SELDOM: Mapping[int, str] = {
    pynvml.NVML_FI_DEV_ECC_SBE_VOL_TOTAL: "ecc_corrected",
    pynvml.NVML_FI_DEV_ECC_DBE_VOL_TOTAL: "ecc_uncorrected",
    pynvml.NVML_FI_DEV_PCIE_REPLAY_COUNTER: "pcie_replays",
    pynvml.NVML_FI_DEV_REMAPPED_COR: "remapped_rows",
    pynvml.NVML_FI_DEV_REMAPPED_UNC: "remapped_rows",
    pynvml.NVML_FI_DEV_REMAPPED_PENDING: "remap_pending",
    pynvml.NVML_FI_DEV_REMAPPED_FAILURE: "remap_failed",
    pynvml.NVML_FI_DEV_GET_GPU_RECOVERY_ACTION: "recovery_action",
}
"""Asked for with the others, but only at every third pass."""
_RECOVERY: Mapping[int, str] = {
    pynvml.NVML_GPU_RECOVERY_ACTION_NONE: "none",
    pynvml.NVML_GPU_RECOVERY_ACTION_GPU_RESET: "reset",
    pynvml.NVML_GPU_RECOVERY_ACTION_NODE_REBOOT: "reboot",
    pynvml.NVML_GPU_RECOVERY_ACTION_DRAIN_P2P: "drain_p2p",
    pynvml.NVML_GPU_RECOVERY_ACTION_DRAIN_AND_RESET: "drain_and_reset",
}
RATES = tuple(name for name, _ in _COUNTERS.values())
"""The figures that the counters stand in for."""
_FAST_PLAN = tuple(_FAST.values())
_COUNTERS_AT = len(_FAST) + len(_THROTTLE_TIMES)

METRICS: tuple[str, ...] = (*(name for name, _ in _FAST_PLAN), "throttle_times_s")
"""What every reading brings."""
SELDOM_METRICS: tuple[str, ...] = tuple(dict.fromkeys(_SELDOM.values()))
"""What a reading brings that asks for the rarely changing fields too."""


class Batch:
    """All that is read of a GPU by field id, written into its figures.

    Set `now_s` and `seldom` before a reading: its time, and whether it asks for the rarely
    changing fields too.
    """

    def __init__(self, library: Library, handle: Any, figures: Figures) -> None:
        self.now_s, self.seldom = 0.0, True
        self._library, self._handle, self._figures = library, handle, figures
        self._counters = CounterRates(RATES, [factor for _, factor in _COUNTERS.values()])
        self._times: Sequence[Value] = ()
        self._fields = self._ask(with_counters=False)

    @property
    def rates(self) -> Mapping[str, float]:
        """Bytes per second from the counters, as far as they are read."""
        return self._counters.rates

    def want_counters(self) -> None:
        """Read the byte counters from the next pass on."""
        if self._seldom_at == _COUNTERS_AT:
            self._fields = self._ask(with_counters=True)

    def read(self) -> int:
        """Read, and return NVML's code."""
        code = self._fields.read(None if self.seldom else self._seldom_at)
        if code and self.seldom:
            self._figures.failed(SELDOM_METRICS, code)
        return code

    def store(self) -> None:
        """Write what was read into the figures."""
        values, codes, failed = self._fields.values, self._fields.codes, self._fields.failed
        own, note = self._figures.values, self._figures.note
        for (metric, divisor), raw in zip(_FAST_PLAN, values, strict=False):
            own[metric] = None if raw is None else raw / divisor
        times = values[len(_FAST) : _COUNTERS_AT]
        if times != self._times or not own["throttle_times_s"]:
            self._times = times
            own["throttle_times_s"] = {
                name: raw / 1e9
                for name, raw in zip(_THROTTLE_TIMES.values(), times, strict=True)
                if raw is not None
            }
        if failed:
            for (metric, _), code in zip(_FAST_PLAN, codes, strict=False):
                note(metric, error_name(code) if code else None)
            if not own["throttle_times_s"]:
                note("throttle_times_s", error_name(codes[len(_FAST)]))
        if self._seldom_at > _COUNTERS_AT:
            self._counters.read(values[_COUNTERS_AT : self._seldom_at], self.now_s)
        if self.seldom:
            self._store_seldom(values[self._seldom_at :], codes[self._seldom_at :])

    def _ask(self, *, with_counters: bool) -> FieldBatch:
        counters = tuple(_COUNTERS) if with_counters else ()
        self._seldom_at = _COUNTERS_AT + len(counters)
        fields: tuple[Field, ...] = (*_FAST, *_THROTTLE_TIMES, *counters, *_SELDOM)
        return FieldBatch(self._library, self._handle, fields)

    def _store_seldom(self, values: Sequence[Value], codes: Sequence[int]) -> None:
        own = self._figures.values
        failures: dict[str, str] = {}
        for metric, raw, code in zip(_SELDOM.values(), values, codes, strict=True):
            own[metric] = raw
            if code:
                failures.setdefault(metric, error_name(code))
        if failures or self._figures.errors:
            for metric in SELDOM_METRICS:
                self._figures.note(metric, failures.get(metric))
        read = dict(zip(_SELDOM, values, strict=True))
        correctable = read[pynvml.NVML_FI_DEV_REMAPPED_COR]
        uncorrectable = read[pynvml.NVML_FI_DEV_REMAPPED_UNC]
        if correctable is None or uncorrectable is None:
            own["remapped_rows"] = None
        else:
            own["remapped_rows"] = correctable + uncorrectable
        for metric in ("remap_pending", "remap_failed"):
            own[metric] = None if own[metric] is None else bool(own[metric])
        action = own["recovery_action"]
        if action is not None:
            own["recovery_action"] = _RECOVERY.get(action, f"action {action}")
