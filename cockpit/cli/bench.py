"""`cockpit bench`: run a plugin's benchmark as a job, print the table it reports, and keep it."""

from __future__ import annotations

import argparse
import json
import sys
import time
import uuid
from dataclasses import replace
from functools import partial
from typing import Any

from cockpit import codec, parameters, paths, plugins
from cockpit.cli.command import Command
from cockpit.cli.connect import load_config, open_box, options_of, run_async
from cockpit.cli.following import exit_code, follow_log, wait_ended, wait_started
from cockpit.cli.jobs import gpu_names
from cockpit.cli.patience import patiently
from cockpit.cli.text import print_json
from cockpit.cli.wish_options import parse_gpus
from cockpit.client import Box
from cockpit.errors import BoxError
from cockpit.model import SCHEMA, BoxInfo, Job, JobRequest, JobTable
from cockpit.plugins import BENCH_TABLE, Plugin


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "cockpit bench PLUGIN [--gpus N|LIST] [--json] [PARAMETERS]"
    parser.epilog = "`cockpit bench PLUGIN --help` lists its parameters."
    _add_common(parser)
    parser.add_argument("plugin", metavar="PLUGIN", help="name of a plugin with a benchmark")
    parser.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--gpus", metavar="N|LIST", help="how many GPUs, or which: 0,3 or UUIDs (one: `3,`)"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON (schema 1)")


def run(arguments: argparse.Namespace) -> int:
    """Run it to its end; with the job's exit code, or 1 if it reported no table."""
    directories = load_config(options_of(arguments)).plugin_directories()
    plugin = plugins.find(arguments.plugin, directories)
    parser = argparse.ArgumentParser(
        prog=f"cockpit bench {plugin.name}",
        description=f"The benchmark of {plugin.title}.",
        allow_abbrev=False,
    )
    _add_common(parser)
    parameters.add_options(parser, plugin.parameters)
    parser.parse_args(arguments.rest, arguments)
    given = parameters.given(arguments)
    # What is wrong is told before an agent is started.
    plugins.bench_request(plugin, given)
    submitted: list[Job] = []
    try:
        return run_async(_run(open_box(arguments), arguments, plugin, given, submitted))
    except KeyboardInterrupt:
        if submitted:
            job_id = submitted[0].id
            print(
                f"cockpit: detached, job {job_id} goes on; `cockpit stop {job_id}` ends it",
                file=sys.stderr,
            )
        raise


bench = Command(add_arguments, run)


async def _run(
    box: Box,
    arguments: argparse.Namespace,
    plugin: Plugin,
    given: dict[str, str],
    submitted: list[Job],
) -> int:
    async with box:
        assert box.info is not None
        request = plugins.bench_request(plugin, given, parse_gpus(arguments.gpus, box.info))
        job = await box.submit(replace(request, token=uuid.uuid4().hex))
        submitted.append(job)
        print(f"cockpit: job {job.id} ({job.name}) submitted", file=sys.stderr)
        await wait_started(box, job)
        if not arguments.json:
            await follow_log(box, job.id, to=sys.stderr.buffer)
        ended = await wait_ended(box, job.id)
        found = await _table(box, ended)
        document = _document(plugin, request, ended, box.info, found)
    if found is not None and ended.state == "COMPLETED":
        document["saved"] = _save(plugin.name, ended.id, document)
    if arguments.json:
        print_json(document)
    elif found is not None:
        from cockpit.cli.show import in_columns

        print("\n".join([_head(plugin, ended, box.info), in_columns(found)]))
    return _conclude(ended, found, document["saved"])


async def _table(box: Box, job: Job) -> JobTable | None:
    if BENCH_TABLE not in job.tables:
        return None
    try:
        return await patiently(box, partial(box.job_table, job.id, BENCH_TABLE))
    except BoxError as error:
        print(f"cockpit: {error}", file=sys.stderr)
        return None


def _conclude(job: Job, found: JobTable | None, saved: str | None) -> int:
    """The last words, on stderr, and the exit code."""
    reason = f": {job.reason}" if job.reason else ""
    print(f"cockpit: job {job.id} {job.state}{reason}", file=sys.stderr)
    if saved:
        print(f"cockpit: kept in {saved}", file=sys.stderr)
    if found is None:
        told = f"it reported no table called {BENCH_TABLE}: job.table({BENCH_TABLE!r}, …)"
        print(f"cockpit: {told}", file=sys.stderr)
        return exit_code(job) or 1
    return exit_code(job)


def _document(
    plugin: Plugin, request: JobRequest, job: Job, info: BoxInfo, found: JobTable | None
) -> dict[str, Any]:
    known = {gpu.uuid: gpu for gpu in info.gpus}
    return {
        "schema": SCHEMA,
        "plugin": plugin.name,
        "time_s": job.ended_s,
        "box": {
            "name": info.name,
            "source": info.source,
            "simulated": info.simulated,
            "driver_version": info.driver_version,
        },
        "gpus": [
            {"index": known[each].index, "uuid": each, "name": known[each].name}
            for each in job.gpus
            if each in known
        ],
        "device": job.roofline.device if job.roofline and job.roofline.device else None,
        "parameters": request.parameters,
        "job": job.id,
        "state": job.state,
        "exit_code": job.exit_code,
        "columns": found.columns if found else None,
        "rows": found.rows if found else None,
        "roofline": job.roofline,
        "kernels": job.kernels,
        "saved": None,
    }


def _save(plugin: str, job_id: str, document: dict[str, Any]) -> str | None:
    """Keep a result among the others of this plugin; told if that cannot be."""
    when = time.strftime("%Y-%m-%dT%H-%M-%S", time.localtime(document["time_s"]))
    file = paths.state_dir() / "benchmarks" / plugin / f"{when}-job-{job_id}.json"
    try:
        paths.make_private(file.parent)
        file.write_text(
            json.dumps(json.loads(codec.dumps({**document, "saved": str(file)})), indent=1) + "\n",
            encoding="utf-8",
        )
    except OSError as error:
        print(f"cockpit: the result could not be kept: {error}", file=sys.stderr)
        return None
    return str(file)


def _head(plugin: Plugin, job: Job, info: BoxInfo) -> str:
    """What was measured, and truly on what."""
    device = job.roofline.device if job.roofline else ""
    names = {gpu.uuid: gpu.name for gpu in info.gpus}
    if not job.gpus:
        where = ["no GPU"]
    else:
        models = " and ".join(dict.fromkeys(names.get(each, "GPU") for each in job.gpus))
        where = [f"GPU {gpu_names(job, info)}, {models}"]
        if info.simulated:
            where[0] += ", SIMULATED: what was measured is this machine"
    measured = [f"measured on {device}"] if device else []
    return " · ".join([f"{plugin.title} on {info.name}", *where, *measured])
