"""What the desk and an agent say to each other: JSON-RPC 2.0, one message a line, UTF-8.

A request has an `id` and gets exactly one response; a message without one is a notification.
Batches are not used. A line longer than MAX_LINE_BYTES ends the connection with an error.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from cockpit import codec

PROTOCOL = 1
"""Grows when a method changes its meaning; `hello` compares it."""

MAX_LINE_BYTES = 4 * 1024 * 1024

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
NOT_FOUND = -32001
REFUSED = -32002
NOT_PERMITTED = -32003

METHODS: dict[str, str] = {
    "hello": "{version, protocol} → {version, protocol, pid, name, settings: digest, box: BoxInfo}",
    "box": "{} → BoxInfo",
    "snapshot": "{} → Snapshot, the newest one; waits for the first",
    "subscribe": "{topics: [snapshot|event|job], interval_s, acknowledge} → {}; then notifications of the"
    " same names with a Snapshot, an Event or a Job; replaces this connection's earlier subscription."
    " A `missed` notification {topics} says that the client was too slow for all events or jobs:"
    " it asks for them again",
    "seen": "{} → {}; of a client that subscribed with acknowledge: it has taken in one snapshot."
    " No more than two are under way to it, however slow the line",
    "history": "{gpu: uuid, metric, since_s, until_s, points} → Series",
    "energy": "{since_s, until_s} → {days: [{day, gpu, energy_j}]}",
    "events": "{since_s, after_id, limit} → {events: [Event], last_id}",
    "process.stop": "{pid, start_ticks, force} → {} (SIGTERM, or SIGKILL with force; your own only)",
    "job.submit": "JobRequest and secret_values: {name: text} → Job. A value for each name in"
    " `secrets`; they are kept in memory only, until the job is over or the agent ends",
    "job.prospect": "JobRequest → Prospect: what would become of it now; nothing is submitted",
    "job.list": "{before: id as a number, array: id of one} → {jobs: [Job], more}, newest first; with"
    " `more`, the rest comes when asked for what is before the last one",
    "job.show": "{id} → Job",
    "job.request": "{id} → JobRequest, as it was submitted",
    "job.stop": "{id, grace_s} → Job, when its whole tree is gone; without grace_s what a service takes"
    " to drain, else 10 s",
    "job.remove": "{id} → {}, its directory gone; only a job that has ended",
    "job.requeue": "{id, token, secret_values, array} → Job, a new one from the same request and code; only"
    " of a job that has ended. It waits for no other job",
    "job.log": "{id, offset, limit} → {offset, data: base64, end, size, kept_from, ended}; a negative"
    " offset counts from the end. Offsets count all that was ever logged; what lies before kept_from"
    " was dropped, and `offset` is then a later one than was asked for",
    "job.search": "{id, pattern, regex, offset, until, backwards, limit} → {matches: [[offset,"
    " length]…], count, reached, size, done}: what the log has from offset on, up to until; one call"
    " looks through a part, and the next goes on at reached. limit 0 only counts. A pattern in lower"
    " case finds capitals too",
    "job.events": "{id, offset, limit} → {offset, events: [object], end, ended}",
    "job.metrics": "{id, points, names: […], axis: step|time_s, since, until} → {metrics: {name:"
    " [[step, time_s, mean, low, high, count]…]}, reach: [least, greatest] of the axis}; a mean is"
    " null where the job said that it was no number. Without names all, without since and until the"
    " whole run",
    "job.frame": "{id, name, after} → {sequence, width, height, low, high, step, time_s,"
    " data: base64 of zlib of width×height bytes, row by row from the top} or {sequence} if no newer",
    "job.image": "{id, name, after} → {version, format: png|jpeg, data: base64 of the file}, or"
    " {version} if nothing newer than `after` was told",
    "job.table": "{id, name, after} → {version, columns: [text], rows: [[text|number|bool|null]],"
    " left_out: rows} or {version}",
    "job.text": "{id, name, after} → {version, text, left_out: letters} or {version}",
    "job.service": "{id} → {protocol, state, models, port, key}: how a service is reached on its box;"
    " only of one that runs",
    "job.files": "{id, path, after: path} → {entries: [{path, kind: file|folder|link|other|unnameable, mode,"
    " size, modified_ns, inode, leads_to}], more}: everything below a path of the job's directory,"
    " a folder before what is in it; paths in the answer begin there. With `more`, the rest comes"
    " when asked for what is after the last one",
    "job.read": "{id, path, offset, limit} → {offset, data: base64, size, modified_ns, inode}: bytes"
    " of a file of the job's directory",
    "usage": "{since_s, until_s, offset} → {entries: [LedgerEntry], total}: what jobs used that had"
    " devices in this span",
    "notify.test": "{} → {results: [{channel: command|webhook, ok, text}]}: each is told of a job that"
    " never was",
    "environment.list": "{} → {directory, uv, offline, prebuilt, environments: [{id, path, python,"
    " requires, family, plugins, packages, size_bytes, built_s, used_s, in_use, notes}]}",
    "environment.find": "JobRequest → {origin: built|prebuilt|agent, python, id, ready}: where it"
    " would run",
    "environment.remove": "{id} → {removed, size_bytes}; only one that no job runs in",
    "simulate.fault": "{gpu: index, kind, clear} → {}; the simulated source only",
    "shutdown": "{} → {}; jobs go on in their shims",
}
"""Every method: its parameters and its result."""


@dataclass(frozen=True)
class Request:
    """A call (`id` set) or a notification (`id` None)."""

    method: str
    params: dict[str, Any] = field(default_factory=dict)
    id: int | str | None = None


@dataclass(frozen=True)
class Response:
    """The answer to the request with the same `id`: a result, or an error."""

    id: int | str | None
    result: Any = None
    error: RpcError | None = None


class RpcError(Exception):
    """An error as it travels: JSON-RPC's code and message, and advice in its data."""

    def __init__(self, code: int, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.advice = advice


def encode_request(method: str, params: Any, request_id: int | str | None = None) -> bytes:
    """One line, newline included. `params` may be a dataclass or a dict."""
    message: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params}
    if request_id is not None:
        message["id"] = request_id
    return codec.dumps(message).encode() + b"\n"


