"""`cockpit events`: what happened on the box, or what one job reported, and as it happens."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from cockpit.cli.command import Command
from cockpit.cli.connect import open_box, run_async
from cockpit.cli.following import each_event
from cockpit.cli.text import DASH, local_time, parse_time, print_json, say_simulated
from cockpit.client import Box, Connected, Disconnected
from cockpit.model import SCHEMA, Event
from cockpit.reports import Report, report

LIMIT = 5000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "id", nargs="?", metavar="ID", help="what this job reported, not what happened on the box"
    )
    parser.add_argument(
        "-f", "--follow", action="store_true", help="go on as it happens: until the job ends, or ^C"
    )
    parser.add_argument(
        "--since",
        help="90s, 15m, 2h, 7d ago, or 14:30, or 2026-11-24 (default: 1d; of a job everything)",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="one document; with --follow, and of a job, a line for each event",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print events, oldest first."""
    since = arguments.since or ("" if arguments.id else "1d")
    since_s = parse_time(since, "--since", time.time()) if since else 0.0
    box = open_box(arguments)
    if arguments.id:
        return run_async(_of_job(box, arguments.id, since_s, arguments.follow, arguments.json))
    if arguments.follow:
        return run_async(_follow(box, since_s, arguments.json))
    return run_async(_once(box, since_s, arguments.json))


events = Command(add_arguments, run)


async def _once(box: Box, since_s: float, as_json: bool) -> int:
    async with box:
        found = await box.events(since_s, limit=LIMIT)
        info = box.info
    assert info is not None
    if as_json:
        names = {"name": info.name, "source": info.source}
        print_json({"schema": SCHEMA, "box": names, "events": found})
        return 0
    say_simulated(info)
    for event in found:
        print(line(event))
    if not found:
        print(f"cockpit: nothing happened since {local_time(since_s)}", file=sys.stderr)
    return 0


async def _follow(box: Box, since_s: float, as_json: bool) -> int:
    """Past events, then new ones. What happened while the agent was away is asked for again."""
    last_id = 0
    told = False
    async for update in box.follow(("event",)):
        if isinstance(update, Connected):
            if not as_json and not told:
                say_simulated(update.box)
            told = True
            for event in await box.events(since_s, last_id, LIMIT):
                last_id = _print_event(event, as_json, last_id)
        elif isinstance(update, Event):
            last_id = _print_event(update, as_json, last_id)
        elif isinstance(update, Disconnected):
            print(f"cockpit: {update.reason}; trying again", file=sys.stderr)
    return 0


async def _of_job(box: Box, job_id: str, since_s: float, follow: bool, as_json: bool) -> int:
    def tell(event: dict[str, Any]) -> None:
        told = report(event)
        if told.time_s is not None and told.time_s < since_s:
            return
        if as_json:
            print_json(event)
        else:
            print(report_line(told), flush=True)

    async with box:
        await each_event(box, job_id, follow, tell)
    return 0


def report_line(told: Report) -> str:
    """What a job reported as one line: when, what kind, what."""
    when = DASH if told.time_s is None else local_time(told.time_s)
    level = f"{told.level}: " if told.level != "info" else ""
    return f"{when:<19}  {told.kind:<10}  {level}{told.text}".rstrip()


def _print_event(event: Event, as_json: bool, last_id: int) -> int:
    if event.id <= last_id:
        return last_id
    if as_json:
        print_json({"schema": SCHEMA, **vars(event)})
    else:
        print(line(event), flush=True)
    return event.id


def line(event: Event) -> str:
    """One event as one line: when, which GPU, how bad, what, what to do."""
    where = "box" if event.gpu_index is None else f"GPU {event.gpu_index}"
    advice = f": {event.advice}" if event.advice else ""
    return f"{local_time(event.time_s)}  {where:<6}  {event.severity:<8}  {event.text}{advice}"
