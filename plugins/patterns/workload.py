"""A dish of two chemicals: step, show, until done or asked to stop."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from bandwidth import DEVICE, copy_bytes_per_s
from picture import png
from reaction import BYTES_PER_CELL, FLOPS_PER_CELL, Dish

from cockpit.sdk import job

FRAME_S = 0.12
"""Seconds of computing between two live pictures."""
SAVE_S = 20.0
"""Seconds between two pictures in colour, each with a checkpoint."""
HIGH = 0.4
"""No pattern has much more product than this in a cell."""


def main() -> int:
    if job.stopping:
        return 0
    chosen = job.parameters.defaults(
        feed=0.0545, kill=0.062, size=192, steps=20_000, seed=1, start=""
    )
    dish = Dish(chosen.size, chosen.feed, chosen.kill, chosen.seed)
    if chosen.start:
        try:
            dish.load(Path(chosen.start))
        except (OSError, ValueError, KeyError) as error:
            job.message(f"{chosen.start} is no checkpoint to start from: {error}", "error")
            return 2
    job.roofline(bytes_per_s=copy_bytes_per_s(), device=DEVICE)
    _run(dish, dish.steps + chosen.steps)
    _keep(dish)
    return 0


def _run(dish: Dish, last: int) -> None:
    first, batch = dish.steps, 1
    cells = dish.product.size
    saved_s = time.monotonic()
    while dish.steps < last and not job.stopping:
        count = min(batch, last - dish.steps)
        began = time.perf_counter()
        dish.step(count)
        seconds = time.perf_counter() - began
        work = count * cells
        job.kernel(
            "react",
            seconds=seconds,
            count=count,
            bytes=BYTES_PER_CELL * work,
            flops=FLOPS_PER_CELL * work,
        )
        job.metrics(
            step=dish.steps,
            covered_percent=dish.covered_percent(),
            mcells_per_s=work / seconds / 1e6,
        )
        job.frame("product", dish.product, low=0.0, high=HIGH, step=dish.steps)
        job.progress(dish.steps - first, last - first, "steps")
        batch = max(1, min(4 * count, round(count * FRAME_S / seconds)))
        if time.monotonic() - saved_s > SAVE_S:
            _keep(dish)
            saved_s = time.monotonic()


def _keep(dish: Dish) -> None:
    """A picture, and a state to go on from."""
    job.image("dish", png(dish.product, 0.0, HIGH))
    path = job.directory / "dish.npz"
    try:
        dish.save(path)
    except OSError as error:
        job.message(f"No checkpoint: {error.strerror or error}", "warning")
        return
    job.checkpoint(path)


if __name__ == "__main__":
    sys.exit(main())
