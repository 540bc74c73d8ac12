"""How fast this device really copies memory: the roof of a kernel that only moves data."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import warp as wp

CPU_BYTES = 128 << 20
CUDA_BYTES = 1 << 30
COPIES = 5


def measured_bandwidth(device: Any) -> float:
    """Bytes per second of the best of a few large copies, each byte counted read and written.

    `device` is one of Warp's, or several that copy at the same time, each by itself. The CPU named
    once is one thread, as Warp's kernels use; named twice it is two.
    """
    devices = list(device) if isinstance(device, (list, tuple)) else [device]
    pairs = [_arrays(wp.get_device(each)) for each in devices]
    with ThreadPoolExecutor(len(pairs)) as crew:
        seconds = min(_copy_seconds(pairs, crew) for _ in range(COPIES))
    return sum(2.0 * source.size * 4 for source, _ in pairs) / seconds


def _arrays(device: Any) -> tuple[Any, Any]:
    size = min(CUDA_BYTES, device.free_memory // 8) if device.is_cuda else CPU_BYTES
    source = wp.full(size // 4, 1.0, dtype=wp.float32, device=device)
    return source, wp.empty_like(source)


def _copy_seconds(pairs: Sequence[tuple[Any, Any]], crew: ThreadPoolExecutor) -> float:
    for source, _ in pairs:
        wp.synchronize_device(source.device)
    start = time.perf_counter()
    for _ in crew.map(_copy, pairs):
        pass
    return time.perf_counter() - start


def _copy(pair: tuple[Any, Any]) -> None:
    source, target = pair
    wp.copy(target, source)
    wp.synchronize_device(source.device)
