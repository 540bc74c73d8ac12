"""Files that are whole or not there, also after a power cut and on a full disk."""

from __future__ import annotations

import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

RESERVED_BYTES = 4096
"""Kept on disk for the last status, so that a full disk cannot hide how a job ended."""


def read_json(path: str) -> dict[str, Any] | None:
    """The object in `path`; None if there is none or it is not whole."""
    try:
        with open(path) as file:  # noqa: PTH123
            value = json.load(file)
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def write_json(directory: str, name: str, value: dict[str, Any], synced: bool = True) -> None:
    """Replace `directory/name` at once and for good: written, synced, renamed, synced.

    Without `synced` a power cut may leave the old one, none, or one that is not whole.
    """
    spare = f"{directory}/.{name}.next"
    # An existing spare is written over in place: its blocks are there even when the disk is full.
    descriptor = os.open(spare, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        data = json.dumps(value).encode()
        if os.pwrite(descriptor, data, 0) != len(data):
            raise OSError(f"{spare}: the disk is full")
        os.ftruncate(descriptor, len(data))
        if synced:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(spare, f"{directory}/{name}")  # noqa: PTH104
    if synced:
        sync_directory(directory)


def sync_directory(directory: str) -> None:
    """Make renames and new names in `directory` survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def reserve(directory: str, name: str) -> None:
    """Set disk space aside for the next `name`; a disk that is full already just has none."""
    spare = f"{directory}/.{name}.next"
    try:
        descriptor = os.open(spare, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return
    try:
        os.posix_fallocate(descriptor, 0, RESERVED_BYTES)
    except OSError:
        pass
    finally:
        os.close(descriptor)
