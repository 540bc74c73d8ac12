"""The methods that read the files in a job's directory: what there is, and their bytes."""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cockpit.agent.jobs.reading import integer
from cockpit.agent.jobs.record import Record
from cockpit.protocol import INVALID_PARAMS, NOT_FOUND, REFUSED, RpcError

PAGE = 4000
"""Files in one answer: a message has to stay below the protocol's limit, however long their names."""
PAGE_BYTES = 1 << 20
READ_BYTES_MOST = 1 << 20
KEPT_BACK = frozenset({"service.json"})
"""Names in the job directory itself that are not given out: they hold what only the agent may tell."""

KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "link"}


def listing(record: Record, params: dict[str, Any]) -> dict[str, Any]:
    """`job.files`: what lies at a path, everything below it included. Raises RpcError."""
    home, top = _place(record, params)
    after = params.get("after", "")
    if not isinstance(after, str):
        raise RpcError(INVALID_PARAMS, f'"after" must be text, got {after!r:.60}')
    passed = tuple(after.split("/")) if after else ()
    found: list[dict[str, Any]] = []
    size = 0
    try:
        if not stat.S_ISDIR(top.lstat().st_mode):
            return {"entries": [_entry(str(top), "")], "more": False}
        for path, relative in _below(str(top), (), passed, top == home):
            try:
                entry = _entry(path, relative)
            except FileNotFoundError:
                continue
            size += len(os.fsencode(relative)) + 120
            if len(found) >= PAGE or (found and size > PAGE_BYTES):
                return {"entries": found, "more": True}
            found.append(entry)
    except OSError as error:
        raise RpcError(REFUSED, f"{error.filename} cannot be read: {error.strerror}") from None
    return {"entries": found, "more": False}


def read(record: Record, params: dict[str, Any]) -> dict[str, Any]:
    """`job.read`: bytes of a file from an offset, and what tells its version. Raises RpcError."""
    _, path = _place(record, params)
    offset = integer(params, "offset", 0)
    limit = max(0, min(integer(params, "limit", READ_BYTES_MOST), READ_BYTES_MOST))
    if not 0 <= offset < 1 << 62:
        raise RpcError(INVALID_PARAMS, f'"offset" must not be negative, got {offset}')
    try:
        # Neither a pipe is waited for nor a link followed that was put there since.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise RpcError(REFUSED, f"{path.name} is no file")
            data = os.pread(descriptor, limit, offset)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise RpcError(NOT_FOUND, f"{path.name} cannot be read: {error.strerror}") from None
    return {"offset": offset, "data": base64.b64encode(data).decode(), **_version(status)}


def _place(record: Record, params: dict[str, Any]) -> tuple[Path, Path]:
    """The job's directory and the path in it that was asked for, both real. Raises RpcError."""
    wanted = params.get("path", "")
    if not isinstance(wanted, str) or "\0" in wanted:
        raise RpcError(INVALID_PARAMS, f'"path" must be text, got {wanted!r:.60}')
    home = record.directory.path.resolve()
    # Its last part is taken as it is: a link is a thing of its own, and not where it leads.
    given = Path(os.path.normpath(home / wanted))
    whole = given.parent.resolve() / given.name if given != home else home
    if not whole.is_relative_to(home):
        raise RpcError(REFUSED, f"{wanted!r:.200} lies outside of the directory of job {record.id}")
    if whole.parent == home and whole.name in KEPT_BACK:
        raise RpcError(REFUSED, f"{whole.name} of job {record.id} is not given out")
    if not os.path.lexists(whole):
        raise RpcError(
            NOT_FOUND, f"job {record.id} has no {wanted!r:.200}", _there(whole.parent, home)
        )
    return home, whole


def _there(folder: Path, home: Path) -> str:
    """What lies where something was looked for in vain."""
    while folder != home and not folder.is_dir():
        folder = folder.parent
    try:
        names = sorted(each.name for each in folder.iterdir() if each.name not in KEPT_BACK)
    except OSError:
        return ""
    shown = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
    where = "" if folder == home else f" in {folder.relative_to(home)}"
    return f"There is{where}: {shown or 'nothing'}."


def _below(
    folder: str, at: tuple[str, ...], passed: tuple[str, ...], is_home: bool
) -> Iterator[tuple[str, str]]:
    """Everything in `folder` that comes after the path `passed`, a folder before what is in it."""
    with os.scandir(folder) as scan:
        entries = sorted(scan, key=lambda entry: entry.name)
    for entry in entries:
        here = (*at, entry.name)
        if is_home and entry.name in KEPT_BACK:
            continue
        # Paths are compared part by part, which is the order of this walk.
        if here < passed[: len(here)]:
            continue
        if here > passed:
            yield entry.path, "/".join(here)
        if entry.is_dir(follow_symlinks=False):
            yield from _below(entry.path, here, passed, False)


def _entry(path: str, relative: str) -> dict[str, Any]:
    status = os.lstat(path)
    kind = KINDS.get(stat.S_IFMT(status.st_mode), "other")
    entry = {"path": relative, "kind": kind, "mode": stat.S_IMODE(status.st_mode)}
    leads_to = os.readlink(path) if kind == "link" else ""  # noqa: PTH115
    if not _is_text(relative) or not _is_text(leads_to):
        # JSON is text; such a file can be listed, and only be had on the box itself.
        return {**entry, "path": _as_text(relative), "kind": "unnameable", **_version(status)}
    return {**entry, **({"leads_to": leads_to} if leads_to else {}), **_version(status)}


def _is_text(name: str) -> bool:
    """Whether the bytes of a name are UTF-8."""
    return name.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in name)


def _as_text(name: str) -> str:
    return os.fsencode(name).decode(errors="backslashreplace")


def _version(status: os.stat_result) -> dict[str, int]:
    """What two readings of a file have in common as long as nobody wrote to it."""
    return {"size": status.st_size, "modified_ns": status.st_mtime_ns, "inode": status.st_ino}
