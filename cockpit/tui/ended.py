"""Tells through the terminal that a job has ended, whatever screen is open."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from cockpit.bell import rings, sequence, words
from cockpit.model import ENDED_STATES, Job

if TYPE_CHECKING:
    from textual.app import App

    from cockpit.settings import BellSettings


def tell(app: App[Any], before: Job | None, job: Job, settings: BellSettings) -> None:
    """Ring for a job that was seen alive before and has ended now."""
    if before is None or before.state in ENDED_STATES or not rings(job, settings):
        return
    # Between two paintings, as Textual's own bell does it: no cell of the screen is touched.
    if app._driver is not None:
        app._driver.write(sequence(words(job), settings, os.environ))
