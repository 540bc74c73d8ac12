"""`cockpit hosts list|add|check|forget`: the boxes that can be reached over SSH."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cockpit import hosts as known_hosts
from cockpit.cli.command import Command
from cockpit.cli.connect import agent_settings, load_config, options_of, run_async
from cockpit.cli.text import DASH, print_json, table
from cockpit.client import Box
from cockpit.config import user_file
from cockpit.errors import CockpitError, UsageError
from cockpit.hosts import Host
from cockpit.model import SCHEMA

if TYPE_CHECKING:
    from cockpit.transports.ssh import SshTransport


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "cockpit hosts [list | add NAME [TARGET] | check [NAME …] | forget NAME …]"
    parser.epilog = (
        "Names of ~/.ssh/config can be used without being added. Exit code 1: not reached."
    )
    parser.add_argument(
        "what",
        choices=("list", "add", "check", "forget"),
        nargs="?",
        default="list",
        help="list what has a name, name a box, see whether it can be reached, or remove what"
        " cockpit has left there and its name here",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="a box; with add: then its TARGET")
    parser.add_argument("--json", action="store_true", help="with list and check: one document")


def run(arguments: argparse.Namespace) -> int:
    """List, add, check or forget hosts."""
    configured = load_config(options_of(arguments)).hosts
    if arguments.what == "add":
        return _add(arguments.names)
    if arguments.what == "list":
        return _list(known_hosts.known(configured), arguments.json)
    if arguments.what == "check":
        found = [known_hosts.find(name, configured) for name in arguments.names]
        return run_async(_check(arguments, found or list(known_hosts.known(configured))))
    if not arguments.names:
        raise UsageError("which box is to be forgotten?", "cockpit hosts forget NAME")
    return run_async(_forget(arguments, [known_hosts.find(n, configured) for n in arguments.names]))


hosts = Command(add_arguments, run)


def _list(found: tuple[Host, ...], as_json: bool) -> int:
    if as_json:
        print_json({"schema": SCHEMA, "hosts": found})
    elif found:
        rows = [(host.name, host.target, host.origin) for host in found]
        print(table(("NAME", "TARGET", "FROM"), rows, left=(0, 1, 2)))
    else:
        print("cockpit: no host has a name yet: cockpit hosts add NAME user@host", file=sys.stderr)
    return 0


def _add(words: list[str]) -> int:
    if not 1 <= len(words) <= 2:
        raise UsageError("which box is to be added?", "cockpit hosts add NAME [user@]host[:port]")
    name, target = words[0], words[-1]
    if not known_hosts.NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is no name of a box: letters, digits, dot, - and _ only",
            "cockpit hosts add NAME [user@]host[:port]",
        )
    known_hosts.split_target(target)
    path = user_file()
    _rewrite(path, partial(known_hosts.with_host, name=name, target=target))
    print(f"cockpit: {name} is {target}, in {path}; `cockpit hosts check {name}`", file=sys.stderr)
    return 0


def _rewrite(path: Path, change: known_hosts.Change) -> None:
    """Change the person's own file at once or not at all."""
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        spare = path.with_name(f".{path.name}.next")
        spare.write_text(change(text), encoding="utf-8")
        spare.replace(path.resolve())
    except (OSError, UnicodeDecodeError) as error:
        raise CockpitError(f"{path} could not be changed: {error}") from None


@dataclass(frozen=True)
class Checked:
    """How a box answered; `problem` says why it did not."""

    name: str
    target: str
    reachable: bool
    seconds: float | None = None
    version: str | None = None
    source: str | None = None
    gpu_count: int | None = None
    hostname: str | None = None
    problem: str | None = None
    advice: str | None = None


async def _check(arguments: argparse.Namespace, found: list[Host]) -> int:
    if not found:
        raise UsageError("no host has a name yet", "cockpit hosts add NAME user@host")
    checked = await asyncio.gather(*(_check_one(arguments, host) for host in found))
    if arguments.json:
        print_json({"schema": SCHEMA, "hosts": checked})
    else:
        head = ("NAME", "TARGET", "STATE", "TIME", "GPUS", "AGENT", "SAYS")
        print(table(head, [_row(each) for each in checked], left=(0, 1, 2, 5, 6)))
        for each in checked:
            if each.problem:
                print(f"cockpit: {each.problem}\n  {each.advice or ''}".rstrip(), file=sys.stderr)
    return 0 if all(each.reachable for each in checked) else 1


def _row(each: Checked) -> tuple[str, ...]:
    return (
        each.name,
        each.target,
        "ok" if each.reachable else "UNREACHABLE",
        DASH if each.seconds is None else f"{each.seconds:.2f} s",
        DASH if each.gpu_count is None else str(each.gpu_count),
        each.version or DASH,
        "SIMULATED" if each.source == "simulated" else each.hostname or DASH,
    )


async def _check_one(arguments: argparse.Namespace, host: Host) -> Checked:
    begun = time.perf_counter()
    try:
        async with Box(_transport(arguments, host)) as box:
            assert box.info is not None
            info = box.info
            return Checked(
                host.name,
                host.target,
                True,
                time.perf_counter() - begun,
                info.agent_version,
                info.source,
                info.gpu_count,
                info.hostname,
                info.problem,
                info.advice,
            )
    except CockpitError as error:
        return Checked(
            host.name, host.target, False, problem=error.message, advice=error.advice or None
        )


async def _forget(arguments: argparse.Namespace, found: list[Host]) -> int:
    code = 0
    for host in found:
        transport = _transport(arguments, host)
        try:
            await transport.forget()
            print(f"cockpit: what was sent to {host.name} is deleted there", file=sys.stderr)
        except CockpitError as error:
            print(f"cockpit: nothing was deleted on {host.name}: {error}", file=sys.stderr)
            code = 1
        finally:
            await transport.close()
        path = user_file()
        if host.origin == "cockpit.toml" and path.exists():
            _rewrite(path, partial(known_hosts.without_host, name=host.name))
            print(f"cockpit: {host.name} is no name any more in {path}", file=sys.stderr)
    return code


def _transport(arguments: argparse.Namespace, host: Host) -> SshTransport:
    from cockpit.cli.asking import ask_here
    from cockpit.transports.ssh import SshTransport

    options = options_of(arguments)
    return SshTransport(host, agent_settings(load_config(options), options), ask_here)
