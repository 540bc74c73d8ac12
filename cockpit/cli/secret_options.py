"""`--secret`: values for a job's environment that stand on no command line and in no file of ours."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from cockpit import secret_names
from cockpit.errors import UsageError

HOW = "Write --secret NAME to take it from this shell's environment, or --secret NAME=@FILE."


def add_option(parser: argparse.ArgumentParser) -> None:
    """What `run`, `exec` and `requeue` have in common."""
    parser.add_argument(
        "--secret",
        action="append",
        default=[],
        metavar="NAME[=@FILE]",
        help="give the job this variable of yours, or a file's content, and write it down nowhere;"
        " may be given again",
    )


def values(given: Sequence[str]) -> dict[str, str]:
    """Name → value of every `--secret`. Raises UsageError, which never repeats a value."""
    found: dict[str, str] = {}
    for text in given:
        name, equals, source = text.partition("=")
        problem = secret_names.problem(name)
        if problem:
            raise UsageError(f"--secret: {problem}", HOW)
        if equals and not source.startswith("@"):
            raise UsageError(
                f"--secret {name}=…: a value on a command line is no secret, `ps` shows it", HOW
            )
        found[name] = _content(name, source[1:]) if equals else _variable(name)
    for name in found:
        # An agent that is started now would inherit it, and with it every job.
        os.environ.pop(name, None)
    return found


def _variable(name: str) -> str:
    if name not in os.environ:
        raise UsageError(f"--secret: {name} is not set here", HOW)
    return os.environ[name]


def _content(name: str, path: str) -> str:
    """What a file holds, without the line end that editors put there."""
    try:
        return Path(path).expanduser().read_text().removesuffix("\n")
    except (OSError, ValueError) as error:
        words = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UsageError(f"--secret {name}=@{path}: {words}", HOW) from None
