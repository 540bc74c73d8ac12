"""What the flow runs on: the GPUs that the job was given, or the CPU."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import warp as wp
from kernels import bytes_per_cell

NO_DRIVER = b"Could not find or load the NVIDIA CUDA driver"
"""Warp's native part says so on every machine without a GPU, whatever its log level. A workload
says in its own words what it runs on."""


def prepare_warp() -> None:
    """Keep compiled kernels for the next job, and Warp's own chatter out of the log."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    wp.config.kernel_cache_dir = str(caches / "cockpit" / "warp")
    wp.config.log_level = wp.LOG_ERROR
    with left_out_of_log(NO_DRIVER):
        wp.init()


@contextmanager
def left_out_of_log(words: bytes) -> Iterator[None]:
    """Drop the lines with `words` that native code writes to stderr meanwhile, and no others."""
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            said.seek(0)
            os.write(2, b"".join(line for line in said if words not in line))


def chosen_devices(choice: str, threads: int) -> list[Any]:
    """The Warp devices for `choice` (auto, cpu or cuda), one for each slab of the flow.

    On a CPU there are `threads` slabs, a thread each. Raises ValueError in words for the person.
    """
    has_cuda = wp.is_cuda_available() and wp.get_cuda_device_count() > 0
    if choice == "cuda" and not has_cuda:
        raise ValueError("No CUDA device can be used here. Choose the device auto or cpu.")
    if choice not in ("auto", "cpu", "cuda"):
        raise ValueError(f"{choice!r} is no device: choose auto, cpu or cuda.")
    if has_cuda and choice != "cpu":
        return list(wp.get_cuda_devices())
    return [wp.get_device("cpu")] * max(1, threads)


def told(devices: list[Any]) -> str:
    """The devices in words: `2 × NVIDIA H100 PCIe`."""
    count = len(devices)
    if devices[0].is_cuda:
        return str(devices[0].name) if count == 1 else f"{count} × {devices[0].name}"
    return "CPU, one thread" if count == 1 else f"CPU, {count} threads"


def check_layers(devices: list[Any], depth: int) -> None:
    """Raise ValueError if there are fewer layers of cells than devices to share them."""
    if len(devices) > depth:
        what = "GPUs" if devices[0].is_cuda else "threads"
        raise ValueError(
            f"A tunnel {depth} cells deep cannot be shared by {len(devices)} {what}: choose a depth"
            f" of {8 * len(devices)} or more, or fewer {what}."
        )


def check_memory(devices: list[Any], cells: int, storage: str) -> None:
    """Raise ValueError if so many cells do not fit into the memory of the devices."""
    needed = cells * bytes_per_cell(storage)
    if devices[0].is_cuda:
        free = sum(device.free_memory for device in devices)
    else:
        free = _free_host_bytes()
    if needed > 0.95 * free:
        smaller = "" if storage == "fp16" else ", or storage fp16"
        raise ValueError(
            f"{cells:,} cells take {needed / 1e9:,.1f} GB, and {free / 1e9:,.1f} GB are free."
            f" Choose a smaller height or depth{smaller}."
        )


def _free_host_bytes() -> int:
    """Memory that this machine can still give out, as the kernel reckons it."""
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return 1024 * int(line.split()[1])
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
