"""A session of `cockpit serve`: `python -m cockpit.cli.served WORD…`, with a role in its environment.

Nothing here is what keeps a viewer from acting: that is the gate, which the session's box is behind.
This refuses what would act on this machine without a box, and says so before anything is tried.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cockpit.errors import UsageError
from cockpit.roles import (
    ROLES,
    VIEWER_COMMANDS,
    VIEWER_OPTIONS,
    Role,
    may,
    role_for_command,
)

if TYPE_CHECKING:
    from cockpit.cli.options import GlobalOptions
    from cockpit.client import Box


def served_role() -> Role | None:
    """The role of this session; None for a program that is not served."""
    if "COCKPIT_GATE" not in os.environ:
        return None
    role = os.environ.get("COCKPIT_ROLE", "")
    # What cannot be understood is the least.
    return role if role in ROLES else ROLES[0]


def served_box() -> Box | None:
    """The one box of this session, through its gate."""
    if "COCKPIT_GATE" not in os.environ:
        return None
    from cockpit.client import Box
    from cockpit.transports.gate import GateTransport

    name = os.environ.get("COCKPIT_GATE_BOX", "local")
    return Box(GateTransport(Path(os.environ["COCKPIT_GATE"]), name))


def check(name: str, words: Sequence[str], options: GlobalOptions) -> None:
    """Whether this session may run this command line. Raises UsageError."""
    role = served_role()
    if role is None:
        return
    if options != type(options)():
        raise UsageError(
            "a session of `cockpit serve` shows the box that is served, and no other",
            "Leave out --host, --simulate, --demo, --replay and --config.",
        )
    if not name or name in ("-h", "--help", "-V", "--version"):
        return
    needed = role_for_command(name)
    if not may(role, needed):
        raise UsageError(
            f"you are here as {role}, and `cockpit {name}` needs {needed}",
            f"A viewer has: {', '.join(sorted(VIEWER_COMMANDS))}." if role == "viewer" else "",
        )
    if role == "viewer":
        for word in words:
            # argparse also takes `-oFILE` and `--output=FILE`.
            for option in VIEWER_OPTIONS:
                if word.partition("=")[0] == option or (
                    len(option) == 2 and word.startswith(option)
                ):
                    raise UsageError(f"you are here as {role}, and {option} writes on this machine")


def main() -> int:
    """Run one command line of a session."""
    # The server may ignore them, and a program whose person has gone has to end.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    if sys.stdin is not None and sys.stdin.isatty():
        _take_terminal()
    if served_role() == "viewer":
        from cockpit.confine import only_read

        sys.dont_write_bytecode = True
        only_read()
    from cockpit.cli.main import main as front_door

    return front_door(sys.argv[1:])


def _take_terminal() -> None:
    """Make this terminal the one of this session, so that its hang-up ends the program."""
    import fcntl
    import termios

    fcntl.ioctl(sys.stdin.fileno(), termios.TIOCSCTTY, 0)


if __name__ == "__main__":
    sys.exit(main())
