"""How fast one thread of this processor copies memory: the roof of what NumPy does here."""

from __future__ import annotations

import time

import numpy as np

DEVICE = "CPU, one thread"


def copy_bytes_per_s(mebibytes: int = 64, attempts: int = 5) -> float:
    """The best of some copies; a copy reads and writes, so that it moves its size twice."""
    source = np.ones(mebibytes << 20, np.uint8)
    target = np.empty_like(source)
    best = float("inf")
    for _ in range(attempts):
        began = time.perf_counter()
        np.copyto(target, source)
        best = min(best, time.perf_counter() - began)
    return 2 * source.nbytes / best
