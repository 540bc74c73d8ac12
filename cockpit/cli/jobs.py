"""`cockpit jobs`, `job`, `logs`, `wait` and `stop`: what became of jobs."""

from __future__ import annotations

import argparse
import asyncio
import shlex
import sys
import time
from collections.abc import Sequence

from cockpit.cli.arrays import expand, label
from cockpit.cli.command import Command
from cockpit.cli.connect import load_config, open_box, options_of, run_async
from cockpit.cli.following import exit_code, follow_log, wait_ended, wait_ready, write_log
from cockpit.cli.job_figures import LONG_HEAD, long_row, used
from cockpit.cli.text import (
    DASH,
    duration,
    figure,
    local_time,
    parse_duration,
    print_json,
    say_simulated,
    table,
)
from cockpit.client import Box
from cockpit.errors import CockpitError, UsageError
from cockpit.model import ENDED_STATES, SCHEMA, BoxInfo, Job

STOPPED_AT_ONCE = 100
HEAD = ("ID", "NAME", "STATE", "GPUS", "PROGRESS", "SUBMITTED", "TIME", "REASON")


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print the JSON contract (schema 1)")


def _add_id(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="a job, as `cockpit jobs` lists it")


def _add_ids(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ids", nargs="+", metavar="ID", help="a job, or 12[] for an array")


def run_jobs(arguments: argparse.Namespace) -> int:
    """Print every job, newest first."""

    async def work(box: Box) -> int:
        async with box:
            found = await box.jobs()
            if arguments.ids:
                wanted = set(await expand(box, arguments.ids))
                found = tuple(job for job in found if job.id in wanted)
            assert box.info is not None
            if arguments.json:
                print_json({"schema": SCHEMA, "jobs": found})
                return 0
            say_simulated(box.info)
            if found and arguments.long:
                rows = [(*_row(job, box.info)[:-1], *long_row(job), job.reason) for job in found]
                print(table((*HEAD[:-1], *LONG_HEAD, HEAD[-1]), rows, left=(1, 2, 3, 5, 14)))
            elif found:
                rows = [_row(job, box.info) for job in found]
                print(table(HEAD, rows, left=(1, 2, 3, 5, 7)))
            else:
                print("cockpit: no jobs yet; `cockpit plugins` lists what to run", file=sys.stderr)
        return 0

    return run_async(work(open_box(arguments)))


def _add_jobs_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ids", nargs="*", metavar="ID", help="only these, or 12[] for an array")
    _add_json(parser)
    parser.add_argument(
        "--long", action="store_true", help="with energy, cost, CO2, power and memory"
    )


jobs = Command(_add_jobs_arguments, run_jobs)


def _row(job: Job, info: BoxInfo) -> tuple[str, ...]:
    return (
        job.id,
        job.name,
        job.state,
        gpu_names(job, info),
        progress(job),
        local_time(job.submitted_s, seconds=False),
        DASH if job.started_s is None else duration(_seconds(job)),
        job.reason,
    )


def _seconds(job: Job) -> float:
    return (job.ended_s or time.time()) - (job.started_s or 0.0)


def gpu_names(job: Job, info: BoxInfo) -> str:
    """Indices of the job's GPUs on this box; a UUID that it no longer has stays one.

    A slice goes by the beginning of its UUID.
    """
    indices = {gpu.uuid: str(gpu.index) for gpu in info.gpus}
    slices = [uuid[:12] for uuid in job.slices]
    return ",".join([*(indices.get(uuid, uuid) for uuid in job.gpus), *slices]) or DASH


def service_words(job: Job) -> str:
    """How the service that a job is can be reached, and how it is."""
    service = job.service
    assert service is not None
    words = service.state + (f": {service.detail}" if service.detail else "")
    if service.port is not None:
        words += f" · {service.protocol} on 127.0.0.1:{service.port} of its box"
    return words + (f" · {', '.join(service.models)}" if service.models else "")


def progress(job: Job) -> str:
    """How far a job is, and how long it still takes at this pace; of a service, how it is."""
    if job.service is not None and job.progress is None:
        return job.service.state if job.state not in ENDED_STATES else DASH
    if job.progress is None or job.progress.total <= 0:
        return DASH
    text = f"{100 * job.progress.done / job.progress.total:.0f} %"
    if job.progress.eta_s is not None and job.state not in ENDED_STATES:
        text += f", {duration(job.progress.eta_s)} left"
    return text


def _add_job_arguments(parser: argparse.ArgumentParser) -> None:
    _add_id(parser)
    _add_json(parser)


def run_job(arguments: argparse.Namespace) -> int:
    """Print one job in full."""

    async def work(box: Box) -> int:
        async with box:
            found = await box.job(arguments.id)
            assert box.info is not None
            print_job(found, arguments.json, box.info)
        return 0

    return run_async(work(open_box(arguments)))


job = Command(_add_job_arguments, run_job)


def print_job(job: Job, as_json: bool, info: BoxInfo | None = None) -> None:
    """One job object of the contract, or the same in words."""
    if as_json:
        print_json({**vars(job), "schema": SCHEMA})
        return
    rows = {
        "Job": f"{job.id} · {job.name}",
        "State": f"{job.state}: {job.reason}" if job.reason else job.state,
        "Plugin": job.plugin or DASH,
        **({"Requeued": f"from job {job.requeued_from}"} if job.requeued_from else {}),
        **({"After": f"job {', '.join(job.after)}"} if job.after else {}),
        **({"Secrets": ", ".join(job.secrets)} if job.secrets else {}),
        "Command": shlex.join(job.command),
        "Box": job.box,
        **({"Array": f"{label(job)}of {job.array.size}"} if job.array else {}),
        **({"Attempt": f"{job.attempt} of {job.retries + 1}"} if job.retries else {}),
        **({"Priority": str(job.priority)} if job.priority else {}),
        "GPUs": gpu_names(job, info) if info else ",".join(job.gpus) or DASH,
        **({"Why here": job.placement} if job.placement else {}),
        **({"Left": job.left} if job.left else {}),
        "Submitted": local_time(job.submitted_s),
        "Started": DASH if job.started_s is None else local_time(job.started_s),
        "Ended": DASH if job.ended_s is None else local_time(job.ended_s),
        **({"Time limit": duration(job.time_limit_s)} if job.time_limit_s else {}),
        "Exit code": DASH if job.exit_code is None else str(job.exit_code),
        "Progress": progress(job),
        **({"Service": service_words(job)} if job.service else {}),
        **used(job, info),
        "Directory": job.directory,
    }
    for name, value in rows.items():
        print(f"{name:<10} {value}")
    for name, number in job.metrics.items():
        print(f"{'Metric':<10} {name} {number:g}")
    for kernel in job.kernels:
        rate = None if kernel.bytes_per_s is None else kernel.bytes_per_s / 1e9
        share = f"{figure(kernel.roofline_percent)} % of the roof"
        print(
            f"{'Kernel':<10} {kernel.name}: {kernel.seconds:.3f} s, {figure(rate, 1)} GB/s, {share}"
        )


def _add_logs_arguments(parser: argparse.ArgumentParser) -> None:
    _add_id(parser)
    parser.add_argument("-f", "--follow", action="store_true", help="go on until the job ends")


def run_logs(arguments: argparse.Namespace) -> int:
    """Print a job's log, its bytes as they are."""

    async def work(box: Box) -> int:
        async with box:
            if arguments.follow:
                await follow_log(box, arguments.id)
            else:
                await write_log(box, arguments.id, 0)
        return 0

    return run_async(work(open_box(arguments)))


logs = Command(_add_logs_arguments, run_logs)


def _add_wait_arguments(parser: argparse.ArgumentParser) -> None:
    _add_ids(parser)
    _add_json(parser)
    parser.add_argument(
        "--ready", action="store_true", help="only until the service that each is can be used"
    )
    parser.add_argument("--timeout", metavar="TIME", help="give up after so long, such as 5m")


def run_wait(arguments: argparse.Namespace) -> int:
    """Wait until every job has ended; the first exit code that is not 0, in the order given."""
    from cockpit.cli.ring import ring

    settings = load_config(options_of(arguments)).bell_settings()
    limit = arguments.timeout
    limit_s = None if limit is None else parse_duration(limit, "--timeout")

    async def work(box: Box) -> int:
        async with box:
            ids = await expand(box, arguments.ids)
            wait_one = wait_ready if arguments.ready else wait_ended
            waiting = asyncio.gather(*(wait_one(box, job_id) for job_id in ids))
            try:
                ended = await asyncio.wait_for(waiting, limit_s)
            except asyncio.TimeoutError:
                what = "ready" if arguments.ready else "ended"
                raise CockpitError(f"not {what} after {duration(limit_s or 0.0)}") from None
        if arguments.ready:
            return tell_ready(ended, arguments.json)
        for each in ended:
            if arguments.json:
                print_job(each, as_json=True)
            reason = f": {each.reason}" if each.reason else ""
            print(f"cockpit: job {each.id} {each.state}{reason}", file=sys.stderr)
            ring(each, settings)
        return next((code for each in ended if (code := exit_code(each))), 0)

    return run_async(work(open_box(arguments)))


wait = Command(_add_wait_arguments, run_wait)


def tell_ready(jobs: Sequence[Job], as_json: bool) -> int:
    """What became of services that were waited for: 0 when all of them can be used."""
    code = 0
    for each in jobs:
        if as_json:
            print_job(each, as_json=True)
        service = each.service
        if service is None:
            raise UsageError(f"job {each.id} is no service: it is never ready")
        models = f": {', '.join(service.models)}" if service.models else ""
        reason = service.detail or each.reason
        words = f" ({reason})" if reason and service.state != "ready" else models
        print(f"cockpit: the service of job {each.id} is {service.state}{words}", file=sys.stderr)
        code = code or int(service.state != "ready")
    return code


def _grace(text: str) -> float:
    try:
        grace_s = float(text)
    except ValueError:
        grace_s = -1.0
    if not 0 <= grace_s <= 86400:
        raise UsageError(f"--grace: {text!r} is no number of seconds from 0 to 86400")
    return grace_s


async def _stop_all(box: Box, jobs: Sequence[Job], grace_s: float | None) -> list[Job]:
    """Some at a time: each call has its own patience, and a thousand at once would use it up."""
    stopped: list[Job] = []
    for first in range(0, len(jobs), STOPPED_AT_ONCE):
        some = jobs[first : first + STOPPED_AT_ONCE]
        stopped += await asyncio.gather(*(box.stop_job(job.id, grace_s) for job in some))
    return stopped


def _add_stop_arguments(parser: argparse.ArgumentParser) -> None:
    _add_ids(parser)
    parser.add_argument(
        "--grace",
        metavar="S",
        help="seconds from SIGTERM to SIGKILL (default: what a service takes to drain, else 10)",
    )
    _add_json(parser)


def run_stop(arguments: argparse.Namespace) -> int:
    """Stop jobs; returns when everything they started is gone."""
    grace_s = None if arguments.grace is None else _grace(arguments.grace)

    async def work(box: Box) -> int:
        async with box:
            # Those that wait end first: none of them is to start where another was stopped.
            ids = await expand(box, arguments.ids)
            before = [await box.job(job_id) for job_id in ids]
            before.sort(key=lambda job: job.state != "PENDING")
            for old, new in zip(before, await _stop_all(box, before, grace_s), strict=True):
                if arguments.json:
                    print_job(new, as_json=True)
                already = "had already ended: " if old.state in ENDED_STATES else ""
                words = f"{label(new)}{already}{new.state}"
                print(f"cockpit: job {new.id} {words}", file=sys.stderr)
        return 0

    return run_async(work(open_box(arguments)))


stop = Command(_add_stop_arguments, run_stop)
