"""How a terminal is made to tell its person that a job has ended: the bell, and the desktop.

OSC 9 (iTerm2's) and OSC 777 (rxvt's) carry a line to the desktop's notifications. Many terminals know
both and would show it twice, so each gets the one that it is known by. tmux hands neither on unless
it is wrapped, and only where `allow-passthrough` is on; it hands on the bell.
"""

from __future__ import annotations

from collections.abc import Mapping

from cockpit.model import Job, wants_notice
from cockpit.settings import BellSettings

LONGEST = 200


def rings(job: Job, settings: BellSettings) -> bool:
    """Whether the end of this job is to be told here."""
    return (settings.bell or settings.desktop) and wants_notice(
        job, settings.when, settings.min_seconds
    )


def sequence(text: str, settings: BellSettings, environment: Mapping[str, str]) -> str:
    """What to write to the terminal; empty if nothing is configured."""
    desktop = _desktop(text, environment) if settings.desktop else ""
    return desktop + ("\a" if settings.bell else "")


def words(job: Job) -> str:
    """One line about a job that has ended."""
    reason = f": {job.reason}" if job.reason else ""
    return f"Job {job.id} ({job.name}) {job.state}{reason}"


def _desktop(text: str, environment: Mapping[str, str]) -> str:
    # A job's name may hold anything, and what is not text would be a command to the terminal.
    plain = "".join(letter if letter.isprintable() else " " for letter in text)[:LONGEST]
    if "VTE_VERSION" in environment or environment.get("TERM", "").startswith("rxvt"):
        escape = f"\x1b]777;notify;cockpit;{plain.replace(';', ',')}\a"
    else:
        escape = f"\x1b]9;{plain}\a"
    if "TMUX" in environment:
        doubled = escape.replace("\x1b", "\x1b\x1b")
        return f"\x1bPtmux;{doubled}\x1b\\"
    return escape
