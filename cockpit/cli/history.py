"""`cockpit history GPU METRIC`: one metric of one GPU over time."""

from __future__ import annotations

import argparse
import difflib
import time
from dataclasses import replace

from cockpit.cli.chart import chart
from cockpit.cli.command import Command
from cockpit.cli.connect import open_box, run_async
from cockpit.cli.gpus import find_gpu
from cockpit.cli.text import GIB, duration, local_time, parse_time, print_json
from cockpit.client import Box
from cockpit.errors import UsageError
from cockpit.model import HISTORY_METRICS, SCHEMA, BoxInfo, GpuInfo, Series

CHART_POINTS, DATA_POINTS = 72, 2000

READABLE: tuple[tuple[str, float, str], ...] = (
    ("_bytes_per_s", 1e-9, "GB/s"),
    ("_bytes", 1 / GIB, "GiB"),
    ("_percent", 1.0, "%"),
    ("_mhz", 1.0, "MHz"),
    ("_w", 1.0, "W"),
    ("_c", 1.0, "°C"),
)
"""End of a metric's name → factor and unit on a page; JSON and CSV keep the metric's own unit."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = f"Metrics: {', '.join(HISTORY_METRICS)}."
    parser.add_argument("gpu", metavar="GPU", help="index, UUID or the beginning of a UUID")
    parser.add_argument("metric", metavar="METRIC", help="such as power_w; all are listed below")
    parser.add_argument(
        "--since", default="1h", help="90s, 15m, 2h, 7d ago, or 14:30, or 2026-11-24 (default: 1h)"
    )
    parser.add_argument("--until", default="now", help="the same way (default: now)")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="times and values as one document")
    form.add_argument("--csv", action="store_true", help="a line for each point in time")


def run(arguments: argparse.Namespace) -> int:
    """Print the series; 1 when nothing was recorded in that time."""
    if arguments.metric not in HISTORY_METRICS:
        near = difflib.get_close_matches(arguments.metric, HISTORY_METRICS, n=1, cutoff=0.3)
        hint = f"Did you mean {near[0]}? " if near else ""
        raise UsageError(
            f"there is no metric {arguments.metric!r}",
            f"{hint}There are: {', '.join(HISTORY_METRICS)}.",
        )
    now_s = time.time()
    since_s = parse_time(arguments.since, "--since", now_s)
    until_s = parse_time(arguments.until, "--until", now_s)
    if since_s >= until_s:
        raise UsageError("--since is not before --until", "Swap them, or leave --until out.")
    return run_async(_show(open_box(arguments), arguments, since_s, until_s))


history = Command(add_arguments, run)


async def _show(box: Box, arguments: argparse.Namespace, since_s: float, until_s: float) -> int:
    async with box:
        info = box.info
        assert info is not None
        gpu = find_gpu(info, arguments.gpu)
        points = DATA_POINTS if arguments.json or arguments.csv else CHART_POINTS
        series = await box.history(gpu.uuid, arguments.metric, since_s, until_s, points)
    if arguments.json:
        print_json(_document(info, gpu, series, since_s, until_s))
    elif arguments.csv:
        _print_csv(series)
    else:
        print(_plain(info, gpu, series, since_s, until_s))
    return 0 if any(value is not None for value in series.mean) else 1


def _document(
    info: BoxInfo, gpu: GpuInfo, series: Series, since_s: float, until_s: float
) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "box": {"name": info.name, "source": info.source},
        "gpu": {"index": gpu.index, "uuid": gpu.uuid, "name": gpu.name},
        "metric": series.metric,
        "since_s": since_s,
        "until_s": until_s,
        "resolution_s": series.resolution_s,
        "times_s": series.times_s,
        "minimum": series.minimum,
        "mean": series.mean,
        "maximum": series.maximum,
    }


def _print_csv(series: Series) -> None:
    print("time_s,minimum,mean,maximum")
    columns = zip(series.times_s, series.minimum, series.mean, series.maximum, strict=True)
    for time_s, *values in columns:
        cells = ["" if value is None else f"{value:.10g}" for value in values]
        print(f"{time_s:.3f},{','.join(cells)}")


def _plain(info: BoxInfo, gpu: GpuInfo, series: Series, since_s: float, until_s: float) -> str:
    series, unit = readable(series)
    simulated = " · SIMULATED" if info.simulated else ""
    in_unit = f" in {unit}" if unit else ""
    title = f"GPU {gpu.index} · {gpu.name}{simulated} · {series.metric}{in_unit}"
    ends = f"{local_time(since_s)} to {local_time(until_s)}"
    known = [value for value in series.mean if value is not None]
    if not known:
        return f"{title}\nNothing was recorded from {ends}."
    least = min(value for value in series.minimum if value is not None)
    most = max(value for value in series.maximum if value is not None)
    facts = (
        f"least {least:.4g} · mean {sum(known) / len(known):.4g} · most {most:.4g} · "
        f"newest {known[-1]:.4g} · one point is {duration(series.resolution_s)}"
    )
    return "\n".join([title, *chart(series, since_s, until_s, CHART_POINTS), ends, facts])


def readable(series: Series) -> tuple[Series, str]:
    """The series in the unit that people read, and that unit."""
    for ending, factor, unit in READABLE:
        if series.metric.endswith(ending):
            scaled = replace(
                series,
                minimum=_scaled(series.minimum, factor),
                mean=_scaled(series.mean, factor),
                maximum=_scaled(series.maximum, factor),
            )
            return scaled, unit
    return series, ""


def _scaled(values: tuple[float | None, ...], factor: float) -> tuple[float | None, ...]:
    return tuple(None if value is None else value * factor for value in values)
