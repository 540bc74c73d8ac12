"""Starting an agent: settings, lock, log, and the loop."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import os
import signal
import stat
import sys
from collections.abc import Sequence

from cockpit import codec, paths
from cockpit.agent.lock import AgentLock
from cockpit.settings import AgentSettings

LOG_BYTES = 256 * 1024

SETTLED_S = 5.0
"""After the start, everything that lives as long as the agent has been made."""


class BoundedHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to standard error; a log file there starts anew when it has grown to LOG_BYTES."""

    def emit(self, record: logging.LogRecord) -> None:
        super().emit(record)
        status = os.fstat(2)
        if stat.S_ISREG(status.st_mode) and status.st_size > LOG_BYTES:
            os.ftruncate(2, 0)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line of `python -m cockpit.agent`; the exit code."""
    parser = argparse.ArgumentParser(prog="cockpit.agent", description="The agent of one box.")
    # Not as an argument: every user of the machine can read those, and a webhook's headers are secret.
    parser.add_argument(
        "--settings", action="store_true", help="read AgentSettings as JSON from standard input"
    )
    parser.add_argument(
        "--foreground-log", action="store_true", help="log what happens to standard error"
    )
    options = parser.parse_args(argv)
    try:
        settings = codec.loads(AgentSettings, json.load(sys.stdin) if options.settings else {})
    except ValueError as error:
        print(f"cockpit agent: --settings: {error}", file=sys.stderr)
        return 2
    return run(settings, options.foreground_log)


def run(settings: AgentSettings, foreground: bool = False) -> int:
    """Be the agent called `settings.name` until it ends; 0 too when there already is one."""
    handler = logging.StreamHandler() if foreground else BoundedHandler()
    logging.basicConfig(
        level=logging.INFO,
        handlers=[handler],
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    try:
        directory = paths.make_private(paths.runtime_dir())
        lock = AgentLock(directory / f"agent-{settings.name}.lock")
        if not lock.acquire():
            logging.info("there already is an agent called %s", settings.name)
            return 0
        try:
            asyncio.run(_serve(settings))
        finally:
            lock.release()
    except OSError as error:
        logging.error("%s", error)
        return 1
    return 0


async def _serve(settings: AgentSettings) -> None:
    # Imported when the lock is ours: the loser of a race costs next to nothing.
    from cockpit.agent.agent import Agent

    loop = asyncio.get_running_loop()
    agent = Agent(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, agent.stop, signal.Signals(number).name)
    loop.call_later(SETTLED_S, _spare_the_collector)
    await agent.run()


def _spare_the_collector() -> None:
    """What was made so far stays for good: the collector need not look at it again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
