"""A live wind tunnel: set up, run, and say in plain words what cannot be done."""

from __future__ import annotations

import os
import sys
from typing import Any

import checkpoint
from choices import output_of, physics_of, remarks_on, tunnel_of, with_automatic
from devices import check_layers, check_memory, chosen_devices, prepare_warp, told
from flow import prepare
from roofline import measured_bandwidth
from running import Run

from cockpit.sdk import job


def main() -> int:
    if job.stopping:
        return 0
    chosen = job.parameters.defaults(
        obstacle="cylinder",
        reynolds=100.0,
        height=0,
        depth=0,
        size=0.0,
        angle=8.0,
        section="0012",
        span=100.0,
        stl="",
        rotate_x=0.0,
        rotate_y=0.0,
        rotate_z=0.0,
        collision="auto",
        storage="fp32",
        steps=60_000,
        field="vorticity",
        plane="xy",
        position=50.0,
        frames_per_s=8.0,
        vtk="none",
        vtk_every=5000,
        vtk_budget_gb=2.0,
        checkpoint_every=0,
        restart="",
        device="auto",
        threads=1,
    )
    prepare_warp()
    try:
        return _prepared(dict(chosen))
    except ValueError as error:
        job.message(str(error), "error")
        return 2


def _prepared(chosen: dict[str, Any]) -> int:
    """Build everything, then run. Raises ValueError for what cannot be computed as chosen."""
    devices = chosen_devices(chosen["device"], chosen["threads"])
    start = _start(chosen["restart"])
    values = with_automatic(chosen, start.physics if start else {}, devices[0].is_cuda)
    output = output_of(values)
    check_layers(devices, values["depth"])
    tunnel = tunnel_of(values)
    check_memory(devices, tunnel.cells, tunnel.storage)
    remarks = remarks_on(tunnel)
    physics = physics_of(values, tunnel)
    if start is not None:
        _check_start(start, physics, values["steps"])
    job.message(
        f"{tunnel.length} × {tunnel.height} × {tunnel.depth} cells, {tunnel.obstacle.title} at"
        f" Reynolds {tunnel.reynolds:g}, relaxation time {tunnel.tau:.4f}, on {told(devices)}."
    )
    for remark in remarks:
        job.message(remark)
    on_gpu = devices[0].is_cuda
    if os.environ.get("CUDA_VISIBLE_DEVICES") and not on_gpu and values["device"] == "auto":
        job.message("No CUDA device can be used here, so the flow runs on the CPU.", "warning")
    job.message("Preparing the kernels; the first time on a machine this takes some seconds.")
    names = [str(device) for device in devices]
    prepare(tunnel.storage, tunnel.collision, names)
    job.roofline(bytes_per_s=measured_bandwidth(devices), measured=True, device=told(devices))
    flow = tunnel.flow(names)
    run = Run(tunnel, flow, output, physics, values["steps"], 1.0 / values["frames_per_s"])
    if start is not None:
        run.resume(start)
    return run.go()


def _start(restart: str) -> checkpoint.Checkpoint | None:
    """Where to go on from: as chosen, or the last state of this same job when it is tried again."""
    if restart:
        return checkpoint.load(checkpoint.find(restart, job.directory))
    own = checkpoint.newest(job.directory / checkpoint.FOLDER) if job.under_cockpit else None
    return checkpoint.load(own) if own else None


def _check_start(start: checkpoint.Checkpoint, physics: dict[str, Any], steps: int) -> None:
    different = checkpoint.differences(physics, start.physics)
    if different:
        raise ValueError(
            f"{start.path} is of another flow: {'; '.join(different)}. Choose the same as then."
        )
    if start.steps >= steps:
        raise ValueError(
            f"{start.path} is at step {start.steps:,} already: choose more than"
            f" {steps:,} steps to go on."
        )


if __name__ == "__main__":
    sys.exit(main())
