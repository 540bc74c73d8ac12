"""What is read of one GPU: each reading is one NVML call into memory that is kept.

Eight calls are made at every pass: fields, utilization, memory, SM clock, throttle reasons,
temperature, and two for the activity counters. The others are SLOW readings, each with its period.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, NamedTuple

import pynvml

from cockpit.agent.telemetry.nvml import gpm
from cockpit.agent.telemetry.nvml.fields import ALL_LINKS, Field, FieldBatch, Value
from cockpit.agent.telemetry.nvml.library import (
    NOT_SUPPORTED,
    SUCCESS,
    Call,
    Library,
    ReadError,
    check,
    error_name,
)
from cockpit.agent.telemetry.nvml.links import Links
from cockpit.agent.telemetry.nvml.mig import Slices
from cockpit.agent.telemetry.nvml.processes import ProcessList
from cockpit.agent.telemetry.nvml.rates import KIB, CounterRates
from cockpit.agent.telemetry.processes import ProcessTable
from cockpit.model import THROTTLE_BITS, GpuInfo

CALLS_PER_PASS = 8

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
_RATES = tuple(name for name, _ in _COUNTERS.values())

SLOW: tuple[str, ...] = (
    "thermal_margin_c",
    "processes",
    "graphics_processes",
    "mps_processes",
    "memory_clock_mhz",
    "pcie_generation",
    "pcie_width",
    "mig_enabled",
    "nvlinks",
)
"""Names of the readings that take turns."""

METRICS: tuple[str, ...] = (
    *(name for name, _ in _FAST.values()),
    "temperature_c",
    "thermal_margin_c",
    "utilization_percent",
    "memory_used_bytes",
    "memory_total_bytes",
    "sm_clock_mhz",
    "memory_clock_mhz",
    "throttle_reasons",
    "throttle_times_s",
    *gpm.METRICS,
    *dict.fromkeys(_SELDOM.values()),
    "pcie_generation",
    "pcie_width",
    "mig_enabled",
    "nvlinks",
    "processes",
)
"""Every figure that can fail to be read."""


class Reading(NamedTuple):
    """One call, what it is for, and what to do with what it wrote."""

    metrics: tuple[str, ...]
    call: Call
    store: Callable[[], None]


@lru_cache(maxsize=256)
def throttle_names(mask: int) -> tuple[str, ...]:
    """The names of THROTTLE_BITS that are set in NVML's mask."""
    return tuple(name for name, bit in THROTTLE_BITS.items() if mask & bit)


_EMPTY: Mapping[str, Any] = {
    "throttle_reasons": (),
    "throttle_times_s": {},
    "processes": (),
    "nvlinks": (),
    "slices": (),
}
"""What a metric that is a collection holds while it is not readable."""


