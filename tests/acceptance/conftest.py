"""One whole cockpit on the stand-in's GPUs."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from standin.fixtures import Standin
from whole_cockpit import Cockpit


@pytest.fixture
def cockpit(standin: Standin, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cockpit]:
    """At home in directories of its own; its agent ends with the test."""
    # pytest's own directories are too long for the path of a Unix socket.
    home = Path(tempfile.mkdtemp(prefix="ck", dir="/tmp"))
    for name in ("XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(home / name[4:6]))
    for name in ("COCKPIT_CONFIG", "COCKPIT_SOURCE", "COCKPIT_THEME", "NO_COLOR", "COCKPIT_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    (home / "RU").mkdir(mode=0o700)
    made = Cockpit(home)
    yield made
    made.run("agent", "stop", "--all")
    shutil.rmtree(home, ignore_errors=True)
