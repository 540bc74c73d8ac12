"""`cockpit rm` and `cockpit requeue`: what to do with jobs that have ended."""

from __future__ import annotations

import argparse
import os
import sys

from cockpit.cli import secret_options
from cockpit.cli.arrays import expand
from cockpit.cli.command import Command
from cockpit.cli.connect import open_box, run_async
from cockpit.cli.jobs import print_job
from cockpit.cli.text import print_json
from cockpit.client import Box
from cockpit.errors import UsageError
from cockpit.model import ENDED_STATES, SCHEMA, Job


def add_rm_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ids", nargs="*", metavar="ID", help="a job, or 12[] for an array")
    parser.add_argument("--ended", action="store_true", help="every job that has ended")
    parser.add_argument("--yes", action="store_true", help="with --ended: do not ask first")
    parser.add_argument("--json", action="store_true", help="print the ids that were removed")


def run_rm(arguments: argparse.Namespace) -> int:
    """Delete jobs and their directories; none of them if one has not ended."""
    if arguments.ended == bool(arguments.ids):
        raise UsageError("remove which jobs?", "cockpit rm ID…, or cockpit rm --ended")
    if arguments.ended and not arguments.yes and not sys.stdin.isatty():
        raise UsageError("--ended has nobody to ask here", "Add --yes to remove them all.")

    async def work(box: Box) -> int:
        async with box:
            if arguments.ended:
                found = [job for job in await box.jobs() if job.state in ENDED_STATES]
                if found and not arguments.yes and not _agreed(found):
                    print("cockpit: nothing was removed", file=sys.stderr)
                    return 1
            else:
                found = [await box.job(job_id) for job_id in await expand(box, arguments.ids)]
            # Those that are refused come first: nothing has been removed by then.
            for job in sorted(found, key=lambda job: job.state in ENDED_STATES):
                await box.remove_job(job.id)
                print(f"cockpit: job {job.id} ({job.name}) removed", file=sys.stderr)
        if not found:
            print("cockpit: no job has ended, so there is nothing to remove", file=sys.stderr)
        if arguments.json:
            print_json({"schema": SCHEMA, "removed": [job.id for job in found]})
        return 0

    return run_async(work(open_box(arguments)))


def _agreed(found: list[Job]) -> bool:
    jobs = "1 job that has" if len(found) == 1 else f"{len(found)} jobs that have"
    print(f"Remove {jobs} ended, with logs and files? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


rm = Command(add_rm_arguments, run_rm)


def add_requeue_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="a job, or 12[] for an array")
    secret_options.add_option(parser)
    parser.add_argument("--json", action="store_true", help="print the new job as JSON")


def run_requeue(arguments: argparse.Namespace) -> int:
    """Submit the same request again as a new job; it is not followed."""
    secrets = secret_options.values(arguments.secret)

    async def work(box: Box) -> int:
        async with box:
            (first, *_) = await expand(box, [arguments.id])
            array = arguments.id.endswith("[]")
            job = await box.requeue_job(first, os.urandom(16).hex(), secrets, array)
            made = await box.jobs(array=job.id) if array else (job,)
        for each in reversed(made) if arguments.json else ():
            print_job(each, as_json=True)
        what = f"array {job.id}[]" if array else f"job {job.id}"
        follow = f"`cockpit wait {job.id}[]` waits for it" if array else ""
        follow = follow or f"`cockpit logs -f {job.id}` follows it"
        again = f"runs {'' if array else 'job '}{arguments.id} again"
        print(f"cockpit: {what} ({job.name}) {again}; {follow}", file=sys.stderr)
        return 0

    return run_async(work(open_box(arguments)))


requeue = Command(add_requeue_arguments, run_requeue)
