"""`cockpit record FILE`: write what happens on the box to a file that `--replay` plays."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from contextlib import closing
from pathlib import Path

from cockpit.cli.command import Command
from cockpit.cli.connect import open_box, run_async
from cockpit.cli.text import duration, parse_duration, print_json
from cockpit.client import Box, Connected, Disconnected
from cockpit.errors import CockpitError
from cockpit.model import SCHEMA, Snapshot
from cockpit.recording import Recorder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", metavar="FILE", help="the new file; an old one is never overwritten"
    )
    parser.add_argument(
        "--for", dest="length", metavar="DURATION", help="90s, 15m, 2h; without it until Ctrl+C"
    )
    parser.add_argument("--json", action="store_true", help="say at the end what was written")


def run(arguments: argparse.Namespace) -> int:
    """Record until the time is over or someone ends it; 1 when nothing came."""
    length_s = parse_duration(arguments.length, "--for") if arguments.length else None
    box = open_box(arguments)
    path = Path(arguments.file).expanduser()
    try:
        times = run_async(_record(box, path, length_s))
    except OSError as error:
        raise CockpitError(
            f"{path} could not be written to its end: {error.strerror or error}",
            "What was written before can be played.",
        ) from None
    seconds = times[-1] - times[0] if times else 0.0
    if arguments.json:
        size = path.stat().st_size
        facts = {"file": str(path.absolute()), "snapshots": len(times), "seconds": seconds}
        print_json({"schema": SCHEMA, **facts, "bytes": size})
    told = f"{len(times)} snapshots over {duration(seconds)} are in {path}"
    print(f"cockpit: {told}; `cockpit --replay {path}` plays them", file=sys.stderr)
    return 0 if times else 1


record = Command(add_arguments, run)


async def _record(box: Box, path: Path, length_s: float | None) -> list[float]:
    """Record until the time is over, Ctrl+C or SIGTERM; the times of the snapshots."""
    async with box:
        with closing(Recorder(path)) as recorder:
            times: list[float] = []
            work = asyncio.create_task(_write_all(box, recorder, times))
            for name in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(name, work.cancel)
            await asyncio.wait({work}, timeout=length_s)
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await work
    return times


async def _write_all(box: Box, recorder: Recorder, times: list[float]) -> None:
    async for update in box.follow(("snapshot", "event")):
        if isinstance(update, Connected):
            recorder.write(update.box)
        elif isinstance(update, Disconnected):
            print(f"cockpit: {update.reason}; trying again", file=sys.stderr)
        elif recorder.write(update) and isinstance(update, Snapshot):
            times.append(update.time_s)
