"""`cockpit status`: every GPU once, as a table or as the JSON contract."""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import Any

from cockpit.cli.command import Command
from cockpit.cli.connect import open_box, open_boxes, run_async
from cockpit.cli.text import figure, gib, local_time, of, parse_duration, print_json, table
from cockpit.client import Box, Connected, Disconnected
from cockpit.errors import BoxError
from cockpit.model import SCHEMA, BoxInfo, Gpu, Snapshot, reason_line, status_document

HEAD = (
    *("GPU", "POWER W", "°C", "UTIL %", "SM %", "TENSOR %", "DRAM %", "MEMORY GiB", "MHz"),
    "STATE",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Exit codes: 0 well, 1 a GPU is critical or lost or there is none, 2 bad use."
    parser.add_argument("--json", action="store_true", help="print the JSON contract (schema 1)")
    parser.add_argument(
        "--watch", metavar="S", help="print again every S seconds (2, 0.5, 1m), until Ctrl+C"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the newest snapshot. 1 when a GPU is critical or lost, or the box has a problem."""
    if arguments.watch is None:
        boxes = open_boxes(arguments)
        if len(boxes) > 1:
            return run_async(_many(boxes, arguments.json))
        return run_async(_once(boxes[0], arguments.json))
    interval_s = parse_duration(arguments.watch, "--watch")
    return run_async(_watch(open_box(arguments), arguments.json, interval_s))


status = Command(add_arguments, run)


async def read(box: Box) -> tuple[BoxInfo, Snapshot]:
    """The newest snapshot with the box it belongs to."""
    info = await box.connect()
    snapshot = await box.snapshot()
    if snapshot.box_revision != info.revision:
        info = await box.box()
    return info, snapshot


async def _once(box: Box, as_json: bool) -> int:
    async with box:
        info, snapshot = await read(box)
    _show(info, snapshot, as_json)
    return exit_code(info, snapshot)


async def _many(boxes: list[Box], as_json: bool) -> int:
    """All boxes at once, in the order they were named; one that is away is UNREACHABLE."""

    async def one(box: Box) -> tuple[BoxInfo, Snapshot] | BoxError:
        try:
            async with box:
                return await read(box)
        except BoxError as error:
            return error

    found = await asyncio.gather(*(one(box) for box in boxes))
    documents: list[dict[str, Any]] = []
    code = 0
    for box, answer in zip(boxes, found, strict=True):
        if isinstance(answer, BoxError):
            code = 1
            away = {"name": box.name, "state": "UNREACHABLE", "problem": answer.message}
            documents.append({"host": box.name, "box": away, "gpus": [], "totals": None})
            if not as_json:
                print(f"{box.name} · UNREACHABLE\n{answer}\n")
            continue
        code = max(code, exit_code(*answer))
        documents.append({"host": box.name, **status_document(*answer)})
        if not as_json:
            print(f"{plain(*answer)}\n")
    if as_json:
        print_json({"schema": SCHEMA, "boxes": documents})
    return code


async def _watch(box: Box, as_json: bool, interval_s: float) -> int:
    info = BoxInfo("", "simulated", None, 0)
    async for update in box.follow(("snapshot",), interval_s):
        if isinstance(update, Connected):
            info = update.box
        elif isinstance(update, BoxInfo):
            info = update
        elif isinstance(update, Disconnected):
            print(f"cockpit: {update.reason}; trying again", file=sys.stderr)
        elif isinstance(update, Snapshot):
            _show(info, update, as_json)
    return 0


def _show(info: BoxInfo, snapshot: Snapshot, as_json: bool) -> None:
    if as_json:
        print_json(status_document(info, snapshot))
    else:
        print(plain(info, snapshot), flush=True)


def exit_code(info: BoxInfo, snapshot: Snapshot) -> int:
    """1 when something needs a person now, else 0; a warning alone is 0."""
    bad = info.problem or any(gpu.state in ("critical", "lost") for gpu in snapshot.gpus)
    return 1 if bad else 0


def plain(info: BoxInfo, snapshot: Snapshot) -> str:
    """The snapshot as an aligned table, then what is wrong and what to do."""
    lines = [_title(info, snapshot)]
    if info.problem:
        lines += [info.problem, *([f"  {info.advice}"] if info.advice else [])]
    if snapshot.gpus:
        lines += [table(HEAD, [_row(gpu) for gpu in snapshot.gpus], left=(9,)), _total(snapshot)]
    for gpu in snapshot.gpus:
        lines += [f"{reason.severity:<8}  {reason_line(reason)}" for reason in gpu.reasons]
    return "\n".join(lines)


def _title(info: BoxInfo, snapshot: Snapshot) -> str:
    names = sorted({gpu.name for gpu in snapshot.gpus})
    parts = [info.name or info.hostname]
    if info.source == "replay":
        parts.append("REPLAY of a recording")
    if info.simulated:
        parts.append("SIMULATED")
    if info.driver_version:
        parts.append(f"driver {info.driver_version}")
    if names:
        parts.append(f"{len(snapshot.gpus)} × {' and '.join(names)}")
    return " · ".join([*parts, local_time(snapshot.time_s)])


def _row(gpu: Gpu) -> tuple[str, ...]:
    return (
        str(gpu.index),
        of(figure(gpu.power_w), figure(gpu.power_limit_w)),
        figure(gpu.temperature_c),
        figure(gpu.utilization_percent),
        figure(gpu.sm_active_percent),
        figure(gpu.tensor_active_percent),
        figure(gpu.dram_active_percent),
        of(gib(gpu.memory_used_bytes), gib(gpu.memory_total_bytes)),
        figure(gpu.sm_clock_mhz),
        " · ".join((gpu.state, *_marks(gpu))),
    )


def _marks(gpu: Gpu) -> list[str]:
    """What a glance wants beside the state: why it is slowed, its slices, its jobs."""
    slowed = [name.replace("_", " ") for name in gpu.throttle_reasons if name != "idle"]
    slices = [f"MIG {len(gpu.slices)} slices"] if gpu.mig_enabled else []
    everyone = [*gpu.processes, *(one for part in gpu.slices for one in part.processes)]
    jobs = sorted({process.job for process in everyone if process.job})
    return [*slowed, *slices, *(f"job {job}" for job in jobs)]


def _total(snapshot: Snapshot) -> str:
    totals = snapshot.totals
    parts = [
        f"{of(figure(totals.power_w), figure(totals.power_limit_w))} W",
        f"{of(gib(totals.memory_used_bytes), gib(totals.memory_total_bytes))} GiB",
    ]
    if totals.energy_today_j is not None:
        parts.append(f"{totals.energy_today_j / 3.6e6:.1f} kWh today")
    return f"Total: {' · '.join(parts)}"
