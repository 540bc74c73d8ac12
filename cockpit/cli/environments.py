"""`cockpit environments list|build|path|rm`: the Python environments of plugins on this box."""

from __future__ import annotations

import argparse
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from cockpit import plugins
from cockpit.cli.command import Command
from cockpit.cli.connect import load_config, open_box, options_of, run_async
from cockpit.cli.following import exit_code, follow_log, wait_ended
from cockpit.cli.text import count_of, duration, parse_duration, print_json, table
from cockpit.client import Box
from cockpit.errors import UsageError
from cockpit.model import SCHEMA, JobRequest

HEAD = ("ID", "FOR", "PYTHON", "PACKAGES", "SIZE", "LAST USED", "PLUGINS", "REQUIRES")
REQUIRES_CHARACTERS = 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "A plugin's environment is built at its first start; `build` does it beforehand, which is how"
        " to get ready for a box without a network."
    )
    parser.add_argument(
        "what",
        nargs="?",
        default="list",
        choices=("list", "build", "path", "rm"),
        help="list what there is (default), build that of plugins, tell its Python, or delete some",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="plugins; with rm: ids")
    parser.add_argument(
        "--unused", metavar="TIME", help="with rm: all that were not used for 30d, 12h …"
    )
    parser.add_argument("--json", action="store_true", help="one document")


def run(arguments: argparse.Namespace) -> int:
    """List, build, tell or delete; 1 when one is not there, cannot be built or deleted."""
    what, names = arguments.what, arguments.names
    if what == "list" and names:
        raise UsageError(
            "list takes no names", f"`cockpit environments path {names[0]}` tells of one."
        )
    if what in ("build", "path") and not names:
        raise UsageError(f"{what} of which plugin?", f"cockpit environments {what} PLUGIN")
    if arguments.unused and what != "rm":
        raise UsageError("--unused belongs to rm", "cockpit environments rm --unused 30d")
    if what == "rm" and bool(names) == bool(arguments.unused):
        raise UsageError("remove which?", "cockpit environments rm ID…, or rm --unused 30d")
    work: Callable[[Box, argparse.Namespace], Any] = {
        "list": _list,
        "build": _build,
        "path": _path,
        "rm": _remove,
    }[what]
    return run_async(_with_box(open_box(arguments), arguments, work))


environments = Command(add_arguments, run)


async def _with_box(box: Box, arguments: argparse.Namespace, work: Callable[..., Any]) -> int:
    async with box:
        return int(await work(box, arguments))


async def _list(box: Box, arguments: argparse.Namespace) -> int:
    found = await box.call("environment.list")
    if arguments.json:
        print_json({"schema": SCHEMA, **found})
        return 0
    rows = [_row(each) for each in found["environments"]]
    if rows:
        print(table(HEAD, rows, left=(0, 1, 6, 7)))
        total = sum(each["size_bytes"] for each in found["environments"])
        print(f"{count_of(len(rows), 'environment')}, {_size(total)} in {found['directory']}")
    else:
        print("cockpit: none was built yet; a plugin's first start builds one", file=sys.stderr)
    for each in found["environments"]:
        for note in each["notes"]:
            print(f"cockpit: {each['id'][:8]}: {note}", file=sys.stderr)
    for family, python in found["prebuilt"].items():
        print(
            f"cockpit: the family {family} runs in {python}, which is kept elsewhere",
            file=sys.stderr,
        )
    return 0


def _row(each: dict[str, Any]) -> tuple[str, ...]:
    requires = ", ".join(each["requires"]) or "a lock"
    if len(requires) > REQUIRES_CHARACTERS:
        requires = f"{requires[: REQUIRES_CHARACTERS - 1]}…"
    used = "now" if each["in_use"] else f"{duration(time.time() - each['used_s'])} ago"
    return (
        each["id"][:8],
        f"family {each['family']}" if each["family"] else "itself",
        each["python"],
        str(each["packages"]),
        _size(each["size_bytes"]),
        used,
        ", ".join(each["plugins"]),
        requires,
    )


def _size(size: int) -> str:
    return f"{size / (1 << 30):.1f} GiB" if size >= 1 << 30 else f"{size / (1 << 20):.1f} MiB"


def _requests(arguments: argparse.Namespace) -> list[JobRequest]:
    """For each plugin a job on no GPU that only starts its Python. Raises UsageError."""
    directories = load_config(options_of(arguments)).plugin_directories()
    requests = []
    for name in arguments.names:
        plugin = plugins.find(name, directories)
        requests.append(
            JobRequest(
                name=f"environment-{plugin.name}",
                command=("python", "-c", "import sys; print(sys.prefix)"),
                plugin=plugin.name,
                plugin_directory=str(plugin.directory),
                requires=plugin.requires,
                environment_name=plugin.environment,
                family=plugin.family,
                gpus=0,
                notify=False,
            )
        )
    return requests


async def _build(box: Box, arguments: argparse.Namespace) -> int:
    """Build them as a job each, one after the other, with its log; the job is gone if it went well."""
    code = 0
    done = []
    for request in _requests(arguments):
        where = await box.call("environment.find", request)
        if where["ready"]:
            print(f"cockpit: {request.plugin}: {_already(where)}", file=sys.stderr)
        else:
            job = await box.submit(replace(request, token=uuid.uuid4().hex))
            if not arguments.json:
                await follow_log(box, job.id)
            ended = await wait_ended(box, job.id)
            if ended.state == "COMPLETED":
                await box.remove_job(job.id)
            else:
                print(f"cockpit: {request.plugin}: {ended.reason or ended.state}", file=sys.stderr)
                code = exit_code(ended) or 1
            where = await box.call("environment.find", request)
        done.append({"plugin": request.plugin, **where})
    if arguments.json:
        print_json({"schema": SCHEMA, "environments": done})
    return code


def _already(where: dict[str, Any]) -> str:
    words = {
        "agent": "the agent's own Python has all that it requires",
        "prebuilt": "its family has a pre-built environment",
        "built": "its environment is there",
    }
    return f"{words[where['origin']]}: {where['python']}"


async def _path(box: Box, arguments: argparse.Namespace) -> int:
    """The Python of each, one a line; 1 when one is still to be built."""
    found = []
    for request in _requests(arguments):
        found.append({"plugin": request.plugin, **await box.call("environment.find", request)})
    missing = [each["plugin"] for each in found if not each["ready"]]
    if arguments.json:
        print_json({"schema": SCHEMA, "environments": found})
    else:
        for each in found:
            if each["ready"]:
                print(each["python"])
        for name in missing:
            print(
                f"cockpit: the environment of {name} is not built yet;"
                f" `cockpit environments build {name}` does it",
                file=sys.stderr,
            )
    return 1 if missing else 0


async def _remove(box: Box, arguments: argparse.Namespace) -> int:
    ids = list(arguments.names)
    if arguments.unused:
        before_s = time.time() - parse_duration(arguments.unused, "--unused")
        listed = (await box.call("environment.list"))["environments"]
        ids = [each["id"] for each in listed if each["used_s"] < before_s and not each["in_use"]]
    removed = [await box.call("environment.remove", {"id": identity}) for identity in ids]
    freed = sum(each["size_bytes"] for each in removed)
    if arguments.json:
        print_json({"schema": SCHEMA, "removed": [each["removed"] for each in removed]})
    print(
        f"cockpit: {count_of(len(removed), 'environment')} removed ({_size(freed)})",
        file=sys.stderr,
    )
    return 0
