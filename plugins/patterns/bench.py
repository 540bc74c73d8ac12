"""How fast the reaction runs, by the size of the dish: what fits into the caches is faster."""

from __future__ import annotations

import sys
import time

from bandwidth import DEVICE, copy_bytes_per_s
from reaction import BYTES_PER_CELL, Dish

from cockpit.sdk import job

SIZES = (64, 128, 256, 512, 1024)
ATTEMPTS = 3


def main() -> int:
    chosen = job.parameters.defaults(feed=0.0545, kill=0.062, steps=200)
    roof = copy_bytes_per_s()
    job.roofline(bytes_per_s=roof, device=DEVICE)
    rows: list[tuple[int, float, float, float]] = []
    for number, size in enumerate(SIZES, start=1):
        dish = Dish(size, chosen.feed, chosen.kill, seed=1)
        dish.step(2)
        count = max(2, chosen.steps * SIZES[0] // size)
        seconds = min(_seconds(dish, count) for _ in range(ATTEMPTS))
        cells_per_s = count * size * size / seconds
        moved = BYTES_PER_CELL * cells_per_s
        job.kernel("react", seconds, count, bytes=moved * seconds)
        rows.append((size, cells_per_s / 1e6, moved / 1e9, 100 * moved / roof))
        job.table("bench", ["side", "Mcells/s", "GB/s", "% of a copy"], rows)
        job.progress(number, len(SIZES), "sizes")
    return 0


def _seconds(dish: Dish, count: int) -> float:
    began = time.perf_counter()
    dish.step(count)
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
