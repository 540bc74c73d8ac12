"""The methods that read how a job went: log, search, events, metrics."""

from __future__ import annotations

import base64
import contextlib
import math
from collections.abc import Callable
from typing import Any

from cockpit.agent.jobs import logs
from cockpit.agent.jobs import search as searching
from cockpit.agent.jobs.curves import BUCKETS_KEPT, Axis, read_curves
from cockpit.agent.jobs.events import EventTail, read_events
from cockpit.agent.jobs.record import Record
from cockpit.protocol import INVALID_PARAMS, NOT_FOUND, REFUSED, RpcError

LOG_BYTES_MOST = 1 << 20
EVENTS_MOST = 1000
POINTS_MOST = 4096
ROWS_MOST = 32_000
"""Of all metrics in one answer: a message has to stay below the protocol's limit."""
DETAIL_BYTES = 32 << 20
"""Of events that are read again for a part of the run: about half a second of work."""


def integer(params: dict[str, Any], name: str, default: int) -> int:
    """A whole number from the parameters of a method. Raises RpcError."""
    value = params.get(name, default)
    if type(value) is not int:
        raise RpcError(INVALID_PARAMS, f'"{name}" must be an integer, got {value!r:.60}')
    return value


def log(record: Record, params: dict[str, Any]) -> dict[str, Any]:
    """`job.log`: bytes from an offset, a negative one counted from the end."""
    directory = record.directory
    offset = integer(params, "offset", 0)
    limit = max(0, min(integer(params, "limit", 65536), LOG_BYTES_MOST))
    # Asked before reading: whoever hears "ended" has then been given everything.
    ended = record.over.is_set()
    size = directory.log_bytes()
    start = max(0, size + offset) if offset < 0 else min(offset, size)
    part = logs.Part(start, b"")
    if start < size and limit:
        try:
            part = logs.read(directory.path, start, limit)
        except OSError as error:
            words = f"the log of job {record.id} cannot be read: {error}"
            raise RpcError(REFUSED, words) from None
    return {
        "offset": part.offset,
        "data": base64.b64encode(part.data).decode(),
        "end": part.offset + len(part.data),
        "size": size,
        "kept_from": logs.layout(directory.path).kept_from if size else 0,
        "ended": ended,
    }


def search(record: Record, params: dict[str, Any]) -> dict[str, Any]:
    """`job.search`: the next matches in the log, from a bounded part of it; for a thread."""
    pattern, regex = params.get("pattern"), params.get("regex") is True
    if not isinstance(pattern, str):
        raise RpcError(INVALID_PARAMS, f'"pattern" must be text, got {pattern!r:.60}')
    directory = record.directory.path
    size = record.directory.log_bytes()
    oldest = logs.layout(directory).kept_from if size else 0
    offset = max(oldest, min(integer(params, "offset", 0), size))
    backwards = params.get("backwards") is True
    most = searching.REGEX_CALL_BYTES if regex else searching.CALL_BYTES
    until = max(oldest, min(integer(params, "until", 0 if backwards else size), size))
    start, end = (
        (max(until, offset - most), offset) if backwards else (offset, min(until, offset + most))
    )
    limit = max(0, min(integer(params, "limit", 100), searching.MATCHES_MOST))
    query = searching.Query(pattern, start, max(start, end), regex, backwards, limit, oldest)
    try:
        searching.check(pattern, regex)
        if regex:
            found = searching.search_apart(directory, query)
        else:
            found = searching.search(logs.reader(directory), query)
    except searching.SearchError as error:
        raise RpcError(INVALID_PARAMS, str(error)) from None
    except OSError as error:
        raise RpcError(NOT_FOUND, f"the log cannot be read: {error}") from None
    return {**vars(found), "size": size, "done": found.reached == until}


def events(record: Record, params: dict[str, Any]) -> dict[str, Any]:
    """`job.events`: whole events from a byte offset, `end` being the offset to go on from."""
    offset = max(0, integer(params, "offset", 0))
    limit = max(0, min(integer(params, "limit", 200), EVENTS_MOST))
    ended = record.over.is_set()
    found, end = read_events(record.directory.events, offset, limit)
    return {"offset": offset, "events": found, "end": end, "ended": ended}


def metrics(
    record: Record, tail: EventTail, params: dict[str, Any]
) -> Callable[[], dict[str, Any]]:
    """`job.metrics`: the whole run, or a part of it in as much detail as its events have.

    A part that is told in more than DETAIL_BYTES of events comes from what is kept of the whole.
    What is returned makes the answer, and may do so in another thread.
    """
    names = {name for name in params.get("names") or () if isinstance(name, str)}
    axis: Axis = "time_s" if params.get("axis") == "time_s" else "step"
    since, until = bound(params, "since", -math.inf), bound(params, "until", math.inf)
    reaches = [reach for curve in tail.curves.values() if (reach := curve.reach(axis))]
    kept = {name: curve.copy() for name, curve in tail.curves.items() if not names or name in names}
    points = max(2, min(integer(params, "points", 400), POINTS_MOST))
    points = min(points, max(ROWS_MOST // max(len(kept), 1), 4))
    parts = tail.stretches.touching(axis, since, until)
    whole = (since, until) == (-math.inf, math.inf)
    close = not whole and sum(part.end - part.start for part in parts) <= DETAIL_BYTES

    def answer() -> dict[str, Any]:
        curves = kept
        if close:
            with contextlib.suppress(OSError):
                curves = read_curves(record.directory.events, parts, set(kept), BUCKETS_KEPT)
        rows = {name: curve.rows(points, axis, since, until) for name, curve in curves.items()}
        reach = [min(low for low, _ in reaches), max(high for _, high in reaches)]
        return {"metrics": rows, "reach": reach}

    return answer if reaches else lambda: {"metrics": {}, "reach": None}


def bound(params: dict[str, Any], name: str, default: float) -> float:
    value = params.get(name)
    if value is None:
        return default
    if type(value) not in (int, float) or not math.isfinite(value):
        raise RpcError(INVALID_PARAMS, f'"{name}" must be a step or a time, got {value!r:.60}')
    return float(value)
