"""Box: the one async API to a box, whatever transport leads to its agent."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from cockpit import __version__, codec, protocol
from cockpit.errors import BoxError
from cockpit.model import BoxInfo, Event, Job, JobRequest, Series, Snapshot

T = TypeVar("T")

CALL_TIMEOUT_S = 30.0
RETRY_FIRST_S, RETRY_MOST_S = 0.2, 5.0


class Transport(Protocol):
    """A way to an agent. `open` may start one; `restart` replaces one of another version."""

    name: str
    settings_digest: str | None
    """What the agent is to be run with; None accepts any."""

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the agent. Raises BoxError with advice when there can be none."""

    async def restart(self) -> None:
        """End the running agent, so that the next `open` starts one of this version."""


@dataclass(frozen=True)
class Connected:
    """The agent answers (again)."""

    box: BoxInfo


@dataclass(frozen=True)
class Disconnected:
    """The agent cannot be reached since `since_s`; `follow` keeps trying."""

    reason: str
    advice: str
    since_s: float


Update = Connected | Disconnected | BoxInfo | Snapshot | Event | Job
"""What `Box.follow` yields."""


class Box:
    """A box, through its agent. Methods raise BoxError: in words, with advice, never a traceback."""

    def __init__(self, transport: Transport) -> None:
        self.name = transport.name
        self.info: BoxInfo | None = None
        self._transport = transport
        self._connection: _Connection | None = None
        self._opening = asyncio.Lock()

    async def connect(self) -> BoxInfo:
        """Make sure there is a connection, starting or replacing the agent if need be."""
        async with self._opening:
            if self._connection is not None and not self._connection.closed:
                assert self.info is not None
                return self.info
            connection, hello = await self._hello()
            if self._outdated(hello):
                await connection.close()
                await self._transport.restart()
                connection, hello = await self._hello()
            if hello.get("protocol") != protocol.PROTOCOL:
                await connection.close()
                raise BoxError(
                    f"the agent speaks protocol {hello.get('protocol')}, not {protocol.PROTOCOL}",
                    f"It is cockpit {hello.get('version')}, this is {__version__}: start it again.",
                )
            self.info = _decode(BoxInfo, hello.get("box"))
            self._connection = connection
            return self.info

    def _outdated(self, hello: Mapping[str, Any]) -> bool:
        """Whether the agent is to be replaced.

        Only at the first connection: two programs of different versions or settings would
        otherwise replace each other's agent for ever.
        """
        if self.info is not None:
            return False
        if (hello.get("version"), hello.get("protocol")) != (__version__, protocol.PROTOCOL):
            return True
        wanted, found = self._transport.settings_digest, hello.get("settings")
        return None not in (wanted, found) and wanted != found

    async def _hello(self) -> tuple[_Connection, dict[str, Any]]:
        reader, writer = await self._transport.open()
        connection = _Connection(reader, writer)
        greeting = {"version": __version__, "protocol": protocol.PROTOCOL}
        hello = await connection.call("hello", greeting)
        return connection, hello if isinstance(hello, dict) else {}

    async def close(self) -> None:
        """Leave the box; its agent and its jobs go on."""
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def __aenter__(self) -> Box:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def call(
        self, method: str, params: Any = None, timeout_s: float | None = CALL_TIMEOUT_S
    ) -> Any:
        """Call any method of `protocol.METHODS`; the decoded JSON result."""
        await self.connect()
        assert self._connection is not None
        return await self._connection.call(method, {} if params is None else params, timeout_s)

    # The box and its GPUs

    async def box(self) -> BoxInfo:
        """The box's static facts, asked for anew."""
        self.info = _decode(BoxInfo, await self.call("box"))
        return self.info

    async def snapshot(self) -> Snapshot:
        """The newest snapshot; waits for the first."""
        return _decode(Snapshot, await self.call("snapshot"))

    async def history(
        self, gpu_uuid: str, metric: str, since_s: float, until_s: float, points: int = 400
    ) -> Series:
        """`metric` of one GPU between two times, in at most `points` buckets."""
        params = {
            "gpu": gpu_uuid,
            "metric": metric,
            "since_s": since_s,
            "until_s": until_s,
            "points": points,
        }
        return _decode(Series, await self.call("history", params))

    async def energy(self, since_s: float, until_s: float) -> list[dict[str, Any]]:
        """Energy per day and GPU: `{"day": "2026-11-24", "gpu": uuid, "energy_j": …}`."""
        result = await self.call("energy", {"since_s": since_s, "until_s": until_s})
        return list(result["days"])

    async def events(
        self, since_s: float = 0.0, after_id: int = 0, limit: int = 500
    ) -> tuple[Event, ...]:
        """Newest `limit` events since a time and after an id, oldest first."""
        params = {"since_s": since_s, "after_id": after_id, "limit": limit}
        result = await self.call("events", params)
        return tuple(_decode(Event, entry) for entry in result["events"])

    async def stop_process(self, pid: int, start_ticks: int, force: bool = False) -> None:
        """End one of your own processes; `start_ticks` makes sure that it is still the same one."""
        await self.call("process.stop", {"pid": pid, "start_ticks": start_ticks, "force": force})

    async def inject_fault(self, gpu: int, kind: str, clear: bool = False) -> None:
        """Make a simulated GPU fail (lost, hot, ecc, xid, link, slow), or mend it."""
        await self.call("simulate.fault", {"gpu": gpu, "kind": kind, "clear": clear})

    async def shutdown(self) -> None:
        """End the agent; jobs go on in their shims."""
        await self.call("shutdown")

    # Jobs

    async def submit(self, request: JobRequest) -> Job:
        """Queue a job; returns as soon as the agent has it on disk."""
        return _decode(Job, await self.call("job.submit", request))

    async def jobs(self) -> tuple[Job, ...]:
        """Every job, newest first."""
        result = await self.call("job.list")
        return tuple(_decode(Job, entry) for entry in result["jobs"])

    async def job(self, job_id: str) -> Job:
        """One job. BoxError with code NOT_FOUND if there is none of that id."""
        return _decode(Job, await self.call("job.show", {"id": job_id}))

    async def stop_job(self, job_id: str, grace_s: float = 10.0) -> Job:
        """SIGTERM to the whole tree, SIGKILL after `grace_s`; returns when it is gone."""
        params = {"id": job_id, "grace_s": grace_s}
        return _decode(Job, await self.call("job.stop", params, grace_s + CALL_TIMEOUT_S))

    async def job_log(self, job_id: str, offset: int, limit: int = 65536) -> dict[str, Any]:
        """Bytes of the log from `offset` (negative: from the end); see `job.log` for the keys."""
        return dict(await self.call("job.log", {"id": job_id, "offset": offset, "limit": limit}))

    async def job_metrics(self, job_id: str, points: int = 400) -> dict[str, list[list[float]]]:
        """Every metric the job reported: name → `[step, time_s, value]` rows."""
        return dict((await self.call("job.metrics", {"id": job_id, "points": points}))["metrics"])

    async def job_frame(self, job_id: str, name: str, after: int = 0) -> dict[str, Any]:
        """The newest frame of a live field if its sequence is above `after`; see `job.frame`."""
        return dict(await self.call("job.frame", {"id": job_id, "name": name, "after": after}))

    # Everything as it happens

    async def follow(
        self, topics: Iterable[str] = ("snapshot", "event", "job"), interval_s: float = 1.0
    ) -> AsyncIterator[Update]:
        """Yield what happens, for ever, across lost connections and agents that are replaced.

        Yields Connected first and after each reconnection, Disconnected once per loss, a BoxInfo
        whenever the box changed. A consumer that is slow gets the newest snapshot, not all of them.
        """
        wanted = {"topics": list(topics), "interval_s": interval_s}
        delay, lost_since = RETRY_FIRST_S, 0.0
        while True:
            try:
                connected = Connected(await self.connect())
                connection = self._connection
                assert connection is not None and self.info is not None
                await connection.call("subscribe", wanted)
                delay, lost_since = RETRY_FIRST_S, 0.0
                # Subscribed first: a reader that now asks for the past misses nothing in between.
                yield connected
                async for update in connection.updates():
                    if isinstance(update, Snapshot) and update.box_revision != self.info.revision:
                        yield await self.box()
                    yield update
                raise BoxError("the agent closed the connection")
            except (BoxError, OSError) as error:
                if not lost_since:
                    lost_since = time.time()
                    advice = error.advice if isinstance(error, BoxError) else ""
                    yield Disconnected(str(error).splitlines()[0], advice, lost_since)
                await asyncio.sleep(delay)
                delay = min(delay * 2, RETRY_MOST_S)


