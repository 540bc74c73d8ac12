"""One client of the agent: its line buffer, its subscription, and what waits while it is slow."""

from __future__ import annotations

import asyncio
import logging
import os
import pwd
import socket
import struct
from collections.abc import Callable, Coroutine
from typing import Any

from cockpit import protocol
from cockpit.protocol import MAX_LINE_BYTES, Request, RpcError

log = logging.getLogger(__name__)

HIGH_WATER_BYTES = 128 * 1024
"""Unsent bytes above which a client counts as slow: nothing but the newest is kept for it."""

MOST_WAITING = 256
"""Events, and jobs, kept for a slow client; beyond that it is told to ask for them again."""

MOST_CALLS = 64
"""Calls of one client that may be under way; further ones wait unread in its socket."""

MOST_AHEAD = 2
"""Snapshots under way to a client that acknowledges them: one on the line, one that hides its delay."""

Dispatch = Callable[["Connection", Request], Coroutine[Any, Any, Any]]


class Connection(asyncio.Protocol):
    """Reads requests from one client and answers each; sends what it subscribed to."""

    def __init__(self, dispatch: Dispatch, changed: Callable[[Connection, bool], None]) -> None:
        self.topics: frozenset[str] = frozenset()
        self.interval_ticks = 1
        self._dispatch = dispatch
        self._changed = changed
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._scanned = 0
        self._calls: set[asyncio.Task[None]] = set()
        self._slow = False
        self._next_sequence = 0
        self._acknowledges = False
        self._ahead = 0
        self._snapshot: bytes | None = None
        self._events: list[bytes] = []
        self._jobs: dict[str, bytes] = {}
        self._missed: set[str] = set()

    # The stream

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(HIGH_WATER_BYTES)
        owner = peer_uid(transport)
        if owner is not None and owner != os.getuid():
            me = user_name(os.getuid())
            refusal = RpcError(
                protocol.NOT_PERMITTED,
                f"this socket belongs to user {me}",
                f"You are {user_name(owner)}: run cockpit as yourself, it starts your own agent.",
            )
            transport.write(protocol.encode_error(None, refusal))
            transport.close()
            self._transport = None
            return
        self._changed(self, True)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        for call in self._calls:
            call.cancel()
        self._changed(self, False)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._take_lines()

    def _take_lines(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        start = 0
        while len(self._calls) < MOST_CALLS:
            end = self._buffer.find(b"\n", max(start, self._scanned))
            if end < 0:
                self._scanned = len(self._buffer)
                break
            line = bytes(self._buffer[start:end])
            start = end + 1
            if len(line) > MAX_LINE_BYTES:
                self._too_long()
                return
            if line.strip():
                self._receive(line)
        del self._buffer[:start]
        self._scanned = max(0, self._scanned - start)
        if len(self._buffer) > MAX_LINE_BYTES and self._scanned == len(self._buffer):
            self._too_long()
            return
        self._regulate()

    def _too_long(self) -> None:
        most = f"a line is longer than {MAX_LINE_BYTES} bytes"
        self._send(protocol.encode_error(None, RpcError(protocol.INVALID_REQUEST, most)))
        self._buffer.clear()
        self.close()

    def _regulate(self) -> None:
        """A client that does not read its answers is not read from either."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._slow or len(self._calls) >= MOST_CALLS:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _receive(self, line: bytes) -> None:
        try:
            message = protocol.decode(line)
        except RpcError as error:
            self._send(protocol.encode_error(_id_of(line), error))
            return
        if not isinstance(message, Request):
            return
        call = asyncio.get_running_loop().create_task(self._answer(message))
        self._calls.add(call)
        call.add_done_callback(self._call_done)

    def _call_done(self, call: asyncio.Task[None]) -> None:
        full = len(self._calls) >= MOST_CALLS
        self._calls.discard(call)
        if full:
            self._take_lines()

    async def _answer(self, request: Request) -> None:
        try:
            result = await self._dispatch(self, request)
            line = protocol.encode_result(request.id, result)
        except RpcError as error:
            line = protocol.encode_error(request.id, error)
        except Exception as error:
            log.exception("%s failed", request.method)
            text = f"{request.method} failed in the agent: {type(error).__name__}: {error}"
            line = protocol.encode_error(request.id, RpcError(protocol.INTERNAL_ERROR, text))
        if request.id is not None:
            self._send(line)

    def _send(self, line: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(line)

    def close(self) -> None:
        """Send what is under way, then end the connection."""
        if self._transport is not None:
            self._transport.close()

    # What it subscribed to

    def subscribe(
        self, topics: frozenset[str], interval_ticks: int, acknowledges: bool = False
    ) -> None:
        """Replace the subscription; what waits for the earlier one is dropped.

        A client that acknowledges gets a snapshot only when it has seen those before: whatever is
        between the two, a slow line with large buffers too, never holds more than MOST_AHEAD.
        """
        self.topics, self.interval_ticks = topics, interval_ticks
        self._acknowledges, self._ahead = acknowledges, 0
        self._next_sequence = 0
        self._snapshot = None
        self._events.clear()
        self._jobs.clear()
        self._missed.clear()

    def wants(self, sequence: int) -> bool:
        """Whether this client is due the snapshot of that number."""
        return "snapshot" in self.topics and sequence >= self._next_sequence

    def send_snapshot(self, line: bytes, sequence: int) -> None:
        """Send it, or keep it in place of an older one while the client is slow."""
        self._next_sequence = sequence + self.interval_ticks
        if self._slow or (self._acknowledges and self._ahead >= MOST_AHEAD):
            self._snapshot = line
        else:
            self._ahead += 1
            self._send(line)

    def seen(self) -> None:
        """The client has taken in a snapshot: the one that waits, if any, can go."""
        self._ahead = max(0, self._ahead - 1)
        if self._snapshot is not None and not self._slow and self._ahead < MOST_AHEAD:
            line, self._snapshot = self._snapshot, None
            self._ahead += 1
            self._send(line)

    def send_event(self, line: bytes) -> None:
        """Send it, or keep it for later; too many are dropped, and that is told."""
        if not self._slow:
            self._send(line)
        elif len(self._events) < MOST_WAITING:
            self._events.append(line)
        else:
            self._missed.add("event")

    def send_job(self, job: str, line: bytes) -> None:
        """Like an event, but the newest state of a job replaces its older one."""
        if not self._slow:
            self._send(line)
        elif job in self._jobs or len(self._jobs) < MOST_WAITING:
            self._jobs[job] = line
        else:
            self._missed.add("job")

    def pause_writing(self) -> None:
        self._slow = True
        self._regulate()

    def resume_writing(self) -> None:
        self._slow = False
        waiting = [*self._events, *self._jobs.values()]
        self._events.clear()
        self._jobs.clear()
        if self._missed:
            waiting.append(protocol.encode_request("missed", {"topics": sorted(self._missed)}))
            self._missed.clear()
        if self._snapshot is not None and not (self._acknowledges and self._ahead >= MOST_AHEAD):
            waiting.append(self._snapshot)
            self._ahead += 1
            self._snapshot = None
        if waiting:
            self._send(b"".join(waiting))
        self._regulate()


def peer_uid(transport: asyncio.BaseTransport) -> int | None:
    """The user at the other end of a Unix socket; None when it is no Unix socket."""
    peer: socket.socket | None = transport.get_extra_info("socket")
    if peer is None or peer.family != socket.AF_UNIX:
        return None
    size = struct.calcsize("3i")
    _, uid, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return int(uid)


def user_name(uid: int) -> str:
    """The login name of a user, or `uid N` where there is none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def _id_of(line: bytes) -> int | str | None:
    """The id of a message that is not a valid request, so that its sender can match the error."""
    import json

    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    request_id = found.get("id") if isinstance(found, dict) else None
    return request_id if type(request_id) in (int, str) else None
