"""What a job asks for beside its command, as options of `cockpit run` and `cockpit exec`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from cockpit import wishes
from cockpit.errors import UsageError


def add_options(parser: argparse.ArgumentParser) -> None:
    """Devices, time, and the place in the queue."""
    parser.add_argument(
        "--gpus", metavar="N|LIST", help="how many GPUs, or which: 0,3 or UUIDs (one: `3,`)"
    )
    parser.add_argument(
        "--slice",
        action="append",
        default=[],
        metavar="PROFILE",
        help="a MIG slice such as 2g.20gb, or its UUID, instead of GPUs; may be given again",
    )
    parser.add_argument(
        "--gpu-memory",
        metavar="SIZE",
        help="only on GPUs with so much memory, such as 20G; of a shared one so much is set aside",
    )
    parser.add_argument(
        "--shared",
        action="store_true",
        help="let other shared jobs on its GPUs too, as far as --gpu-memory goes",
    )
    parser.add_argument(
        "--priority", metavar="N", help="from -1000 to 1000, default 0; higher ones start first"
    )
    parser.add_argument(
        "--time-limit", metavar="TIME", help="end the job after this long: 90s, 15m, 2h, 1d12h"
    )
    parser.add_argument(
        "--after",
        action="append",
        default=[],
        metavar="ID",
        help="start once this job has completed, and only then; may be given again",
    )
    parser.add_argument(
        "--array",
        metavar="INDICES",
        help="one job for each index: 0-9, 1,4,7-9, or 0-99%%4 for four at once;"
        " COCKPIT_ARRAY_INDEX tells them apart",
    )
    parser.add_argument(
        "--retries",
        metavar="N",
        help="start it again so often when it FAILED, each time after a longer pause",
    )


def asked(arguments: argparse.Namespace) -> dict[str, Any]:
    """The fields of JobRequest that the options say; not the GPUs, which only the box can tell.

    Raises UsageError that names the option.
    """
    indices, parallel = _read(arguments.array, "--array", wishes.array_indices) or ((), None)
    return {
        "slices": tuple(arguments.slice),
        "gpu_memory_bytes": _read(arguments.gpu_memory, "--gpu-memory", wishes.memory_bytes),
        "shared": arguments.shared,
        "priority": _read(arguments.priority, "--priority", wishes.priority) or 0,
        "time_limit_s": _read(arguments.time_limit, "--time-limit", wishes.duration_s),
        "after": tuple(arguments.after),
        "array": indices,
        "array_parallel": parallel,
        "retries": _read(arguments.retries, "--retries", wishes.retries) or 0,
    }


def _read(text: str | None, option: str, read: Callable[[str], Any]) -> Any:
    if text is None:
        return None
    try:
        return read(text)
    except ValueError as error:
        what, _, advice = str(error).partition(": write it as ")
        raise UsageError(f"{option}: {what}", f"Write it as {advice}." if advice else "") from None
