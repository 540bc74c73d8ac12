"""Heat spreads over a plate whose upper edge is kept hot: a workload to start from."""

from __future__ import annotations

import sys
import time

from cockpit.sdk import job

WIDTH, HEIGHT = 64, 32
STEPS_PER_PICTURE = 10

Plate = list[list[float]]


def main() -> int:
    if job.stopping:
        return 0
    chosen = job.parameters.defaults(steps=600, conduction=0.2)
    plate: Plate = [[1.0] * WIDTH] + [[0.0] * WIDTH for _ in range(HEIGHT - 1)]
    for step in range(1, chosen.steps + 1):
        if job.stopping:
            break
        began = time.perf_counter()
        plate = conduct(plate, chosen.conduction)
        seconds = time.perf_counter() - began
        job.kernel("conduct", seconds=seconds, flops=6 * WIDTH * HEIGHT)
        job.progress(step, chosen.steps, "steps")
        if step % STEPS_PER_PICTURE == 0 or step == chosen.steps:
            job.metrics(step=step, mean_temperature=sum(map(sum, plate)) / (WIDTH * HEIGHT))
            job.frame("temperature", plate, low=0.0, high=1.0, step=step)
    return 0


def conduct(plate: Plate, share: float) -> Plate:
    """The plate a step later. Its upper edge stays as it is, its other edges let nothing through."""
    after = [plate[0]]
    for y in range(1, HEIGHT):
        above, row, below = plate[y - 1], plate[y], plate[min(y + 1, HEIGHT - 1)]
        left, right = [row[0], *row[:-1]], [*row[1:], row[-1]]
        neighbours = zip(row, above, below, left, right, strict=True)
        after.append([c + share * (a + b + le + r - 4 * c) for c, a, b, le, r in neighbours])
    return after


if __name__ == "__main__":
    sys.exit(main())
