"""Pictures of the screen."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any

from textual.app import App


def save_picture(app: App[Any]) -> Path:
    """Write the screen as `cockpit-DATE-TIME.svg`; the path. Raises OSError."""
    path = pictures_dir() / time.strftime("cockpit-%Y%m%d-%H%M%S.svg")
    path.write_text(app.export_screenshot(), encoding="utf-8")
    return path


def pictures_dir() -> Path:
    """The user's pictures folder as XDG names it, `~/Pictures`, or the current folder."""
    base = os.environ.get("XDG_CONFIG_HOME", "")
    config = Path(base) if base.startswith("/") else Path.home() / ".config"
    try:
        text = (config / "user-dirs.dirs").read_text()
    except OSError:
        text = ""
    named = re.search(r'^XDG_PICTURES_DIR="?([^"\n]+)', text, re.MULTILINE)
    candidates = [Path(named[1].replace("$HOME", str(Path.home())))] if named else []
    for directory in [*candidates, Path.home() / "Pictures"]:
        if directory.is_dir() and os.access(directory, os.W_OK):
            return directory
    return Path.cwd()
