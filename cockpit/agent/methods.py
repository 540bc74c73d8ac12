"""What the agent answers: every method of the protocol that is not about jobs."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from cockpit import __version__, codec, protocol
from cockpit.agent.connection import Connection
from cockpit.agent.stopping import stop_process
from cockpit.protocol import INVALID_PARAMS, METHOD_NOT_FOUND, NOT_FOUND, REFUSED, Request, RpcError

if TYPE_CHECKING:
    from cockpit.agent.agent import Agent

T = TypeVar("T")
TOPICS = frozenset({"snapshot", "event", "job"})
FIRST_BOX_S = 2.0
"""How long `hello` waits for a driver that has not answered yet."""
FIRST_SNAPSHOT_S = 20.0

Handler = Callable[[Connection, dict[str, Any]], Coroutine[Any, Any, Any]]


@dataclass(frozen=True)
class Subscription:
    """Parameters of `subscribe`."""

    topics: tuple[str, ...]
    interval_s: float = 1.0
    acknowledge: bool = False


@dataclass(frozen=True)
class Span:
    """Parameters of `energy`."""

    since_s: float
    until_s: float


@dataclass(frozen=True)
class HistoryQuery:
    """Parameters of `history`."""

    gpu: str
    metric: str
    since_s: float
    until_s: float
    points: int = 400


@dataclass(frozen=True)
class EventQuery:
    """Parameters of `events`."""

    since_s: float = 0.0
    after_id: int = 0
    limit: int = 500


@dataclass(frozen=True)
class ProcessToStop:
    """Parameters of `process.stop`."""

    pid: int
    start_ticks: int
    force: bool = False


@dataclass(frozen=True)
class Fault:
    """Parameters of `simulate.fault`."""

    gpu: int
    kind: str
    clear: bool = False


class Methods:
    """The dispatch table of one agent; job methods are those of its JobService."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._table: dict[str, Handler] = {
            "hello": self._hello,
            "box": self._box,
            "snapshot": self._snapshot,
            "subscribe": self._subscribe,
            "seen": self._seen,
            "history": self._history,
            "energy": self._energy,
            "events": self._events,
            "process.stop": self._stop_process,
            "simulate.fault": self._fault,
            "shutdown": self._shutdown,
        }

    async def dispatch(self, connection: Connection, request: Request) -> Any:
        """The result of one request. Raises RpcError."""
        handler = self._table.get(request.method)
        if handler is not None:
            return await handler(connection, request.params)
        job_method = self._agent.jobs.methods.get(request.method)
        if job_method is None:
            raise RpcError(
                METHOD_NOT_FOUND,
                f"there is no method {request.method[:80]!r}",
                f"There is: {', '.join(protocol.METHODS)}.",
            )
        return await job_method(request.params)

    async def _hello(self, connection: Connection, params: dict[str, Any]) -> Any:
        await _within(self._agent.first_snapshot, FIRST_BOX_S)
        return {
            "version": __version__,
            "protocol": protocol.PROTOCOL,
            "pid": os.getpid(),
            "name": self._agent.settings.name,
            "settings": self._agent.digest,
            "box": self._agent.box,
        }

    async def _box(self, connection: Connection, params: dict[str, Any]) -> Any:
        return self._agent.box

    async def _snapshot(self, connection: Connection, params: dict[str, Any]) -> Any:
        await _within(self._agent.first_snapshot, FIRST_SNAPSHOT_S)
        if self._agent.server.newest is None:
            raise RpcError(
                REFUSED,
                f"the driver has not answered for {FIRST_SNAPSHOT_S:.0f} s",
                "Run cockpit doctor; a driver that hangs usually needs a reboot.",
            )
        return self._agent.server.newest

    async def _subscribe(self, connection: Connection, params: dict[str, Any]) -> Any:
        wanted = _parameters(Subscription, params)
        unknown = set(wanted.topics) - TOPICS
        if unknown:
            names = ", ".join(sorted(unknown))
            raise RpcError(
                INVALID_PARAMS, f"no such topic: {names}", "Topics: snapshot, event, job."
            )
        if not 0 < wanted.interval_s <= 86_400:
            raise RpcError(INVALID_PARAMS, "interval_s must be above 0 and at most a day")
        ticks = max(1, round(wanted.interval_s / self._agent.settings.interval_s))
        connection.subscribe(frozenset(wanted.topics), ticks, wanted.acknowledge)
        asyncio.get_running_loop().call_soon(self._agent.server.subscribed, connection)
        return {}

    async def _seen(self, connection: Connection, params: dict[str, Any]) -> Any:
        connection.seen()
        return {}

    async def _history(self, connection: Connection, params: dict[str, Any]) -> Any:
        query = _parameters(HistoryQuery, params)
        _check_span(query.since_s, query.until_s)
        history = self._agent.history
        if not await self._agent.on_disk(partial(history.knows, query.gpu)):
            raise RpcError(NOT_FOUND, f"there is no history of a GPU {query.gpu[:80]!r}")
        ask = partial(
            history.series, query.gpu, query.metric, query.since_s, query.until_s, query.points
        )
        try:
            return await self._agent.on_disk(ask)
        except ValueError as error:
            raise RpcError(INVALID_PARAMS, str(error)) from None

    async def _energy(self, connection: Connection, params: dict[str, Any]) -> Any:
        span = _parameters(Span, params)
        _check_span(span.since_s, span.until_s)
        ask = partial(self._agent.energy.days, span.since_s, span.until_s)
        return {"days": await self._agent.on_disk(ask)}

    async def _events(self, connection: Connection, params: dict[str, Any]) -> Any:
        query = _parameters(EventQuery, params)
        if not math.isfinite(query.since_s) or not 0 <= query.after_id < 1 << 62:
            raise RpcError(INVALID_PARAMS, "since_s and after_id must be numbers that can be")
        ask = partial(self._agent.events.find, query.since_s, query.after_id, query.limit)
        return {"events": await self._agent.on_disk(ask), "last_id": self._agent.events.last_id}

    async def _stop_process(self, connection: Connection, params: dict[str, Any]) -> Any:
        wanted = _parameters(ProcessToStop, params)
        if self._agent.box.source == "replay":
            raise RpcError(REFUSED, "a recording's processes cannot be ended")
        stop_process(self._agent.server.newest, wanted.pid, wanted.start_ticks, wanted.force)
        return {}

    async def _fault(self, connection: Connection, params: dict[str, Any]) -> Any:
        wanted = _parameters(Fault, params)
        fault = getattr(self._agent.source, "fault", None)
        if fault is None:
            raise RpcError(REFUSED, "only a simulated box can be made to fail")
        work = partial(fault, wanted.gpu, wanted.kind, clear=wanted.clear)
        try:
            await asyncio.wrap_future(self._agent.sampler.run(work))
        except (ValueError, LookupError) as error:
            raise RpcError(INVALID_PARAMS, str(error)) from None
        return {}

    async def _shutdown(self, connection: Connection, params: dict[str, Any]) -> Any:
        # After the answer has been written.
        asyncio.get_running_loop().call_soon(self._agent.stop, "a client asked for it")
        return {}


def _parameters(cls: type[T], params: dict[str, Any]) -> T:
    try:
        return codec.loads(cls, params)
    except ValueError as error:
        raise RpcError(INVALID_PARAMS, str(error)) from None


def _check_span(since_s: float, until_s: float) -> None:
    if not (math.isfinite(since_s) and math.isfinite(until_s) and 0 <= since_s <= until_s < 1e11):
        raise RpcError(INVALID_PARAMS, "since_s and until_s must be Unix seconds, in that order")


async def _within(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except asyncio.TimeoutError:
        return
