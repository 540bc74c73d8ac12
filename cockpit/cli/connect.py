"""From the command line and the configuration to a Box."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

from cockpit.cli.options import GlobalOptions
from cockpit.client import Box
from cockpit.config import Config, load
from cockpit.errors import UsageError
from cockpit.settings import AgentSettings

if TYPE_CHECKING:
    from cockpit.questions import Asker

T = TypeVar("T")

LOCAL = "local"
"""Names this machine beside others, as in `--host local,gpubox`."""


def open_box(arguments: argparse.Namespace) -> Box:
    """The box this command line is about; nothing is started before the box is used.

    Raises UsageError for a configuration or a recording that cannot be right.
    """
    options = options_of(arguments)
    return box_for(load_config(options), options)


def options_of(arguments: argparse.Namespace) -> GlobalOptions:
    """The global options of a parsed command line."""
    options = getattr(arguments, "options", None)
    return options if isinstance(options, GlobalOptions) else GlobalOptions()


def load_config(options: GlobalOptions) -> Config:
    """The configuration as the files, the environment and the command line have it."""
    overrides: dict[str, Any] = {}
    if options.simulate is not None:
        overrides["simulate.kind"] = options.simulate
    if options.simulate is not None or options.demo:
        overrides["agent.source"] = "simulated"
    if options.demo:
        overrides["simulate.demo"] = True
    return load(options.config, overrides)


def open_boxes(arguments: argparse.Namespace) -> list[Box]:
    """The boxes this command line is about: `--host` may name several."""
    options = options_of(arguments)
    return boxes_for(load_config(options), options)


def boxes_for(config: Config, options: GlobalOptions, ask: Asker | None = None) -> list[Box]:
    """Every box that `--host` names, or this machine. `local` among several is this machine."""
    if options.host is None:
        return [box_for(config, options, ask)]
    from cockpit import hosts

    boxes = []
    for host in hosts.find_all(options.host, config.hosts):
        name = None if host.name == LOCAL and host.name not in config.hosts else host.name
        boxes.append(box_for(config, replace(options, host=name), ask))
    return boxes


def box_for(config: Config, options: GlobalOptions, ask: Asker | None = None) -> Box:
    """The box of a configuration: this machine, or a host over SSH.

    `ask` puts what a connection asks for to the person; by default on this terminal.
    """
    if "COCKPIT_GATE" in os.environ:
        from cockpit.cli.served import served_box

        if (box := served_box()) is not None:
            return box
    settings = agent_settings(config, options)
    if options.host is None:
        from cockpit.transports.local import LocalTransport

        return Box(LocalTransport(settings))
    from cockpit import hosts
    from cockpit.cli.asking import ask_here
    from cockpit.transports.ssh import SshTransport

    found = hosts.find_all(options.host, config.hosts)
    if len(found) > 1:
        names = ", ".join(host.name for host in found)
        raise UsageError(f"--host: this command takes one box, not {names}", "Name one of them.")
    return Box(SshTransport(found[0], settings, ask or ask_here))


def agent_settings(config: Config, options: GlobalOptions) -> AgentSettings:
    """What the agent is told. Every kind of box has an agent of its own, by name."""
    settings = config.agent_settings()
    if options.replay is not None:
        return _replay(settings, options)
    if settings.source == "simulated":
        name = f"simulated-{settings.simulate.kind}" + ("-demo" if settings.simulate.demo else "")
        return replace(settings, name=name)
    return settings


def _replay(settings: AgentSettings, options: GlobalOptions) -> AgentSettings:
    from hashlib import blake2s

    assert options.replay is not None
    path = Path(options.replay).expanduser().resolve()
    if not path.is_file():
        raise UsageError(f"--replay: there is no file {path}", "`cockpit record FILE` makes one.")
    name = blake2s(str(path).encode(), digest_size=4).hexdigest()
    return replace(
        settings,
        name=f"replay-{name}",
        source="replay",
        replay_file=str(path),
        replay_speed=options.speed or 1.0,
    )


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run an async command to its end. Ctrl+C cancels it and ends the program quietly.

    Python 3.10 would raise KeyboardInterrupt wherever the loop just is; this does as 3.11 does.
    """
    interrupted = False

    async def interruptible() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None

        def interrupt(number: int, frame: FrameType | None) -> None:
            nonlocal interrupted
            if interrupted:
                raise KeyboardInterrupt
            interrupted = True
            loop.call_soon_threadsafe(task.cancel)

        before = signal.signal(signal.SIGINT, interrupt)
        try:
            return await work
        finally:
            signal.signal(signal.SIGINT, before)

    try:
        return asyncio.run(interruptible())
    except asyncio.CancelledError:
        if interrupted:
            raise KeyboardInterrupt from None
        raise
