"""The client's end of one stream to an agent: answers to their calls, news to their reader."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from cockpit import codec, protocol
from cockpit.errors import BoxError
from cockpit.model import Event, Job, Snapshot

T = TypeVar("T")

CALL_TIMEOUT_S = 30.0

MOST_WAITING = 1000
"""Events and jobs kept for a reader of `follow` that is slow; beyond that they are asked for again."""


@dataclass(frozen=True)
class Missed:
    """This side was too slow for everything; of these topics it has to ask again."""

    topics: frozenset[str]


class LineReader(Protocol):
    """The incoming half of a stream. Raises OSError when it breaks, ValueError for too long a line."""

    async def readline(self) -> bytes:
        """A line with its newline; empty at the end."""


class LineWriter(Protocol):
    """The outgoing half of a stream. Raises OSError when it breaks."""

    def write(self, data: bytes) -> None:
        """Send soon."""

    async def drain(self) -> None:
        """Wait while the other side takes nothing."""

    def close(self) -> None:
        """Begin to end both halves."""

    async def wait_closed(self) -> None:
        """Wait until both have ended."""


class Link:
    """One stream to an agent: matches responses to calls and keeps what was subscribed to."""

    def __init__(self, reader: LineReader, writer: LineWriter) -> None:
        self.closed = False
        self.reason = BoxError("the connection to the agent is closed", away=True)
        """Why it is closed."""
        self._reader, self._writer = reader, writer
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._superseding: dict[int, str] = {}
        self._snapshot: Mapping[str, Any] | None = None
        self._others: deque[tuple[str, Mapping[str, Any]]] = deque()
        self._missed: set[str] = set()
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._read())

    async def call(
        self,
        method: str,
        params: Any,
        timeout_s: float | None = CALL_TIMEOUT_S,
        supersedes: str | None = None,
    ) -> Any:
        """The result of one call. Its answer makes waiting news of the topic `supersedes` outdated."""
        if self.closed:
            raise self.reason
        request_id = next(self._ids)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[request_id] = future
        if supersedes is not None:
            self._superseding[request_id] = supersedes
        try:
            self._writer.write(protocol.encode_request(method, params, request_id))
            await self._writer.drain()
            return await asyncio.wait_for(future, timeout_s)
        except protocol.RpcError as error:
            raise BoxError(error.message, error.advice, error.code) from None
        except asyncio.TimeoutError:
            late = f"the agent did not answer {method} in {timeout_s:.0f} s"
            raise BoxError(late, away=True) from None
        except OSError as error:
            raise BoxError(f"the connection to the agent broke: {error}", away=True) from None
        finally:
            self._waiting.pop(request_id, None)
            if future.done() and not future.cancelled():
                # The stream broke while this was being sent: the end was told by that already.
                future.exception()
            self._superseding.pop(request_id, None)

    def notify(self, method: str) -> None:
        """Call without waiting for an answer; one that cannot be sent is lost with the stream."""
        with contextlib.suppress(OSError):
            self._writer.write(protocol.encode_request(method, {}))

    async def updates(self) -> AsyncIterator[Snapshot | Event | Job | Missed]:
        """Notifications until the connection ends. Only the newest snapshot is kept for a late reader."""
        kinds = {"event": Event, "job": Job}
        while True:
            await self._news.wait()
            self._news.clear()
            while self._others:
                method, params = self._others.popleft()
                yield decode(kinds[method], params)
            if self._missed:
                missed, self._missed = self._missed, set()
                yield Missed(frozenset(missed))
            if self._snapshot is not None:
                snapshot, self._snapshot = self._snapshot, None
                yield decode(Snapshot, snapshot)
            if self.closed:
                return

    async def close(self) -> None:
        self.abort()
        with contextlib.suppress(asyncio.CancelledError, OSError):
            await self._task
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    def abort(self) -> None:
        """Let go of the stream without waiting for it."""
        self.closed = True
        self._task.cancel()
        self._writer.close()

    async def _read(self) -> None:
        error = BoxError("the agent closed the connection", away=True)
        try:
            while line := await self._reader.readline():
                message = protocol.decode(line)
                if isinstance(message, protocol.Response) and message.id is None and message.error:
                    # An error that answers no call is about the connection itself.
                    error = BoxError(
                        message.error.message, message.error.advice, message.error.code
                    )
                self._receive(message)
        except (OSError, ValueError) as broken:
            if not error.code:
                error = BoxError(f"the connection to the agent broke: {broken}", away=True)
        except protocol.RpcError as broken:
            error = BoxError(f"the agent sent something that is no message: {broken.message}")
        finally:
            self.closed, self.reason = True, error
            self._writer.close()
            self._news.set()
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(error)

    def _receive(self, message: protocol.Request | protocol.Response) -> None:
        if isinstance(message, protocol.Request):
            self._notice(message.method, message.params)
            return
        future = self._waiting.get(message.id) if isinstance(message.id, int) else None
        if future is None or future.done():
            return
        if message.error is not None:
            future.set_exception(message.error)
            return
        topic = self._superseding.get(message.id) if isinstance(message.id, int) else None
        if topic is not None:
            self._others = deque(each for each in self._others if each[0] != topic)
            self._missed.discard(topic)
        future.set_result(message.result)

    def _notice(self, method: str, params: Mapping[str, Any]) -> None:
        if method == "snapshot":
            self._snapshot = params
        elif method == "missed":
            self._missed.update(params.get("topics", ()))
        elif method not in ("event", "job") or method in self._missed:
            # What comes after something missed will be part of what is asked for again.
            return
        elif len(self._others) < MOST_WAITING:
            self._others.append((method, params))
        else:
            self._missed.add(method)
        self._news.set()


def decode(cls: type[T], data: Any) -> T:
    """A part of an answer as a `cls`. BoxError when it is none."""
    try:
        return codec.loads(cls, data)
    except ValueError as error:
        raise BoxError(f"the agent's answer makes no sense: {error}") from None
