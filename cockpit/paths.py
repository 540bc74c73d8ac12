"""Where cockpit keeps its files: the XDG base directories, each made private on first use."""

from __future__ import annotations

import os
from pathlib import Path

APP = "cockpit"


def _base(variable: str, fallback: str) -> Path:
    value = os.environ.get(variable, "")
    # The XDG specification says that a relative path is to be ignored.
    return Path(value) if value.startswith("/") else Path.home() / fallback


def config_dir() -> Path:
    """`$XDG_CONFIG_HOME/cockpit`; not created."""
    return _base("XDG_CONFIG_HOME", ".config") / APP


def state_dir() -> Path:
    """`$XDG_STATE_HOME/cockpit`: history, jobs, remembered choices; not created."""
    return _base("XDG_STATE_HOME", ".local/state") / APP


def cache_dir() -> Path:
    """`$XDG_CACHE_HOME/cockpit`: whatever can be made again; not created."""
    return _base("XDG_CACHE_HOME", ".cache") / APP


def runtime_dir() -> Path:
    """`$XDG_RUNTIME_DIR/cockpit`, or `/tmp/cockpit-<uid>` where there is none; not created."""
    value = os.environ.get("XDG_RUNTIME_DIR", "")
    if value.startswith("/") and os.access(value, os.W_OK):
        return Path(value) / APP
    return Path(f"/tmp/{APP}-{os.getuid()}")


def make_private(path: Path) -> Path:
    """Create `path` (mode 0700) if needed and return it.

    Raises PermissionError if it belongs to another user: a directory in /tmp that someone else
    made first must never be trusted with a socket.
    """
    # `parents=True` would make the directories above with the usual mode, open to others.
    for directory in (*reversed(path.parents), path):
        if not directory.exists():
            directory.mkdir(mode=0o700, exist_ok=True)
    owner = path.stat().st_uid
    if owner != os.getuid():
        raise PermissionError(f"{path} belongs to uid {owner}, not to you (uid {os.getuid()})")
    if path.stat().st_mode & 0o077:
        path.chmod(0o700)
    return path


def socket_path(name: str) -> Path:
    """The Unix socket of the agent called `name` (`local`, `simulated`, …)."""
    return runtime_dir() / f"agent-{name}.sock"


def box_state_dir(name: str) -> Path:
    """The history and job directories of the agent called `name`; not created."""
    return state_dir() / name
