"""The methods that only read a job's files: log, events, metrics, frames."""

from __future__ import annotations

import base64
from typing import Any

from cockpit.agent.jobs.events import EventTail, Row, read_events
from cockpit.agent.jobs.record import Record
from cockpit.protocol import INVALID_PARAMS, RpcError

LOG_BYTES_MOST = 1 << 20
EVENTS_MOST = 1000
POINTS_MOST = 4096


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
