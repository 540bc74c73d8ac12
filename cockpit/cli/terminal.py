"""`cockpit` without a command: the terminal, or a plain page where there is no terminal."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from cockpit.cli.connect import box_for, boxes_for, load_config
from cockpit.cli.options import GlobalOptions
from cockpit.cli.served import served_role

if TYPE_CHECKING:
    from cockpit.plugins import Found


def open_terminal(options: GlobalOptions) -> int:
    """Open the terminal; where that cannot be drawn, print the status once and say so."""
    reason = _why_not()
    if reason:
        import argparse

        from cockpit.cli.status import status

        print(f"cockpit: {reason}, so here is the status once", file=sys.stderr)
        arguments = argparse.Namespace(options=options, json=False, watch=None)
        status.run(arguments)
        return 0
    from cockpit import tui

    config = load_config(options)

    def load_plugins() -> Found:
        from cockpit.plugins import find_all

        return find_all(config.plugin_directories())

    if options.host is None:
        box, role = box_for(config, options), served_role() or "admin"
        return tui.run([box], config.terminal_settings(), load_plugins, role=role)
    from cockpit.cli.asking import AskBetween

    asker = AskBetween()
    boxes = boxes_for(config, options, asker)
    return tui.run(boxes, config.terminal_settings(), load_plugins, asker.lend_terminal)


def _why_not() -> str | None:
    """Why no full-screen program can be drawn here; None when it can."""
    if os.environ.get("TEXTUAL_DRIVER", "").endswith(":WebDriver"):
        # A browser draws what goes through the pipes.
        return None
    # Textual draws on stderr.
    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        return "this is not a terminal"
    if os.environ.get("TERM", "") in ("", "dumb"):
        return "this terminal cannot move its cursor (TERM is empty or dumb)"
    return None
