"""What is read of one GPU: each reading is one NVML call into memory that is kept.

Eight calls are made at every pass: fields, utilization, memory, SM clock, throttle reasons,
temperature, and two for the activity counters. The others are SLOW readings, each with its period.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import pynvml

from cockpit.agent.telemetry.nvml import batch, gpm
from cockpit.agent.telemetry.nvml.batch import RATES, Batch
from cockpit.agent.telemetry.nvml.figures import Figures
from cockpit.agent.telemetry.nvml.library import (
    NOT_SUPPORTED,
    SUCCESS,
    Call,
    Library,
    error_name,
    plain,
)
from cockpit.agent.telemetry.nvml.links import Links
from cockpit.agent.telemetry.nvml.mig import Slices
from cockpit.agent.telemetry.nvml.processes import ProcessList
from cockpit.agent.telemetry.processes import ProcessTable
from cockpit.model import THROTTLE_BITS, GpuInfo

CALLS_PER_PASS = 8

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


class Reading(NamedTuple):
    """One call, what it is for, and what to do with what it wrote."""

    metrics: tuple[str, ...]
    call: Call
    store: Callable[[], None]


@lru_cache(maxsize=256)
def throttle_names(mask: int) -> tuple[str, ...]:
    """The names of THROTTLE_BITS that are set in NVML's mask."""
    return tuple(name for name, bit in THROTTLE_BITS.items() if mask & bit)


class Readings:
    """The readings of one GPU, each written into its `figures`."""

    def __init__(
        self, library: Library, handle: Any, info: GpuInfo, table: ProcessTable, now_s: float
    ) -> None:
        """Raises as `Library.call` does."""
        self.figures = Figures()
        self._link_peers: Mapping[int, int | None] = {}
        self._library, self._handle = library, handle
        self._now_s = now_s
        has_activity = gpm.supported(library, handle)
        self._activity = gpm.Activity(library, handle) if has_activity else None
        self._activity_values: Mapping[str, float] = {}
        self._activity_errors: Mapping[str, str] = {}
        self._batch = Batch(library, handle, self.figures)
        if not has_activity:
            self._batch.want_counters()
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
        self._now_s = self._batch.now_s = now_s
        self._batch.seldom = seldom

    def run(self, reading: Reading) -> None:
        """Make one reading; what it could not read is an error noted.

        Raises DriverGoneError and GpuLostError.
        """
        code = reading.call()
        if code:
            self.figures.failed(reading.metrics, code)
        else:
            self.figures.readable(reading.metrics)
            reading.store()

    # The eight calls of every pass

    def _fast_readings(self) -> tuple[Reading, ...]:
        bind, handle = self._library.bind, self._handle
        self._utilization = plain(pynvml.c_nvmlUtilization_t)()
        self._memory = plain(pynvml.c_nvmlMemory_v2_t)()
        self._memory.version = pynvml.nvmlMemory_v2
        self._sm_clock, self._temperature = ctypes.c_uint(), ctypes.c_uint()
        self._throttle = ctypes.c_ulonglong()
        return (
            Reading(batch.METRICS, self._batch.read, self._batch.store),
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
            Reading(tuple(gpm.METRICS), self._read_activity, self._store_activity),
        )

    def _clock(self, which: int, out: Any) -> Call:
        return self._library.bind("nvmlDeviceGetClockInfo", self._handle, which, ctypes.byref(out))

    def _storing(self, metric: str, out: Any) -> Callable[[], None]:
        def store() -> None:
            self.figures.values[metric] = out.value

        return store

    def _store_utilization(self) -> None:
        self.figures.values["utilization_percent"] = self._utilization.gpu

    def _store_memory(self) -> None:
        self.figures.values["memory_used_bytes"] = self._memory.used
        self.figures.values["memory_total_bytes"] = self._memory.total

    def _store_throttle(self) -> None:
        self.figures.values["throttle_reasons"] = throttle_names(self._throttle.value)

    def _read_activity(self) -> int:
        if self._activity is None:
            self._activity_values, self._activity_errors = {}, _NO_ACTIVITY
            return SUCCESS
        code = self._activity.read(self._now_s)
        if code == NOT_SUPPORTED:
            # Some GPUs have it, but not while they are cut into slices.
            self._activity_values, self._activity_errors = {}, _NO_ACTIVITY
            return SUCCESS
        self._activity_values, self._activity_errors = self._activity.values, self._activity.errors
        return code

    def _store_activity(self) -> None:
        values, errors, rates = self._activity_values, self._activity_errors, self._batch.rates
        own = self.figures.values
        if not errors:
            own.update(values)
            return
        for metric in gpm.METRICS:
            own[metric] = value = values.get(metric, rates.get(metric))
            if value is None:
                self.figures.note(metric, errors.get(metric, _WAITING))
        if any(errors.get(metric) == _UNSUPPORTED for metric in RATES):
            self._batch.want_counters()

    # The slow ones

    def _slow_readings(self, *, has_links: bool) -> dict[str, Reading]:
        bind, handle = self._library.bind, self._handle
        self._margin = plain(pynvml.c_nvmlMarginTemperature_v1_t)()
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
        self.figures.values["thermal_margin_c"] = float(self._margin.marginTemperature)

    def _store_links(self) -> None:
        self.figures.values["nvlinks"] = self._links.links(self._link_peers)

    def name_peers(self, peers: Mapping[int, int | None]) -> None:
        """Tell which GPU (index) is at the other end of each link."""
        self._link_peers = peers
        if self.figures.values["nvlinks"]:
            self._store_links()

    def _store_mig(self) -> None:
        enabled = bool(self._mig_now.value)
        self.figures.values["mig_enabled"] = enabled
        self._slices.find(enabled)
        self.figures.values["slices"] = self._slices.read(self._now_s)

    def refresh_slices(self) -> None:
        """Read what each slice has of its own. Raises DriverGoneError and GpuLostError."""
        if self._slices.present:
            self.figures.values["slices"] = self._slices.read(self._now_s)

    def _read_processes(self) -> int:
        # A driver tells of the processes in a slice only when that slice is asked, unless one is
        # root.
        if self._slices.present:
            return self._slices.read_processes()
        return self._lists["compute"].read()

    def _store_processes(self) -> None:
        if self._slices.present:
            self.figures.values["processes"] = self._slices.processes
            return
        lists = self._lists.values()
        self.figures.values["processes"] = tuple(each for one in lists for each in one.processes)


_NO_ACTIVITY = gpm.absent()
_UNSUPPORTED = error_name(NOT_SUPPORTED)
_WAITING = "waiting for a second sample"
