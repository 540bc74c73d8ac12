"""What the person sees when cockpit itself has a fault."""

from __future__ import annotations

import os
import sys
import time
import traceback
from pathlib import Path

EXIT_CODE = 70
"""EX_SOFTWARE of sysexits.h: an internal fault, told apart from a problem that was found."""


def report(error: Exception) -> int:
    """Write the details to a file, say where in one line, and return the exit code."""
    details = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    if os.environ.get("COCKPIT_DEBUG"):
        print(details, end="", file=sys.stderr)
        return EXIT_CODE
    summary = f"{type(error).__name__}: {error}".splitlines()[0][:200]
    try:
        where = f"the details are in {_write(details)}"
    except OSError as problem:
        where = f"the details could not be written ({problem.strerror}); set COCKPIT_DEBUG=1"
    print(f"cockpit: a fault in cockpit itself ({summary}); {where}", file=sys.stderr)
    return EXIT_CODE


def _write(details: str) -> Path:
    from cockpit import __version__
    from cockpit.paths import make_private, state_dir

    path = make_private(state_dir()) / "crash.txt"
    head = f"cockpit {__version__}, Python {sys.version.split()[0]}, {time.strftime('%F %T %z')}\n"
    path.write_text(f"{head}{' '.join(sys.argv)}\n\n{details}")
    return path
