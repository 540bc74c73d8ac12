"""A live wind tunnel: set up, step, show, until done or asked to stop."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import warp as wp
from flow import prepare
from roofline import measured_bandwidth
from tunnel import Tunnel, fields

from cockpit.sdk import job

CPU_HEIGHT, GPU_HEIGHT = 80, 192
BATCH_SHARE = 1.25
"""A batch lasts this part of a frame's time, so that showing it fits in between."""

GROWTH = 8
"""One batch to the next, at most: a lucky first measurement must not make a batch of minutes."""


def main() -> int:
    if job.stopping:
        return 0
    chosen = job.parameters.defaults(
        obstacle="cylinder",
        reynolds=100.0,
        height=0,
        depth=0,
        steps=60_000,
        frames_per_s=8.0,
        device="auto",
    )
    _prepare_warp()
    try:
        device = _device(chosen.device)
        tunnel = _tunnel(chosen, device)
    except ValueError as error:
        job.message(str(error), "error")
        return 2
    job.message(
        f"{tunnel.length} × {tunnel.height} × {tunnel.depth} cells, {tunnel.obstacle} at Reynolds"
        f" {tunnel.reynolds:g}, relaxation time {tunnel.tau:.3f}, on {_told(device)}."
    )
    if os.environ.get("CUDA_VISIBLE_DEVICES") and not device.is_cuda and chosen.device == "auto":
        job.message("No CUDA device can be used here, so the flow runs on the CPU.", "warning")
    return _run(tunnel, device, chosen.steps, 1.0 / chosen.frames_per_s)


def _run(tunnel: Tunnel, device: Any, steps: int, frame_s: float) -> int:
    job.message("Preparing the kernels; the first time on a machine this takes some seconds.")
    prepare("fp32", "bgk", [str(device)])
    job.roofline(bytes_per_s=measured_bandwidth(device), measured=True, device=_told(device))
    flow = tunnel.flow(device=str(device))
    _show(tunnel, flow, steps)
    batch = 1
    while flow.steps < steps and not job.stopping:
        count = min(batch, steps - flow.steps)
        seconds = _timed_steps(flow, device, count)
        job.kernel(
            "stream_collide", seconds=seconds, count=count, bytes=flow.bytes_per_step * count
        )
        job.metrics(step=flow.steps, mlups=flow.fluid_cells * count / seconds / 1e6)
        if not _show(tunnel, flow, steps):
            job.message(f"The flow became unstable by step {flow.steps}.", "error")
            return 1
        batch = max(1, min(GROWTH * count, round(count * frame_s / BATCH_SHARE / seconds)))
    ended = "Stopped as asked" if flow.steps < steps else "Done"
    job.message(f"{ended} after {flow.steps:,} of {steps:,} steps.")
    return 0


def _timed_steps(flow: Any, device: Any, count: int) -> float:
    """Take `count` steps and return the seconds that the device needed for them."""
    if device.is_cuda:
        start, end = wp.Event(device, enable_timing=True), wp.Event(device, enable_timing=True)
        wp.record_event(start)
        flow.step(count)
        wp.record_event(end)
        return float(wp.get_event_elapsed_time(start, end)) / 1e3
    began = time.perf_counter()
    flow.step(count)
    return time.perf_counter() - began


def _show(tunnel: Tunnel, flow: Any, steps: int) -> bool:
    """Tell how it stands. False if the numbers are no longer finite."""
    drag, lift = tunnel.coefficients(flow.force())
    job.progress(flow.steps, steps, "steps")
    if flow.steps >= tunnel.settled_steps:
        job.metrics(step=flow.steps, drag=drag, lift=lift)
    speed, vorticity = fields(flow.slice(tunnel.depth // 2, tunnel.block), tunnel.block)
    job.frame("speed", speed, low=0.0, high=1.6, step=flow.steps)
    limit = 5.0 / tunnel.diameter
    job.frame("vorticity", vorticity, low=-limit, high=limit, step=flow.steps)
    return bool(np.isfinite(drag))


def _prepare_warp() -> None:
    """Keep compiled kernels for the next job, and Warp's own chatter out of the log."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    wp.config.kernel_cache_dir = str(caches / "cockpit" / "warp")
    wp.config.log_level = wp.LOG_ERROR
    wp.init()


def _device(choice: str) -> Any:
    """The Warp device for `choice`: auto, cpu or cuda. ValueError if there is none."""
    has_cuda = wp.is_cuda_available() and wp.get_cuda_device_count() > 0
    if choice == "cuda" and not has_cuda:
        raise ValueError("No CUDA device can be used here. Choose the device auto or cpu.")
    if choice not in ("auto", "cpu", "cuda"):
        raise ValueError(f"{choice!r} is no device: choose auto, cpu or cuda.")
    return wp.get_device("cuda:0" if has_cuda and choice != "cpu" else "cpu")


def _told(device: Any) -> str:
    return str(device.name) if device.is_cuda else "CPU, one thread"


def _tunnel(chosen: Any, device: Any) -> Tunnel:
    """The tunnel as chosen; 0 means what suits the device."""
    height = chosen.height or (GPU_HEIGHT if device.is_cuda else CPU_HEIGHT)
    deep = device.is_cuda or chosen.obstacle == "sphere"
    depth = chosen.depth or (height if deep else 1)
    return Tunnel(height, depth, chosen.reynolds, chosen.obstacle)


if __name__ == "__main__":
    sys.exit(main())
