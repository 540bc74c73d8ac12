"""`cockpit agent run|status|stop`: the process that reads the GPUs."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cockpit import __version__, paths, protocol
from cockpit.cli.command import Command
from cockpit.cli.connect import agent_settings, load_config, options_of, run_async
from cockpit.cli.text import print_json, table
from cockpit.errors import BoxError
from cockpit.model import SCHEMA
from cockpit.settings import AgentSettings
from cockpit.transports.local import LocalTransport

HELLO_TIMEOUT_S = 5.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "An agent starts by itself with the first command and ends when it is not needed. "
        "`cockpit agent` keeps one in the foreground, as systemd wants it."
    )
    parser.add_argument(
        "what",
        choices=("run", "status", "stop"),
        nargs="?",
        default="run",
        help="be the agent in the foreground (default), list those that run, or end one",
    )
    parser.add_argument("--all", action="store_true", help="with stop: every agent of yours")
    parser.add_argument("--json", action="store_true", help="with status: one document")


def run(arguments: argparse.Namespace) -> int:
    """Run, list or stop; `status` ends with 1 when the agent of this box does not run."""
    options = options_of(arguments)
    settings = agent_settings(load_config(options), options)
    if arguments.what == "run":
        return _run(settings)
    if arguments.what == "status":
        return run_async(_status(settings.name, arguments.json))
    names = running_names() if arguments.all else [settings.name]
    return run_async(_stop(names))


agent = Command(add_arguments, run)


def running_names() -> list[str]:
    """The names of all agents of this user that have a socket; some may be dead."""
    found = paths.runtime_dir().glob("agent-*.sock")
    return sorted(path.name.removeprefix("agent-").removesuffix(".sock") for path in found)


def _run(settings: AgentSettings) -> int:
    """Be the agent until SIGTERM or Ctrl+C, however long nobody looks."""
    from cockpit.agent.main import run as run_agent

    if run_async(hello(settings.name)) is not None:
        raise BoxError(
            f"the agent for {settings.name} runs already", "`cockpit agent stop` ends that one."
        )
    return run_agent(replace(settings, idle_exit_s=None), foreground=True)


async def _status(name: str, as_json: bool) -> int:
    answers = [await hello(other) for other in running_names()]
    found = [answer for answer in answers if answer is not None]
    if as_json:
        print_json({"schema": SCHEMA, "agents": found})
    elif found:
        rows = [["—" if value is None else str(value) for value in row.values()] for row in found]
        head = ("NAME", "PID", "VERSION", "SOURCE", "GPUS", "SOCKET")
        print(table(head, rows, left=(0, 2, 3, 5)))
    running = any(answer["name"] == name for answer in found)
    if not running:
        print(f"cockpit: no agent for {name} is running", file=sys.stderr)
    return 0 if running else 1


async def _stop(names: list[str]) -> int:
    for name in names:
        transport = LocalTransport(AgentSettings(name=name))
        streams = await transport.connect()
        if streams is None:
            print(f"cockpit: no agent for {name} is running", file=sys.stderr)
            continue
        streams[1].close()
        await transport.restart()
        print(f"cockpit: the agent for {name} has ended", file=sys.stderr)
    return 0


async def hello(name: str) -> dict[str, Any] | None:
    """What the agent of that name says of itself; None when none runs. Never starts one.

    An agent that runs but does not answer has no pid and no version.
    """
    streams = await LocalTransport(AgentSettings(name=name)).connect()
    if streams is None:
        return None
    reader, writer = streams
    answer: protocol.Request | protocol.Response | None = None
    try:
        greeting = {"version": __version__, "protocol": protocol.PROTOCOL}
        writer.write(protocol.encode_request("hello", greeting, 1))
        answer = protocol.decode(await asyncio.wait_for(reader.readline(), HELLO_TIMEOUT_S))
    except (OSError, ValueError, asyncio.TimeoutError, protocol.RpcError):
        print(f"cockpit: the agent for {name} does not answer", file=sys.stderr)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    result = answer.result if isinstance(answer, protocol.Response) else None
    return _facts(name, result if isinstance(result, Mapping) else {})


def _facts(name: str, answer: Mapping[str, Any]) -> dict[str, Any]:
    box = answer.get("box")
    facts = box if isinstance(box, Mapping) else {}
    return {
        "name": name,
        "pid": answer.get("pid"),
        "version": answer.get("version"),
        "source": facts.get("source"),
        "gpu_count": facts.get("gpu_count"),
        "socket": str(paths.socket_path(name)),
    }