class _Connection:
    """One stream to an agent: matches responses to calls and keeps what was subscribed to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.closed = False
        self._reader, self._writer = reader, writer
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._snapshot: Mapping[str, Any] | None = None
        self._others: deque[tuple[str, Mapping[str, Any]]] = deque()
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._read())

    async def call(self, method: str, params: Any, timeout_s: float | None = CALL_TIMEOUT_S) -> Any:
        if self.closed:
            raise BoxError("the connection to the agent is closed")
        request_id = next(self._ids)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[request_id] = future
        try:
            self._writer.write(protocol.encode_request(method, params, request_id))
            await self._writer.drain()
            return await asyncio.wait_for(future, timeout_s)
        except protocol.RpcError as error:
            raise BoxError(error.message, error.advice, error.code) from None
        except asyncio.TimeoutError:
            raise BoxError(f"the agent did not answer {method} in {timeout_s:.0f} s") from None
        except OSError as error:
            raise BoxError(f"the connection to the agent broke: {error}") from None
        finally:
            self._waiting.pop(request_id, None)

    async def updates(self) -> AsyncIterator[Update]:
        """Notifications until the connection ends. Only the newest snapshot is kept for a late reader."""
        kinds = {"event": Event, "job": Job}
        while not self.closed:
            await self._news.wait()
            self._news.clear()
            while self._others:
                method, params = self._others.popleft()
                if method in kinds:
                    yield _decode(kinds[method], params)
            if self._snapshot is not None:
                snapshot, self._snapshot = self._snapshot, None
                yield _decode(Snapshot, snapshot)

    async def close(self) -> None:
        self.closed = True
        self._task.cancel()
        self._writer.close()
        with contextlib.suppress(asyncio.CancelledError, OSError):
            await self._task
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def _read(self) -> None:
        reason = "the agent closed the connection"
        try:
            while line := await self._reader.readline():
                self._receive(protocol.decode(line))
        except (OSError, ValueError) as error:
            reason = f"the connection to the agent broke: {error}"
        except protocol.RpcError as error:
            reason = f"the agent sent something that is no message: {error.message}"
        finally:
            self.closed = True
            self._news.set()
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(BoxError(reason))

    def _receive(self, message: protocol.Request | protocol.Response) -> None:
        if isinstance(message, protocol.Request):
            if message.method == "snapshot":
                self._snapshot = message.params
            else:
                self._others.append((message.method, message.params))
            self._news.set()
            return
        future = self._waiting.get(message.id) if isinstance(message.id, int) else None
        if future is None or future.done():
            return
        if message.error is not None:
            future.set_exception(message.error)
        else:
            future.set_result(message.result)


def _decode(cls: type[T], data: Any) -> T:
    try:
        return codec.loads(cls, data)
    except ValueError as error:
        raise BoxError(f"the agent's answer makes no sense: {error}") from None
