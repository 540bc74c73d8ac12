"""The options of `run` and `exec` that say what a job needs: devices, priority, arrays, retries."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from cockpit import wishes
from cockpit.cli.gpus import find_gpu
from cockpit.errors import UsageError
from cockpit.model import BoxInfo, JobRequest

Wanted = int | tuple[str, ...]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add them to a parser; `read` takes them from what was given."""
    parser.add_argument(
        "--gpus", metavar="N|LIST", help="how many GPUs, or which: 0,3 or UUIDs (one: `3,`)"
    )
    parser.add_argument(
        "--gpu-memory", metavar="SIZE", help="only GPUs with so much memory each: 40G, 500M"
    )
    parser.add_argument(
        "--slice",
        action="append",
        default=[],
        metavar="PROFILE[:N]",
        help="a MIG slice instead of GPUs: 2g.20gb, 2g.20gb:3 or its UUID; may be given again",
    )
    sharing = parser.add_mutually_exclusive_group()
    sharing.add_argument(
        "--exclusive", action="store_true", help="be alone on the GPUs (the default)"
    )
    sharing.add_argument(
        "--shared",
        action="store_true",
        help="let other shared jobs on the same GPUs, as far as the --gpu-memory of each goes",
    )
    parser.add_argument(
        "--priority", metavar="N", help="-1000 to 1000: higher ones start first (default: 0)"
    )
    parser.add_argument(
        "--array",
        metavar="LIST",
        help="a job for each index: 0-9, 1,5,7 or 1-100:2; with %%4 at most four at once",
    )
    parser.add_argument(
        "--retries", metavar="N", help="try again so often when it fails, with growing pauses"
    )
    parser.add_argument(
        "--time-limit", metavar="TIME", help="end the job after this long: 90s, 15m, 2h, 1d12h"
    )


@dataclass(frozen=True)
class Wishes:
    """What was said, checked as far as that goes without the box."""

    gpus: str | None = None
    slices: tuple[str, ...] = ()
    gpu_memory_bytes: int | None = None
    shared: bool = False
    priority: int = 0
    array: tuple[int, ...] = ()
    array_parallel: int | None = None
    retries: int = 0
    time_limit_s: float | None = None

    def wanted(self, info: BoxInfo) -> Wanted | None:
        """How many devices, or which GPUs; None if nothing was said."""
        return len(self.slices) if self.slices else parse_gpus(self.gpus, info)

    def put_into(self, request: JobRequest) -> JobRequest:
        """The request, whose number of GPUs is right already, with all of this."""
        return replace(
            request,
            gpus=0 if self.slices else request.gpus,
            slices=self.slices,
            gpu_memory_bytes=self.gpu_memory_bytes,
            shared=self.shared,
            priority=self.priority,
            array=self.array,
            array_parallel=self.array_parallel,
            retries=self.retries,
            time_limit_s=self.time_limit_s,
        )


def read(arguments: argparse.Namespace) -> Wishes:
    """The options as they were given. Raises UsageError that names the first that is wrong."""
    slices = tuple(
        name for text in arguments.slice for name in _said(text, "--slice", wishes.slice_names)
    )
    if slices and arguments.gpus is not None:
        raise UsageError("--gpus and --slice exclude each other", "A job has GPUs or slices.")
    if len(slices) > wishes.SLICES_MOST:
        raise UsageError(f"--slice: {len(slices)} slices are more than any box has")
    array, parallel = _said(arguments.array, "--array", wishes.array_indices) or ((), None)
    return Wishes(
        arguments.gpus,
        slices,
        _said(arguments.gpu_memory, "--gpu-memory", wishes.memory_bytes),
        arguments.shared,
        _said(arguments.priority, "--priority", wishes.priority) or 0,
        array,
        parallel,
        _said(arguments.retries, "--retries", wishes.retries) or 0,
        _said(arguments.time_limit, "--time-limit", wishes.duration_s),
    )


def _said(text: str | None, option: str, read: Callable[[str], Any]) -> Any:
    """The value of an option; None if it was not given."""
    if text is None:
        return None
    try:
        return read(text)
    except ValueError as error:
        what, _, advice = str(error).partition(": ")
        raise UsageError(
            f"{option}: {what}", advice[:1].upper() + advice[1:] + "." if advice else ""
        ) from None


def parse_gpus(text: str | None, info: BoxInfo) -> Wanted | None:
    """`2` is a count; `0,3`, `3,` and UUIDs name them. None if nothing was said."""
    if text is None:
        return None
    if text.isdecimal():
        return int(text)
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names or text.lstrip().startswith("-"):
        raise UsageError(f"--gpus: {text!r} is no number of GPUs", "Write 2, or 0,3 to name them.")
    return tuple(find_gpu(info, name).uuid for name in names)
