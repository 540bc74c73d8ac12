"""The methods that only read a job's files: log, events, metrics, frames."""

from __future__ import annotations

import base64
import zlib
from pathlib import Path
from typing import Any

from cockpit.agent.jobs.events import EventTail, Row, read_events
from cockpit.agent.jobs.record import Record
from cockpit.protocol import INVALID_PARAMS, NOT_FOUND, REFUSED, RpcError

LOG_BYTES_MOST = 1 << 20
EVENTS_MOST = 1000
POINTS_MOST = 4096
FRAME_BYTES_MOST = 2 << 20
"""Of a frame as it travels, compressed: a message has to stay below the protocol's limit."""


def integer(params: dict[str, Any], name: str, default: int) -> int:
    """A whole number from the parameters of a method. Raises RpcError."""
    value = params.get(name, default)
    if type(value) is not int:
        raise RpcError(INVALID_PARAMS, f'"{name}" must be an integer, got {value!r:.60}')
    return value


def log(record: Record, params: dict[str, Any]) -> dict[str, Any]:
    """`job.log`: bytes from an offset, a negative one counted from the end."""
    offset = integer(params, "offset", 0)
    limit = max(0, min(integer(params, "limit", 65536), LOG_BYTES_MOST))
    # Asked before reading: whoever hears "ended" has then been given everything.
    ended = record.over.is_set()
    size = record.directory.log_bytes()
    start = max(0, size + offset) if offset < 0 else min(offset, size)
    data = b""
    if start < size and limit:
        with record.directory.log.open("rb") as file:
            file.seek(start)
            data = file.read(limit)
    return {
        "offset": start,
        "data": base64.b64encode(data).decode(),
        "end": start + len(data),
        "size": size,
        "ended": ended,
    }


def events(record: Record, params: dict[str, Any]) -> dict[str, Any]:
    """`job.events`: whole events from a byte offset, `end` being the offset to go on from."""
    offset = max(0, integer(params, "offset", 0))
    limit = max(0, min(integer(params, "limit", 200), EVENTS_MOST))
    ended = record.over.is_set()
    found, end = read_events(record.directory.events, offset, limit)
    return {"offset": offset, "events": found, "end": end, "ended": ended}


def metrics(tail: EventTail, params: dict[str, Any]) -> dict[str, Any]:
    """`job.metrics`: every metric, thinned evenly to at most `points` rows and always its last."""
    points = max(2, min(integer(params, "points", 400), POINTS_MOST))
    return {"metrics": {name: _thinned(rows, points) for name, rows in tail.series.items()}}


def _thinned(rows: list[Row], points: int) -> list[Row]:
    if len(rows) <= points:
        return list(rows)
    last = len(rows) - 1
    return [rows[round(index * last / (points - 1))] for index in range(points)]


def frame_path(record: Record, tail: EventTail, params: dict[str, Any]) -> Path:
    """Where the frames of `name` are. Raises RpcError for a name the job has not announced."""
    name = params.get("name")
    announced = tail.frames.get(name) if isinstance(name, str) else None
    if announced is None:
        have = ", ".join(tail.frames) or "none so far"
        raise RpcError(NOT_FOUND, f"job {record.spec.id} has no frames called {name!r:.60}", have)
    path = (record.directory.path / announced).resolve()
    if not path.is_relative_to(record.directory.path.resolve()):
        raise RpcError(REFUSED, f"the frames {name!r} lie outside of the job's own directory")
    return path


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
