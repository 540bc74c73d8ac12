"""The terminal: Textual screens over a Box. Importing this package does not import Textual."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from cockpit.roles import Role
from cockpit.settings import TerminalSettings

Suspend = Callable[[], AbstractContextManager[None]]
"""Within it the screen is the plain terminal's."""

if TYPE_CHECKING:
    from cockpit.client import Box
    from cockpit.plugins import Found


def run(
    boxes: Sequence[Box],
    terminal: TerminalSettings,
    load_plugins: Callable[[], Found] | None = None,
    lend_terminal: Callable[[Suspend], None] | None = None,
    role: Role = "admin",
) -> int:
    """Show the boxes until the user leaves; the exit code.

    `lend_terminal` is given the way to have the plain terminal back for a moment, before the first
    connection is made: a password is typed there, and never held by a widget.

    `load_plugins` is called when the launch screen first needs them. The process must have a
    terminal; without one this is not the right thing to call.
    """
    # A terminal that vanishes must end the app, also when the parent ignored SIGHUP (nohup).
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    _choose_colors(terminal.color)

    from cockpit.tui.app import CockpitApp
    from cockpit.tui.graphics.detect import detect

    first, *others = boxes
    app = CockpitApp(
        first,
        terminal,
        load_plugins,
        graphics=detect(terminal.graphics),
        role=role,
        others=others,
    )
    if lend_terminal is not None:
        lend_terminal(app.suspend)
    app.run()
    return app.return_code or 0


def _choose_colors(color: str) -> None:
    if color == "none":
        os.environ["NO_COLOR"] = "1"
    elif color in ("truecolor", "256"):
        # Textual reads this when it is imported.
        os.environ["TEXTUAL_COLOR_SYSTEM"] = color
