"""The methods that read what a job shows: frames, images, tables, texts."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from cockpit.agent.jobs.events import EventTail, read_event
from cockpit.agent.jobs.reading import integer
from cockpit.agent.jobs.record import Record
from cockpit.protocol import NOT_FOUND, REFUSED, RpcError

FRAME_BYTES_MOST = 2 << 20
"""Of a frame as it travels, compressed: a message has to stay below the protocol's limit."""
IMAGE_BYTES_MOST = 2_750_000
"""Of a picture; in base64 it is a third longer, and still below that limit."""
IMAGE_FORMATS = {"png": b"\x89PNG\r\n\x1a\n", "jpeg": b"\xff\xd8\xff"}
"""Format → the first bytes of such a file."""

T = TypeVar("T")


def frame_path(record: Record, tail: EventTail, params: dict[str, Any]) -> Path:
    """Where the frames of `name` are. Raises RpcError for a name the job has not announced."""
    return _inside(record, _told(record, tail.frames, params, "frames"), "frames")


def _told(record: Record, known: Mapping[str, T], params: dict[str, Any], what: str) -> T:
    """What the job has told under `name`. Raises RpcError if there is nothing."""
    name = params.get("name")
    found = known.get(name) if isinstance(name, str) else None
    if found is None:
        have = ", ".join(known) or "none so far"
        raise RpcError(NOT_FOUND, f"job {record.id} has no {what} called {name!r:.60}", have)
    return found


def _inside(record: Record, path: str, what: str) -> Path:
    """A path that a job has told. Raises RpcError for one that leads out of its directory."""
    home = record.directory.path.resolve()
    whole = (home / path).resolve()
    if not whole.is_relative_to(home):
        raise RpcError(REFUSED, f"the {what} {path!r} lie outside of the job's own directory")
    return whole


def frame(path: Path, after: int) -> dict[str, Any]:
    """`job.frame`: the newest whole frame if it is newer than `after`, compressed."""
    from cockpit.sdk.frames import FrameReader

    try:
        with FrameReader(path) as reader:
            newest = reader.latest(after)
    except (OSError, ValueError) as error:
        raise RpcError(NOT_FOUND, f"the frames cannot be read: {error}") from None
    if newest is None:
        return {"sequence": after}
    data = zlib.compress(newest.data, 1)
    if len(data) > FRAME_BYTES_MOST:
        size = f"{newest.width} × {newest.height}"
        raise RpcError(REFUSED, f"a frame of {size} is too large to be sent", "Make it smaller.")
    return {**vars(newest), "data": base64.b64encode(data).decode()}


def image(record: Record, tail: EventTail, params: dict[str, Any]) -> dict[str, Any]:
    """`job.image`: the newest picture of a name if it was told after `after`."""
    told = _told(record, tail.images, params, "image")
    version = told.offset + 1
    if version <= integer(params, "after", 0):
        return {"version": version}
    path = _inside(record, told.path, "pictures")
    data = _bounded(path, IMAGE_BYTES_MOST)
    for kind, magic in IMAGE_FORMATS.items():
        if data.startswith(magic):
            return {"version": version, "format": kind, "data": base64.b64encode(data).decode()}
    raise RpcError(REFUSED, f"{path.name} is neither PNG nor JPEG")


def _bounded(path: Path, most: int) -> bytes:
    """A whole file. Raises RpcError if it is none, or larger than a message can hold."""
    try:
        # Asked before it is opened: opening a pipe would wait for somebody to write into it.
        if not path.is_file():
            raise RpcError(NOT_FOUND, f"{path.name} is not there, or is no file")
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise RpcError(NOT_FOUND, f"{path.name} cannot be read: {error.strerror}") from None
    if len(data) > most:
        raise RpcError(REFUSED, f"{path.name} is larger than {most / 1e6:.2f} MB", f"It is {path}.")
    return data


def table(record: Record, tail: EventTail, params: dict[str, Any]) -> dict[str, Any]:
    """`job.table`: the newest table of a name if it was told after `after`."""
    return _content(record, tail.tables, params, "table", ("columns", "rows", "left_out"))


def text(record: Record, tail: EventTail, params: dict[str, Any]) -> dict[str, Any]:
    """`job.text`: the newest text of a name if it was told after `after`."""
    return _content(record, tail.texts, params, "text", ("text", "left_out"))


def _content(
    record: Record,
    known: Mapping[str, int],
    params: dict[str, Any],
    what: str,
    keys: tuple[str, ...],
) -> dict[str, Any]:
    offset = _told(record, known, params, what)
    version = offset + 1
    if version <= integer(params, "after", 0):
        return {"version": version}
    try:
        event = read_event(record.directory.events, offset)
    except (OSError, ValueError) as error:
        raise RpcError(NOT_FOUND, f"the {what} cannot be read: {error}") from None
    left_out = event.get("left_out", 0)
    event["left_out"] = left_out if type(left_out) is int else 0
    return {"version": version, **{key: event.get(key) for key in keys}}
