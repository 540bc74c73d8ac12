"""GPM: Hopper's own activity counters, as the difference of two samples."""

from __future__ import annotations

import ctypes
import struct
from operator import mul
from typing import Any

import pynvml

from cockpit.agent.telemetry.nvml.library import (
    NOT_SUPPORTED,
    SUCCESS,
    Library,
    ReadError,
    error_name,
    plain,
)

MIB = 1 << 20
CLOSEST_S = 0.1
"""Hopper counts over 100 ms: two samples closer than that have nothing between them."""

METRICS: dict[str, tuple[int, float]] = {
    "sm_active_percent": (pynvml.NVML_GPM_METRIC_SM_UTIL, 1.0),
    "sm_occupancy_percent": (pynvml.NVML_GPM_METRIC_SM_OCCUPANCY, 1.0),
    "tensor_active_percent": (pynvml.NVML_GPM_METRIC_ANY_TENSOR_UTIL, 1.0),
    "dram_active_percent": (pynvml.NVML_GPM_METRIC_DRAM_BW_UTIL, 1.0),
    "pcie_rx_bytes_per_s": (pynvml.NVML_GPM_METRIC_PCIE_RX_PER_SEC, MIB),
    "pcie_tx_bytes_per_s": (pynvml.NVML_GPM_METRIC_PCIE_TX_PER_SEC, MIB),
    "nvlink_rx_bytes_per_s": (pynvml.NVML_GPM_METRIC_NVLINK_TOTAL_RX_PER_SEC, MIB),
    "nvlink_tx_bytes_per_s": (pynvml.NVML_GPM_METRIC_NVLINK_TOTAL_TX_PER_SEC, MIB),
}
"""Metric → its GPM number, and the factor from GPM's unit to ours."""

SLICE_METRICS = ("sm_active_percent", "tensor_active_percent", "dram_active_percent")
"""What a MIG slice has of its own."""

_HEADER_BYTES = pynvml.c_nvmlGpmMetricsGet_t.metrics.offset
_ENTRY = struct.Struct("=4xId24x")

if _ENTRY.size != ctypes.sizeof(pynvml.c_nvmlGpmMetric_t):
    raise ImportError("pynvml lays out c_nvmlGpmMetric_t in a way that cockpit does not know")


def supported(library: Library, handle: Any) -> bool:
    """Has this GPU these counters? Raises as `Library.call` does, but for ReadError."""
    query = pynvml.c_nvmlGpmSupport_t()
    query.version = pynvml.NVML_GPM_SUPPORT_VERSION
    try:
        library.call("nvmlGpmQueryDeviceSupport", handle, ctypes.byref(query))
    except ReadError:
        return False
    return bool(query.isSupportedDevice)


class Activity:
    """The counters of a GPU, or of one GPU instance of it.

    Two samples are turned round, and one query struct (19 KB) is kept. After `read`, `values` has
    what could be read and `errors` why the rest could not.
    """

    def __init__(
        self,
        library: Library,
        handle: Any,
        metrics: tuple[str, ...] = tuple(METRICS),
        gpu_instance: int | None = None,
    ) -> None:
        """Raises as `Library.call` does."""
        self.values: dict[str, float] = {}
        self.errors: dict[str, str] = {}
        self._metrics = metrics
        self._free = library.function("nvmlGpmSampleFree")
        self._samples: list[Any] = []
        for _ in range(2):
            kind = pynvml.c_nvmlGpmSample_t
            self._samples.append(library.handle("nvmlGpmSampleAlloc", kind=kind))
        if gpu_instance is None:
            self._sample = [
                library.bind("nvmlGpmSampleGet", handle, sample) for sample in self._samples
            ]
        else:
            self._sample = [
                library.bind("nvmlGpmMigSampleGet", handle, gpu_instance, sample)
                for sample in self._samples
            ]
        self._query = plain(pynvml.c_nvmlGpmMetricsGet_t)()
        self._query.version = pynvml.NVML_GPM_METRICS_GET_VERSION
        self._query.numMetrics = len(metrics)
        for entry, metric in zip(self._query.metrics, metrics, strict=False):
            entry.metricId = METRICS[metric][0]
        self._get = library.bind("nvmlGpmMetricsGet", ctypes.byref(self._query))
        self._unpack = struct.Struct("=" + "4xId24x" * len(metrics)).unpack_from
        self._factors = [METRICS[metric][1] for metric in metrics]
        self._newest = 0
        self._sampled_s: float | None = None

    def read(self, now_s: float) -> int:
        """Sample, and compare with the sample before; returns NVML's code.

        The first reading has nothing to compare with, and one that follows within 100 ms keeps
        what was read before.
        """
        before = self._sampled_s
        if before is not None and now_s - before < CLOSEST_S:
            return SUCCESS
        older, newer = self._newest, 1 - self._newest
        code = self._sample[newer]()
        if code:
            self._sampled_s = None
            return code
        self._newest, self._sampled_s = newer, now_s
        if before is None:
            self.values = {}
            self.errors = dict.fromkeys(self._metrics, "waiting for a second sample")
            return SUCCESS
        self._query.sample1, self._query.sample2 = self._samples[older], self._samples[newer]
        code = self._get()
        if code == SUCCESS:
            self._decode()
        return code

    def close(self) -> None:
        """Free the samples."""
        for sample in self._samples:
            self._free(sample)
        self._samples = []

    def _decode(self) -> None:
        flat = self._unpack(self._query, _HEADER_BYTES)
        codes = flat[0::2]
        values = dict(zip(self._metrics, map(mul, flat[1::2], self._factors), strict=True))
        errors: dict[str, str] = {}
        if any(codes):
            for metric, code in zip(self._metrics, codes, strict=True):
                if code != SUCCESS:
                    errors[metric] = error_name(code)
                    del values[metric]
        self.values, self.errors = values, errors


def absent(metrics: tuple[str, ...] = tuple(METRICS)) -> dict[str, str]:
    """The errors of a GPU that has no such counters."""
    return dict.fromkeys(metrics, error_name(NOT_SUPPORTED))
