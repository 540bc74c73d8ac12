"""How fast this device really copies memory: the roof of a kernel that only moves data."""

from __future__ import annotations

import time
from typing import Any

import warp as wp

CPU_BYTES = 128 << 20
CUDA_BYTES = 1 << 30
COPIES = 5


def measured_bandwidth(device: Any) -> float:
    """Bytes per second of the best of a few large copies, each byte counted read and written.

    On a CPU this is the one thread that Warp's kernels use.
    """
    device = wp.get_device(device)
    size = CPU_BYTES
    if device.is_cuda:
        size = min(CUDA_BYTES, device.free_memory // 8)
    source = wp.full(size // 4, 1.0, dtype=wp.float32, device=device)
    target = wp.empty_like(source)
    seconds = min(_copy_seconds(source, target, device) for _ in range(COPIES))
    return 2.0 * source.size * 4 / seconds


def _copy_seconds(source: Any, target: Any, device: Any) -> float:
    wp.synchronize_device(device)
    start = time.perf_counter()
    wp.copy(target, source)
    wp.synchronize_device(device)
    return time.perf_counter() - start
