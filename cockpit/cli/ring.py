"""Rings the terminal of a headless command when the job that it waited for has ended."""

from __future__ import annotations

import os
import sys

from cockpit.bell import rings, sequence, words
from cockpit.model import Job
from cockpit.settings import BellSettings


def ring(job: Job, settings: BellSettings) -> None:
    """Tell that a job has ended, if there is a terminal and it is wanted."""
    if rings(job, settings):
        to_terminal(sequence(words(job), settings, os.environ))


def to_terminal(text: str) -> bool:
    """Write to the terminal that stdout or else stderr is; False if neither is one."""
    for stream in (sys.stdout, sys.stderr):
        if stream.isatty():
            stream.write(text)
            stream.flush()
            return True
    return False
