"""`cockpit notify`: tries every way that [notify] has of telling that a job has ended."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from cockpit.bell import sequence
from cockpit.cli.command import Command
from cockpit.cli.connect import box_for, load_config, options_of, run_async
from cockpit.cli.ring import to_terminal
from cockpit.cli.text import print_json
from cockpit.client import Box
from cockpit.model import SCHEMA
from cockpit.settings import BellSettings

TEXT = "cockpit tells you here when a job has ended"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Nothing is configured at first: see [notify] in cockpit.toml."
    parser.add_argument("--json", action="store_true", help="one document")


def run(arguments: argparse.Namespace) -> int:
    """Try all; 1 when one does not work, or when none is configured."""
    options = options_of(arguments)
    config = load_config(options)
    tried = _terminal(config.bell_settings())
    if config.notify.command is not None or config.notify.webhook is not None:
        tried += run_async(_agent(box_for(config, options)))
    if arguments.json:
        print_json({"schema": SCHEMA, "results": tried})
    else:
        for each in tried:
            print(
                f"{'ok' if each['ok'] else 'problem':<8} {each['channel']:<8} {each['text']}".rstrip()
            )
    if not tried:
        print("cockpit: [notify] of cockpit.toml names nobody to tell", file=sys.stderr)
    return 0 if tried and all(each["ok"] for each in tried) else 1


notify = Command(add_arguments, run)


def _terminal(settings: BellSettings) -> list[dict[str, Any]]:
    names = [name for name in ("bell", "desktop") if getattr(settings, name)]
    if not names:
        return []
    there = to_terminal(sequence(TEXT, settings, os.environ))
    text = (
        "sent to this terminal; whether it shows, only you can see" if there else "no terminal here"
    )
    return [{"channel": name, "ok": there, "text": text} for name in names]


async def _agent(box: Box) -> list[dict[str, Any]]:
    async with box:
        result = await box.call("notify.test")
    return [dict(each) for each in result["results"]]
