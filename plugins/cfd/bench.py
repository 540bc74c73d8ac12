"""`cockpit bench cfd`: is it right, how fast is it, and what share of the device's memory is that.

A periodic box full of fluid, for each storage and collision and for one to all devices. Each row
is held against copies measured on the same devices in the same run, and where the card is known
beside the published figure of FluidX3D, the fastest known code of this kind.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import numpy as np
from collisions import COLLISIONS
from devices import chosen_devices, prepare_warp, told
from flow import Flow
from kernels import STORAGES, bytes_per_cell
from roofline import measured_bandwidth

from cockpit.sdk import job

COLUMNS = [
    "devices", "cells", "storage", "collision", "MLUPS", "GB/s", "copy GB/s", "% of copy",
    "FluidX3D MLUPS", "% of FluidX3D",
]  # fmt: skip
CPU_CELLS, CUDA_CELLS = 128, 512
"""Along each edge of the box, for each device; what memory does not hold is made smaller."""
BATCH_S = 1.0
BATCHES = 3
SPEED, VISCOSITY = 0.02, 0.05

PUBLISHED = {
    "H200": {"fp32": 23_056, "fp16": 36_610},
    "H100 PCIe": {"fp32": 11_128, "fp16": 20_624},
    "H100 80GB HBM3": {"fp32": 17_602, "fp16": 29_561},
}
"""MLUPS of FluidX3D on one card by a part of the driver's name of it, with FP16S as fp16: its
README's table of single-GPU benchmarks (github.com/ProjectPhysX/FluidX3D). Not measured here."""


def main() -> int:
    chosen = job.parameters.defaults(device="auto")
    prepare_warp()
    try:
        devices = chosen_devices(chosen.device, len(os.sched_getaffinity(0)))
    except ValueError as error:
        job.message(str(error), "error")
        return 2
    kinds = [(storage, collision) for storage in STORAGES for collision in COLLISIONS]
    for storage, collision in kinds:
        if reason := wrong(devices, storage, collision):
            job.message(f"{storage}, {collision}: {reason} No speed is measured.", "error")
            return 1
    job.message("All kinds decay Taylor-Green vortices as they should, on any number of slabs.")
    rows: list[list[Any]] = []
    for count in _counts(len(devices)):
        roof = measured_bandwidth(devices[:count])
        if count == 1:
            job.roofline(bytes_per_s=roof, measured=True, device=told(devices[:1]))
        for storage, collision in kinds:
            if not job.stopping:
                rows.append(row(devices[:count], storage, collision, roof))
                job.progress(len(rows), len(kinds) * len(_counts(len(devices))), "measurements")
    job.table("bench", COLUMNS, rows)
    return 0


def row(devices: list[Any], storage: str, collision: str, roof: float) -> list[Any]:
    """One line of the table: a box on `devices`, beside their `roof` in bytes per second."""
    edge = _edge(devices[0], storage)
    shape = (edge * len(devices), edge, edge)
    flow = _vortices(shape, devices, storage, collision)
    seconds, steps = _best_batch(flow)
    mlups = flow.cells * steps / seconds / 1e6
    moved = flow.bytes_per_step * steps
    job.kernel(f"stream_collide {storage} {collision}", seconds=seconds, count=steps, bytes=moved)
    published = _published(devices, storage)
    return [
        told(devices),
        f"{shape[2]} × {shape[1]} × {shape[0]}",
        storage,
        collision,
        round(mlups, 1),
        round(moved / seconds / 1e9, 2),
        round(roof / 1e9, 2),
        round(100 * moved / seconds / roof, 1),
        published or "—",
        round(100 * mlups / published, 1) if published else "—",
    ]


def wrong(devices: list[Any], storage: str, collision: str) -> str | None:
    """Why this kind's numbers are not to be trusted; None if they are right.

    Taylor-Green vortices over 32 cells against their exact decay, and two slabs or all devices
    against one, bit for bit.
    """
    one = _vortices((4, 32, 32), devices[:1], storage, collision)
    _, start = one.plane("xy", 0)
    steps = 128
    one.step(steps)
    decay = np.exp(-2 * VISCOSITY * (2 * np.pi / 32) ** 2 * steps)
    _, found = one.plane("xy", 0)
    error = np.linalg.norm(found - decay * start) / np.linalg.norm(decay * start)
    if not error < 0.02:
        return f"Taylor-Green vortices are off by {100 * error:.2g} %."
    several = devices[:4] if len(devices) > 1 else devices * 2
    cut = _vortices((4, 32, 32), several, storage, collision)
    cut.step(steps)
    if not np.array_equal(cut.populations(), one.populations()):
        return f"{len(several)} slabs give other bits than one."
    return None


def _vortices(
    shape: tuple[int, int, int], devices: list[Any], storage: str, collision: str
) -> Flow:
    """Taylor-Green vortices as wide as the box, all along z."""
    x = (np.arange(shape[2]) * 2 * np.pi / shape[2])[None, None, :]
    y = (np.arange(shape[1]) * 2 * np.pi / shape[1])[None, :, None]
    velocity = np.stack([-np.cos(x) * np.sin(y), np.sin(x) * np.cos(y), 0 * x * y]) * SPEED
    return Flow(
        np.zeros(shape, dtype=np.uint8),
        VISCOSITY,
        velocity=velocity.astype(np.float32),
        density=1 - 0.75 * SPEED**2 * (np.cos(2 * x) + np.cos(2 * y)),
        device=devices,
        storage=storage,
        collision=collision,
    )


def _best_batch(flow: Flow) -> tuple[float, int]:
    """Seconds and steps of the fastest of a few batches; the first steps are not counted."""
    _seconds(flow, 2)
    count = max(2, round(2 * BATCH_S / _seconds(flow, 2)))
    return min(_seconds(flow, count) for _ in range(BATCHES)), count


def _seconds(flow: Flow, count: int) -> float:
    flow.synchronize()
    began = time.perf_counter()
    flow.step(count)
    flow.synchronize()
    return time.perf_counter() - began


def _edge(device: Any, storage: str) -> int:
    """Cells along each edge of a device's share: a multiple of 32 that fills half its memory."""
    if not device.is_cuda:
        return CPU_CELLS
    cells = device.free_memory / 2 / bytes_per_cell(storage)
    return int(min(CUDA_CELLS, cells ** (1 / 3))) // 32 * 32


def _counts(most: int) -> list[int]:
    """1, 2, 4 … and all of them."""
    return sorted({1, most, *(2**n for n in range(1, 10) if 2**n < most)})


def _published(devices: list[Any], storage: str) -> int | None:
    name = str(devices[0].name)
    found = [table[storage] for part, table in PUBLISHED.items() if part in name]
    return found[0] if found and len(devices) == 1 else None


if __name__ == "__main__":
    sys.exit(main())