def encode_result(request_id: int | str | None, result: Any) -> bytes:
    """The response line to a request that went well."""
    return codec.dumps({"jsonrpc": "2.0", "id": request_id, "result": result}).encode() + b"\n"


def encode_error(request_id: int | str | None, error: RpcError) -> bytes:
    """The response line to a request that did not."""
    body: dict[str, Any] = {"code": error.code, "message": error.message}
    if error.advice:
        body["data"] = {"advice": error.advice}
    return codec.dumps({"jsonrpc": "2.0", "id": request_id, "error": body}).encode() + b"\n"


def decode(line: bytes) -> Request | Response:
    """One line to a message. Raises RpcError (PARSE_ERROR, INVALID_REQUEST or INVALID_PARAMS)."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RpcError(PARSE_ERROR, f"not JSON: {error}") from None
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
        raise RpcError(INVALID_REQUEST, 'not a JSON-RPC 2.0 message: "jsonrpc" must be "2.0"')
    request_id = message.get("id")
    if request_id is not None and type(request_id) not in (int, str):
        raise RpcError(INVALID_REQUEST, '"id" must be an integer or text')
    if "method" in message:
        return _request(message, request_id)
    if "error" in message:
        return Response(request_id, error=_error(message["error"]))
    if "result" in message:
        return Response(request_id, result=message["result"])
    raise RpcError(INVALID_REQUEST, 'a message needs "method", "result" or "error"')


def _request(message: dict[str, Any], request_id: int | str | None) -> Request:
    method, params = message["method"], message.get("params", {})
    if not isinstance(method, str):
        raise RpcError(INVALID_REQUEST, '"method" must be text')
    if not isinstance(params, dict):
        raise RpcError(INVALID_PARAMS, '"params" must be an object')
    return Request(method, params, request_id)


def _error(body: Any) -> RpcError:
    if not isinstance(body, dict):
        return RpcError(INTERNAL_ERROR, "an error without a body")
    data = body.get("data")
    advice = data.get("advice", "") if isinstance(data, dict) else ""
    code = body.get("code")
    return RpcError(
        code if type(code) is int else INTERNAL_ERROR,
        str(body.get("message", "an error without a message")),
        str(advice),
    )
