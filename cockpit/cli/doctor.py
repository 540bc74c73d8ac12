"""`cockpit doctor`: what is wrong on this machine, and what to do."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from cockpit import __version__
from cockpit.cli.checks import Check
from cockpit.cli.checks.driver import check_driver
from cockpit.cli.checks.machine import check_machine, cockpit_version
from cockpit.cli.command import Command
from cockpit.cli.connect import load_config, open_box, options_of, run_async
from cockpit.cli.text import count_of, print_json
from cockpit.client import Box
from cockpit.config import config_files
from cockpit.errors import CockpitError, UsageError
from cockpit.model import SCHEMA
from cockpit.protocol import PROTOCOL
from cockpit.themes import load_themes, theme_directories


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Exit codes: 0 nothing stands in the way, 1 there is a problem, 2 bad use."
    parser.add_argument("--json", action="store_true", help="one document")


def run(arguments: argparse.Namespace) -> int:
    """Look at everything; 1 when there is a problem."""
    found: list[Check] = []
    for check in _all(arguments):
        found.append(check)
        if not arguments.json:
            _print(check)
    problems = sum(check.level == "problem" for check in found)
    warnings = sum(check.level == "warning" for check in found)
    if arguments.json:
        print_json({"schema": SCHEMA, "ok": problems == 0, "checks": found})
    else:
        print(f"\n{count_of(problems, 'problem')}, {count_of(warnings, 'warning')}.")
    return 1 if problems else 0


doctor = Command(add_arguments, run)


def _all(arguments: argparse.Namespace) -> Iterator[Check]:
    yield cockpit_version()
    yield from check_machine()
    yield from check_driver()
    yield from _configuration(arguments)
    yield _agent(arguments)


def _configuration(arguments: argparse.Namespace) -> Iterator[Check]:
    options = options_of(arguments)
    read = [str(path) for path, _ in config_files(options.config) if path.exists()]
    try:
        terminal = load_config(options).terminal_settings()
    except UsageError as error:
        yield Check("Configuration", "problem", error.message, error.advice)
        return
    yield Check("Configuration", "ok", ", ".join(read) or "the defaults; there is no file")
    found = load_themes(theme_directories(terminal.theme_directories))
    for broken in found.broken:
        yield Check("Theme", "warning", f"{broken.path} is broken: {broken.reason}")
    if terminal.theme not in found.loaded:
        text = f"there is no theme {terminal.theme}"
        yield Check("Theme", "warning", text, "`cockpit themes` lists what there is.")


def _agent(arguments: argparse.Namespace) -> Check:
    """Ask the agent as every command does, which starts it where there is none."""
    try:
        return run_async(_greet(open_box(arguments)))
    except CockpitError as error:
        return Check("Agent", "problem", error.message, error.advice)


async def _greet(box: Box) -> Check:
    async with box:
        greeting = {"version": __version__, "protocol": PROTOCOL}
        hello = await box.call("hello", greeting)
        info = await box.box()
    text = f"version {hello['version']}, pid {hello['pid']}, source {info.source}"
    if info.problem:
        return Check("Agent", "problem", f"{text}: {info.problem}", info.advice or "")
    shown = "SIMULATED GPUs" if info.simulated else "GPUs"
    return Check("Agent", "ok", f"{text}, {info.gpu_count} {shown}")


def _print(check: Check) -> None:
    print(f"{check.level:<8} {check.name:<18} {check.text}", flush=True)
    if check.advice:
        print(f"{'':<8} {'':<18} → {check.advice}")