class Readings:
    """The readings of one GPU: after `run`, `values` and `errors` are what a Gpu is made from."""

    def __init__(
        self, library: Library, handle: Any, info: GpuInfo, table: ProcessTable, now_s: float
    ) -> None:
        """Raises as `Library.call` does."""
        self.values: dict[str, Any] = {**dict.fromkeys(METRICS), **_EMPTY}
        self.errors: dict[str, str] = {}
        self._link_peers: Mapping[int, int | None] = {}
        self._library, self._handle = library, handle
        self._now_s, self._seldom = now_s, True
        has_activity = gpm.supported(library, handle)
        self._activity = gpm.Activity(library, handle) if has_activity else None
        self._rates = CounterRates(_RATES, [factor for _, factor in _COUNTERS.values()])
        self._batch = self._make_batch(with_counters=not has_activity)
        self._slices = Slices(library, handle, table)
        self._lists = {
            kind: ProcessList(library, handle, kind, table)
            for kind in ("compute", "graphics", "mps")
        }
        self._links = Links(library, handle, info.nvlink_count or 0)
        self.fast = self._fast_readings()
        self.slow = self._slow_readings(has_links=bool(info.nvlink_count))

    def close(self) -> None:
        """Give back what the driver allocated."""
        if self._activity is not None:
            self._activity.close()
        self._slices.close()

    def begin(self, now_s: float, *, seldom: bool) -> None:
        """A pass begins; with `seldom` it reads the rarely changing fields too."""
        self._now_s, self._seldom = now_s, seldom

    def run(self, reading: Reading) -> None:
        """Make one reading. Raises DriverGoneError and GpuLostError; any other failure is an error noted."""
        code = reading.call()
        if code:
            self._failed(reading.metrics, code)
            return
        if self.errors:
            for metric in reading.metrics:
                self._note(metric, None)
        reading.store()

    def _failed(self, metrics: tuple[str, ...], code: int) -> None:
        with suppress(ReadError):
            check(code)
        for metric in metrics:
            self.values[metric] = _EMPTY.get(metric)
            self._note(metric, error_name(code))

    def _note(self, metric: str, reason: str | None) -> None:
        # The mapping is in the hands of readers of older passes, so it is replaced, not changed.
        if reason is not None:
            if self.errors.get(metric) != reason:
                self.errors = {**self.errors, metric: reason}
        elif metric in self.errors:
            self.errors = {name: text for name, text in self.errors.items() if name != metric}

    # The eight calls of every pass

    def _fast_readings(self) -> tuple[Reading, ...]:
        bind, handle = self._library.bind, self._handle
        self._utilization = pynvml.c_nvmlUtilization_t()
        self._memory = pynvml.c_nvmlMemory_v2_t()
        self._memory.version = pynvml.nvmlMemory_v2
        self._sm_clock, self._temperature = ctypes.c_uint(), ctypes.c_uint()
        self._throttle = ctypes.c_ulonglong()
        readings = [
            Reading(
                (*(name for name, _ in _FAST.values()), "throttle_times_s"),
                self._read_fields,
                self._store_fields,
            ),
            Reading(
                ("utilization_percent",),
                bind("nvmlDeviceGetUtilizationRates", handle, ctypes.byref(self._utilization)),
                self._store_utilization,
            ),
            Reading(
                ("memory_used_bytes", "memory_total_bytes"),
                bind("nvmlDeviceGetMemoryInfo_v2", handle, ctypes.byref(self._memory)),
                self._store_memory,
            ),
            Reading(
                ("sm_clock_mhz",),
                self._clock(pynvml.NVML_CLOCK_SM, self._sm_clock),
                self._storing("sm_clock_mhz", self._sm_clock),
            ),
            Reading(
                ("throttle_reasons",),
                bind(
                    "nvmlDeviceGetCurrentClocksEventReasons",
                    handle,
                    ctypes.byref(self._throttle),
                ),
                self._store_throttle,
            ),
            Reading(
                ("temperature_c",),
                bind(
                    "nvmlDeviceGetTemperature",
                    handle,
                    pynvml.NVML_TEMPERATURE_GPU,
                    ctypes.byref(self._temperature),
                ),
                self._storing("temperature_c", self._temperature),
            ),
        ]
        metrics = tuple(gpm.METRICS)
        activity = self._activity
        if activity is None:
            readings.append(Reading(metrics, lambda: SUCCESS, self._store_activity))
        else:
            read = activity.read
            call: Call = lambda: read(self._now_s)  # noqa: E731
            readings.append(Reading(metrics, call, self._store_activity))
        return tuple(readings)

    def _clock(self, which: int, out: Any) -> Call:
        return self._library.bind("nvmlDeviceGetClockInfo", self._handle, which, ctypes.byref(out))

    def _storing(self, metric: str, out: Any) -> Callable[[], None]:
        def store() -> None:
            self.values[metric] = out.value

        return store

    def _make_batch(self, *, with_counters: bool) -> FieldBatch:
        self._counters_at = len(_FAST) + len(_THROTTLE_TIMES)
        counters = tuple(_COUNTERS) if with_counters else ()
        self._seldom_at = self._counters_at + len(counters)
        fields = (*_FAST, *_THROTTLE_TIMES, *counters, *_SELDOM)
        return FieldBatch(self._library, self._handle, fields)

    def _read_fields(self) -> int:
        code = self._batch.read(None if self._seldom else self._seldom_at)
        if code and self._seldom:
            for metric in _SELDOM.values():
                self.values[metric] = None
                self._note(metric, error_name(code))
        return code

    def _store_fields(self) -> None:
        values, codes, failed = self._batch.values, self._batch.codes, self._batch.failed
        own = self.values
        for position, (metric, divisor) in enumerate(_FAST_PLAN):
            raw = values[position]
            own[metric] = None if raw is None else raw / divisor
            if failed and raw is None:
                self._note(metric, error_name(codes[position]))
        times = values[len(_FAST) : self._counters_at]
        own["throttle_times_s"] = {
            name: raw / 1e9
            for name, raw in zip(_THROTTLE_TIMES.values(), times, strict=True)
            if raw is not None
        }
        if failed and not own["throttle_times_s"]:
            self._note("throttle_times_s", error_name(codes[len(_FAST)]))
        if self._seldom_at > self._counters_at:
            self._rates.read(values[self._counters_at : self._seldom_at], self._now_s)
        if self._seldom:
            self._store_seldom(values[self._seldom_at :], codes[self._seldom_at :])

    def _store_seldom(self, values: Sequence[Value], codes: Sequence[int]) -> None:
        own = self.values
        read = dict(zip(_SELDOM, values, strict=True))
        failures: dict[str, str] = {}
        for metric, raw, code in zip(_SELDOM.values(), values, codes, strict=True):
            own[metric] = raw
            if code:
                failures.setdefault(metric, error_name(code))
        if failures or self.errors:
            for metric in _SELDOM.values():
                self._note(metric, failures.get(metric))
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

    def _store_utilization(self) -> None:
        self.values["utilization_percent"] = self._utilization.gpu

    def _store_memory(self) -> None:
        self.values["memory_used_bytes"] = self._memory.used
        self.values["memory_total_bytes"] = self._memory.total

    def _store_throttle(self) -> None:
        self.values["throttle_reasons"] = throttle_names(self._throttle.value)

    def _store_activity(self) -> None:
        activity = self._activity
        values = activity.values if activity is not None else {}
        errors = activity.errors if activity is not None else _NO_ACTIVITY
        own, rates = self.values, self._rates.rates
        for metric in gpm.METRICS:
            own[metric] = value = values.get(metric, rates.get(metric))
            if value is None:
                self._note(metric, errors.get(metric, "waiting for a second sample"))
        if errors and self._seldom_at == self._counters_at and self._lacks_rates(errors):
            self._batch = self._make_batch(with_counters=True)
            self._seldom = False

    def _lacks_rates(self, errors: Mapping[str, str]) -> bool:
        """Does the GPU's own measurement leave a rate out, for good?"""
        return any(errors.get(metric) == error_name(NOT_SUPPORTED) for metric in _RATES)

    # The slow ones

    def _slow_readings(self, *, has_links: bool) -> dict[str, Reading]:
        bind, handle = self._library.bind, self._handle
        self._margin = pynvml.c_nvmlMarginTemperature_v1_t()
        self._margin.version = pynvml.nvmlMarginTemperature_v1
        self._memory_clock = ctypes.c_uint()
        self._generation, self._width = ctypes.c_uint(), ctypes.c_uint()
        self._mig_now, self._mig_next = ctypes.c_uint(), ctypes.c_uint()

        def link_word(metric: str, name: str, out: Any) -> Reading:
            return Reading(
                (metric,), bind(name, handle, ctypes.byref(out)), self._storing(metric, out)
            )

        mig_call = bind(
            "nvmlDeviceGetMigMode",
            handle,
            ctypes.byref(self._mig_now),
            ctypes.byref(self._mig_next),
        )
        margin_call = bind("nvmlDeviceGetMarginTemperature", handle, ctypes.byref(self._margin))
        readings = {
            "thermal_margin_c": Reading(("thermal_margin_c",), margin_call, self._store_margin),
            "processes": Reading(("processes",), self._read_processes, self._store_processes),
            "graphics_processes": Reading((), self._lists["graphics"].read, self._store_processes),
            "mps_processes": Reading((), self._lists["mps"].read, self._store_processes),
            "memory_clock_mhz": Reading(
                ("memory_clock_mhz",),
                self._clock(pynvml.NVML_CLOCK_MEM, self._memory_clock),
                self._storing("memory_clock_mhz", self._memory_clock),
            ),
            "pcie_generation": link_word(
                "pcie_generation", "nvmlDeviceGetCurrPcieLinkGeneration", self._generation
            ),
            "pcie_width": link_word("pcie_width", "nvmlDeviceGetCurrPcieLinkWidth", self._width),
            "mig_enabled": Reading(("mig_enabled",), mig_call, self._store_mig),
        }
        if has_links:
            readings["nvlinks"] = Reading(("nvlinks",), self._links.read, self._store_links)
        return readings

    def _store_margin(self) -> None:
        self.values["thermal_margin_c"] = float(self._margin.marginTemperature)

    def _store_links(self) -> None:
        self.values["nvlinks"] = self._links.links(self._link_peers)

    def name_peers(self, peers: Mapping[int, int | None]) -> None:
        """Tell which GPU (index) is at the other end of each link."""
        self._link_peers = peers
        if self.values["nvlinks"]:
            self._store_links()

    def _store_mig(self) -> None:
        enabled = bool(self._mig_now.value)
        self.values["mig_enabled"] = enabled
        self._slices.find(enabled)
        self.values["slices"] = self._slices.read(self._now_s)

    def refresh_slices(self) -> None:
        """Read what each slice has of its own. Raises DriverGoneError and GpuLostError."""
        if self._slices.present:
            self.values["slices"] = self._slices.read(self._now_s)

    def _read_processes(self) -> int:
        # A driver tells of the processes in a slice only when that slice is asked, unless one is
        # root.
        if self._slices.present:
            return self._slices.read_processes()
        return self._lists["compute"].read()

    def _store_processes(self) -> None:
        if self._slices.present:
            self.values["processes"] = self._slices.processes
            return
        lists = self._lists.values()
        self.values["processes"] = tuple(each for one in lists for each in one.processes)


_FAST_PLAN = tuple(_FAST.values())
_NO_ACTIVITY = gpm.absent()
