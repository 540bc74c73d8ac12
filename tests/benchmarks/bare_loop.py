"""The peer of the agent: plain pynvml calls for the same values at the same pace, and no screen.

`python bare_loop.py SECONDS_BETWEEN` runs until it is ended.
"""

from __future__ import annotations

import sys
import time

import pynvml

FIELDS = [82, 83, 185, 186, 190, 94, 142, 143, 144, 145, 3, 4, 197, 198, 138, 139, 230]
GPM_METRICS = [2, 3, 5, 10, 20, 21, 60, 61]


def gpm_values(handle: object, samples: list[object]) -> list[float]:
    """The activity since the last call; `samples` holds the two samples and is turned round."""
    pynvml.nvmlGpmSampleGet(handle, samples[1])
    query = pynvml.c_nvmlGpmMetricsGet_t()
    query.version = pynvml.NVML_GPM_METRICS_GET_VERSION
    query.numMetrics = len(GPM_METRICS)
    query.sample1, query.sample2 = samples
    for slot, metric in enumerate(GPM_METRICS):
        query.metrics[slot].metricId = metric
    pynvml.nvmlGpmMetricsGet(query)
    samples.reverse()
    return [query.metrics[slot].value for slot in range(len(GPM_METRICS))]


def read(handle: object, samples: list[object]) -> list[object]:
    """What the status contract has that changes from second to second, for one GPU."""
    fields = pynvml.nvmlDeviceGetFieldValues(handle, FIELDS)
    values: list[object] = [entry.value.ullVal for entry in fields]
    values.append(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu)
    values.append(pynvml.nvmlDeviceGetMemoryInfo(handle).used)
    values.append(pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM))
    values.append(pynvml.nvmlDeviceGetCurrentClocksEventReasons(handle))
    values.append(pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU))
    values.extend(gpm_values(handle, samples))
    return values


def read_slow(handle: object) -> list[object]:
    """What changes rarely or is dear; the agent reads it every third second too."""
    return [
        pynvml.nvmlDeviceGetComputeRunningProcesses(handle),
        pynvml.nvmlDeviceGetGraphicsRunningProcesses(handle),
        pynvml.nvmlDeviceGetMarginTemperature(handle),
        pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_MEM),
    ]


def main(interval_s: float) -> None:
    pynvml.nvmlInit()
    handles = [
        pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())
    ]
    samples = [[pynvml.nvmlGpmSampleAlloc(), pynvml.nvmlGpmSampleAlloc()] for _ in handles]
    for handle, pair in zip(handles, samples, strict=True):
        pynvml.nvmlGpmSampleGet(handle, pair[0])
    next_read, turn = time.monotonic(), 0
    while True:
        for handle, pair in zip(handles, samples, strict=True):
            read(handle, pair)
            if turn % 3 == 0:
                read_slow(handle)
        turn += 1
        next_read += interval_s
        time.sleep(max(0.0, next_read - time.monotonic()))


if __name__ == "__main__":
    main(float(sys.argv[1]))
