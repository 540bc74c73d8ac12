"""A whole cockpit on the stand-in's GPUs: an agent of its own, the commands, the terminal app."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from textual.app import App
from textual.pilot import Pilot

from cockpit.cli.connect import box_for, load_config
from cockpit.cli.options import GlobalOptions
from cockpit.tui.app import CockpitApp

PATIENCE_S = 40.0


class Cockpit:
    """Commands and terminals of one user, on one box."""

    def __init__(self, home: Path) -> None:
        self._options = GlobalOptions(config=str(home / "cockpit.toml"))
        Path(str(self._options.config)).write_text('[agent]\nsource = "nvml"\ninterval_s = 0.2\n')

    def start(self, *words: str) -> subprocess.Popen[str]:
        """One command line as a process."""
        command = [sys.executable, "-m", "cockpit", "--config", str(self._options.config), *words]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
        )

    def run(self, *words: str) -> tuple[int, str]:
        """Exit code and output of one command line."""
        process = self.start(*words)
        out, _ = process.communicate(timeout=PATIENCE_S)
        return process.returncode, out

    def app(self) -> CockpitApp:
        """The terminal app, not yet running."""
        config = load_config(self._options)
        return CockpitApp(box_for(config, self._options), config.terminal_settings())


def until(found: Callable[[], Any]) -> Any:
    """What `found` returns once it returns something."""
    deadline = time.monotonic() + PATIENCE_S
    while not (answer := found()):
        assert time.monotonic() < deadline, "what was waited for did not happen"
        time.sleep(0.05)
    return answer


def screen_lines(app: App[Any]) -> list[str]:
    """The screen as text, as a terminal would have it."""
    strips = app.screen._compositor.render_strips(app.size)
    return ["".join(segment.text for segment in strip) for strip in strips][: app.size.height]


async def shown(pilot: Pilot[Any], wanted: Callable[[str], Any]) -> str:
    """The screen's text once it is as wanted."""
    deadline = time.monotonic() + PATIENCE_S
    while not wanted(text := "\n".join(screen_lines(pilot.app))):
        assert time.monotonic() < deadline, text
        await asyncio.sleep(0.02)
        await pilot.pause()
    return text
