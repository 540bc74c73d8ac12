"""`cockpit usage`: the ledger of a month, what the jobs took and what the box took besides."""

from __future__ import annotations

import argparse
import csv
import dataclasses
import re
import sys
import time

from cockpit import usage as ledger
from cockpit.cli.command import Command
from cockpit.cli.connect import open_box, run_async
from cockpit.cli.text import figure, local_time, parse_time, print_json, say_simulated, table
from cockpit.client import Box
from cockpit.errors import UsageError
from cockpit.model import SCHEMA, BoxInfo, LedgerEntry
from cockpit.usage import BoxUsage, Usage

JOULES_PER_KWH = 3.6e6


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Whole days of this machine's zone are counted; today up to now."
    parser.add_argument("--month", metavar="YYYY-MM", help="that month (default: this one)")
    parser.add_argument("--since", metavar="WHEN", help="from that day on: 2026-11-24, or 7d ago")
    parser.add_argument("--until", metavar="WHEN", help="up to that day, included (default: today)")
    parser.add_argument(
        "--by", choices=ledger.WAYS, default="plugin", help="one line for each (default: plugin)"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one document, in joules and seconds")
    form.add_argument("--csv", action="store_true", help="one line for each, in joules and seconds")


def run(arguments: argparse.Namespace) -> int:
    """Print the ledger; 1 when no job ran in that time."""
    since_s, until_s = span(arguments, time.time())
    return run_async(_show(open_box(arguments), arguments, since_s, until_s))


usage = Command(add_arguments, run)


def span(arguments: argparse.Namespace, now_s: float) -> tuple[float, float]:
    """The time that is asked about, in whole days. Raises UsageError."""
    if arguments.month is not None:
        if arguments.since or arguments.until:
            raise UsageError("--month is a span already", "Leave --since and --until out.")
        if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", arguments.month):
            raise UsageError(f"--month: {arguments.month!r} is no month", "Write it as 2026-11.")
        start_s = time.mktime(time.strptime(arguments.month, "%Y-%m"))
        end_s = min(ledger.next_month(start_s), now_s)
    else:
        since, until = arguments.since, arguments.until
        start_s = ledger.month_of(now_s)
        if since is not None:
            start_s = ledger.day_of(parse_time(since, "--since", now_s))
        end_s = now_s
        if until is not None:
            end_s = min(ledger.next_day(parse_time(until, "--until", now_s)), now_s)
    if start_s >= end_s:
        raise UsageError("that time is still to come, or ends before it begins")
    return start_s, end_s


async def _show(box: Box, arguments: argparse.Namespace, since_s: float, until_s: float) -> int:
    async with box:
        assert box.info is not None
        info = box.info
        entries = await box.usage(since_s, until_s)
        # The counters are kept by whole days, so the last moment of the last day names it.
        days = await box.energy(since_s, max(since_s, until_s - 1e-3))
    names = {gpu.uuid: str(gpu.index) for gpu in info.gpus}
    rows = ledger.summed(entries, since_s, until_s, arguments.by, lambda key: names.get(key, key))
    total = ledger.total(entries, since_s, until_s)
    whole = ledger.beside_the_box(total, info.gpu_count, days, since_s, until_s)
    if arguments.json:
        print_json(
            {
                "schema": SCHEMA,
                "box": {"name": info.name, "source": info.source, "currency": info.currency},
                "since_s": since_s,
                "until_s": until_s,
                "by": arguments.by,
                "rows": rows,
                "total": total,
                "whole_box": whole,
            }
        )
    elif arguments.csv:
        _print_csv(rows)
    else:
        say_simulated(info)
        print(page(info, rows, total, whole, since_s, until_s, arguments.by, entries))
    return 0 if rows else 1


def _print_csv(rows: list[Usage]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(field.name for field in dataclasses.fields(Usage))
    for row in rows:
        writer.writerow("" if value is None else value for value in vars(row).values())


def page(
    info: BoxInfo,
    rows: list[Usage],
    total: Usage,
    whole: BoxUsage,
    since_s: float,
    until_s: float,
    by: ledger.By,
    entries: list[LedgerEntry],
) -> str:
    """The ledger for people."""
    simulated = " · SIMULATED" if info.simulated else ""
    ends = f"{local_time(since_s, seconds=False)} to {local_time(until_s, seconds=False)}"
    lines = [f"{info.name}{simulated} · {ends}"]
    if rows:
        by_job = {entry.job: entry for entry in entries}
        names = (lambda key: _job_name(by_job, key)) if by == "job" else str
        head = (by.upper(), "JOBS", "GPU HOURS", "KWH", info.currency, "CO2 KG", "MEAN W")
        cells = [_row(row, names(row.key)) for row in (*rows, total)]
        lines.append(table(head, cells, left=(0,)))
    else:
        lines.append("No job had a GPU in that time.")
    return "\n".join([*lines, *_whole(whole, total)])


def _job_name(by_job: dict[str, LedgerEntry], key: str) -> str:
    return f"{key} {by_job[key].name}" if key in by_job else key


def _row(row: Usage, name: str) -> tuple[str, ...]:
    return (
        name,
        str(row.jobs),
        f"{row.gpu_seconds / 3600:.2f}",
        _kwh(row.energy_j),
        figure(row.cost, 2),
        figure(None if row.co2_g is None else row.co2_g / 1000, 3),
        figure(row.mean_w),
    )


def _kwh(energy_j: float | None) -> str:
    return figure(None if energy_j is None else energy_j / JOULES_PER_KWH, 3)


def _whole(whole: BoxUsage, total: Usage) -> list[str]:
    """What the owner wants to see: how much of the box, and of its energy, went into no job."""
    since = (
        f", counted from {local_time(whole.watched_since_s, seconds=False)[:10]} on"
        if whole.watched_since_s
        else ""
    )
    if whole.gpu_seconds is None or whole.idle_seconds is None:
        return ["Nobody watched the box in that time: its own energy is not known."]
    lines = [
        f"Box: {whole.gpu_count} GPUs, {whole.gpu_seconds / 3600:.1f} GPU hours{since};"
        f" {whole.idle_seconds / 3600:.1f} ({figure(whole.idle_percent)} %) in no job",
        f"Energy of all GPUs: {_kwh(whole.energy_j)} kWh; {_kwh(whole.unaccounted_j)} in no job's"
        " account (idling, others)",
    ]
    if total.slice_seconds:
        lines.append(f"Slices: {total.slice_seconds / 3600:.2f} slice hours")
    if total.without_energy:
        jobs = "1 job" if total.without_energy == 1 else f"{total.without_energy} jobs"
        lines.append(
            f"{jobs} without energy: shared, on slices, or too short; `cockpit job ID` says why"
        )
    return lines
