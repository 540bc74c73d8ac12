"""Where it runs, and in which precision."""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Callable
from typing import Any

import torch

from cockpit.sdk import job


def count_of_ranks(device: str, processes: int) -> int:
    """How many processes train together: one for each GPU, or on a CPU as many as were chosen.

    Raises ValueError, in words for the person, if there is no such device.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise ValueError(f"{device!r} is no device: choose auto, cpu or cuda.")
    if not uses_cuda(device):
        return processes or 1
    there = torch.cuda.device_count()
    if processes > there:
        raise ValueError(
            f"{processes} processes want a GPU each, and this job has {there}: ask for more with"
            " --gpus."
        )
    return processes or there


def uses_cuda(device: str) -> bool:
    """Raises ValueError, in words for the person, if CUDA was chosen and is not there."""
    there = torch.cuda.is_available()
    if device == "cuda" and not there:
        raise ValueError("No CUDA device can be used here: choose --device cpu, or ask for a GPU.")
    return there and device != "cpu"


def is_half(precision: str, use_cuda: bool) -> bool:
    """Whether the model computes in bfloat16."""
    if precision not in ("auto", "bf16", "fp32"):
        raise ValueError(f"{precision!r} is no precision: choose auto, bf16 or fp32.")
    if precision == "auto":
        return use_cuda and torch.cuda.is_bf16_supported()
    return precision == "bf16"


def autocast_of(half: bool, use_cuda: bool) -> Callable[[], Any]:
    if not half:
        return contextlib.nullcontext
    kind = "cuda" if use_cuda else "cpu"
    return lambda: torch.autocast(kind, dtype=torch.bfloat16)


def measured_flops_per_s(device: str, half: bool) -> float:
    """The best of some large matrix products, in the precision that the model computes in."""
    side = 8192 if device != "cpu" else 768
    kind = torch.bfloat16 if half else torch.float32
    left, right = (torch.ones(side, side, dtype=kind, device=device) for _ in range(2))
    best = math.inf
    for _ in range(5):
        began = time.perf_counter()
        (left @ right)[0, 0].item()
        best = min(best, time.perf_counter() - began)
    return 2.0 * side**3 / best


def told(use_cuda: bool, count: int) -> str:
    """The devices in words."""
    if use_cuda:
        return f"{count} × {torch.cuda.get_device_name()}"
    return "the CPU" if count == 1 else f"the CPU, in {count} processes"


def warn_of_the_cpu(use_cuda: bool, device: str) -> None:
    if os.environ.get("CUDA_VISIBLE_DEVICES") and not use_cuda and device == "auto":
        job.message("No CUDA device can be used here, so it trains on the CPU.", "warning")
