"""What plain pynvml calls say of a GPU: the measure of every figure that cockpit shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pynvml as nv
import pytest
from standin.fixtures import Standin

MIB = 1 << 20


def field(handle: Any, number: int, scope: int = 0) -> int:
    entry = nv.nvmlDeviceGetFieldValues(handle, [(number, scope)])[0]
    assert entry.nvmlReturn == nv.NVML_SUCCESS
    return int(entry.value.uiVal if entry.valueType == 1 else entry.value.ullVal)


def activity(handle: Any, standin: Standin) -> dict[int, float]:
    first, second = nv.nvmlGpmSampleAlloc(), nv.nvmlGpmSampleAlloc()
    nv.nvmlGpmSampleGet(handle, first)
    # The activity is that of the second sample: the stand-in's clock is put back after it.
    standin.advance(-1)
    nv.nvmlGpmSampleGet(handle, first)
    standin.advance(1)
    nv.nvmlGpmSampleGet(handle, second)
    query = nv.c_nvmlGpmMetricsGet_t()
    query.version, query.numMetrics = nv.NVML_GPM_METRICS_GET_VERSION, 8
    query.sample1, query.sample2 = first, second
    numbers = (2, 3, 5, 10, 20, 21, 60, 61)
    for entry, number in zip(query.metrics, numbers, strict=False):
        entry.metricId = number
    nv.nvmlGpmMetricsGet(query)
    return {number: entry.value for entry, number in zip(query.metrics, numbers, strict=False)}


def as_pynvml_says(handle: Any, standin: Standin) -> dict[str, Any]:
    """The figures of one GPU, each by a plain pynvml call of its own."""
    memory = nv.nvmlDeviceGetMemoryInfo(handle, nv.nvmlMemory_v2)
    gpm = activity(handle, standin)
    correctable, uncorrectable, pending, failed = nv.nvmlDeviceGetRemappedRows(handle)
    return {
        "uuid": nv.nvmlDeviceGetUUID(handle),
        "name": nv.nvmlDeviceGetName(handle),
        "power_w": nv.nvmlDeviceGetPowerUsage(handle) / 1000,
        "power_instant_w": field(handle, nv.NVML_FI_DEV_POWER_INSTANT) / 1000,
        "power_limit_w": nv.nvmlDeviceGetPowerManagementLimit(handle) / 1000,
        "energy_j": nv.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000,
        "temperature_c": nv.nvmlDeviceGetTemperature(handle, nv.NVML_TEMPERATURE_GPU),
        "memory_temperature_c": field(handle, nv.NVML_FI_DEV_MEMORY_TEMP),
        "thermal_margin_c": nv.nvmlDeviceGetMarginTemperature(handle),
        "utilization_percent": nv.nvmlDeviceGetUtilizationRates(handle).gpu,
        "memory_used_bytes": memory.used,
        "memory_total_bytes": memory.total,
        "sm_clock_mhz": nv.nvmlDeviceGetClockInfo(handle, nv.NVML_CLOCK_SM),
        "memory_clock_mhz": nv.nvmlDeviceGetClockInfo(handle, nv.NVML_CLOCK_MEM),
        "sm_active_percent": gpm[2],
        "sm_occupancy_percent": gpm[3],
        "tensor_active_percent": gpm[5],
        "dram_active_percent": gpm[10],
        "pcie_tx_bytes_per_s": gpm[20] * MIB,
        "pcie_rx_bytes_per_s": gpm[21] * MIB,
        "nvlink_rx_bytes_per_s": gpm[60] * MIB,
        "nvlink_tx_bytes_per_s": gpm[61] * MIB,
        "pcie_generation": nv.nvmlDeviceGetCurrPcieLinkGeneration(handle),
        "pcie_width": nv.nvmlDeviceGetCurrPcieLinkWidth(handle),
        "pcie_replays": nv.nvmlDeviceGetPcieReplayCounter(handle),
        "ecc_corrected": nv.nvmlDeviceGetTotalEccErrors(handle, 0, 0),
        "ecc_uncorrected": nv.nvmlDeviceGetTotalEccErrors(handle, 1, 0),
        "remapped_rows": correctable + uncorrectable,
        "remap_pending": bool(pending),
        "remap_failed": bool(failed),
        "mig_enabled": bool(nv.nvmlDeviceGetMigMode(handle)[0]),
    }


@pytest.fixture
def plain_pynvml(standin: Standin) -> Iterator[Any]:
    """pynvml, initialized for calls of the test's own."""
    nv.nvmlInit()
    yield nv
    nv.nvmlShutdown()
