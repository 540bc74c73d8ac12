"""Box: the one async API to a box, whatever transport leads to its agent."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from cockpit import __version__, protocol
from cockpit.errors import BoxError
from cockpit.job_calls import JobCalls
from cockpit.link import CALL_TIMEOUT_S, LineReader, LineWriter, Link, Missed, decode
from cockpit.model import (
    BoxInfo,
    Event,
    Job,
    Series,
    Snapshot,
)

RETRY_FIRST_S, RETRY_MOST_S = 0.2, 5.0
"""Pauses between attempts; the first one after a loss is made at once."""

LIVED_S = 5.0
"""A connection that held this long was no flapping one: the pauses start anew."""


class Transport(Protocol):
    """A way to an agent. `open` may start one; `restart` replaces one of another version."""

    name: str
    local: bool
    """Whether the box is this machine: its files are the ones here."""
    settings_digest: str | None
    """What the agent is to be run with; None accepts any."""

    async def open(self) -> tuple[LineReader, LineWriter]:
        """A connection to the agent. Raises BoxError with advice when there can be none."""

    async def restart(self) -> None:
        """End the running agent, so that the next `open` starts one of this version."""

    async def place(self, folder: str) -> str:
        """The path on the box of a folder of this machine, which is sent there if need be."""

    async def forward(self, port: int) -> int:
        """A port of this machine's loopback that leads to `port` of the box's loopback."""

    async def close(self) -> None:
        """Let go of whatever is shared by the streams."""


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


class Box(JobCalls):
    """A box, through its agent. Methods raise BoxError: in words, with advice, never a traceback."""

    def __init__(self, transport: Transport) -> None:
        self.name = transport.name
        self.info: BoxInfo | None = None
        self._transport = transport
        self._link: Link | None = None
        self._opening = asyncio.Lock()

    @property
    def local(self) -> bool:
        """Whether the box is this machine: its files are the ones here."""
        return self._transport.local

    async def connect(self) -> BoxInfo:
        """Make sure there is a connection, starting or replacing the agent if need be."""
        async with self._opening:
            if self._link is not None and not self._link.closed:
                assert self.info is not None
                return self.info
            link, hello = await self._hello()
            if self._outdated(hello):
                await link.close()
                await self._transport.restart()
                link, hello = await self._hello()
            if hello.get("protocol") != protocol.PROTOCOL:
                await link.close()
                raise BoxError(
                    f"the agent speaks protocol {hello.get('protocol')}, not {protocol.PROTOCOL}",
                    f"It is cockpit {hello.get('version')}, this is {__version__}: start it again.",
                )
            self.info = self._named(decode(BoxInfo, hello.get("box")))
            self._link = link
            return self.info

    def _named(self, info: BoxInfo) -> BoxInfo:
        """A box over SSH has the name that the person calls it by."""
        return info if self.local else replace(info, name=self.name)

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

    async def _hello(self) -> tuple[Link, dict[str, Any]]:
        reader, writer = await self._transport.open()
        link = Link(reader, writer)
        greeting = {"version": __version__, "protocol": protocol.PROTOCOL}
        try:
            hello = await link.call("hello", greeting)
        except BaseException:
            link.abort()
            raise
        return link, hello if isinstance(hello, dict) else {}

    async def close(self) -> None:
        """Leave the box; its agent and its jobs go on."""
        if self._link is not None:
            await self._link.close()
            self._link = None
        await self._transport.close()

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
        assert self._link is not None
        return await self._link.call(method, {} if params is None else params, timeout_s)

    # The box and its GPUs

    async def box(self) -> BoxInfo:
        """The box's static facts, asked for anew."""
        self.info = self._named(decode(BoxInfo, await self.call("box")))
        return self.info

    async def snapshot(self) -> Snapshot:
        """The newest snapshot; waits for the first."""
        return decode(Snapshot, await self.call("snapshot"))

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
        return decode(Series, await self.call("history", params))

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
        return tuple(decode(Event, entry) for entry in result["events"])

    async def stop_process(self, pid: int, start_ticks: int, force: bool = False) -> None:
        """End one of your own processes; `start_ticks` makes sure that it is still the same one."""
        await self.call("process.stop", {"pid": pid, "start_ticks": start_ticks, "force": force})

    async def inject_fault(self, gpu: int, kind: str, clear: bool = False) -> None:
        """Make a simulated GPU fail (lost, hot, ecc, xid, link, slow), or mend it."""
        await self.call("simulate.fault", {"gpu": gpu, "kind": kind, "clear": clear})

    async def shutdown(self) -> None:
        """End the agent; jobs go on in their shims."""
        await self.call("shutdown")

    async def place(self, folder: str) -> str:
        """The path on the box of a folder of this machine, sent there if it is another one."""
        return await self._transport.place(folder)

    async def forward(self, port: int) -> int:
        """A local port, on loopback alone, that leads to a port of the box's loopback."""
        return await self._transport.forward(port)

    # Everything as it happens

    async def follow(
        self, topics: Iterable[str] = ("snapshot", "event", "job"), interval_s: float = 1.0
    ) -> AsyncIterator[Update]:
        """Yield what happens, for ever, across lost connections and agents that are replaced.

        Yields Connected first and after each reconnection, Disconnected once per loss, a BoxInfo
        whenever the box changed. A consumer that is slow gets the newest snapshot, not all of them.
        """
        acknowledge = not self.local
        wanted = {"topics": list(topics), "interval_s": interval_s, "acknowledge": acknowledge}
        delay, lost_since, met = 0.0, 0.0, math.inf
        while True:
            try:
                connected = Connected(await self.connect())
                link = self._link
                assert link is not None and self.info is not None
                await link.call("subscribe", wanted)
                lost_since, met = 0.0, time.monotonic()
                # Subscribed first: a reader that now asks for the past misses nothing in between.
                yield connected
                last_event = 0
                async for update in link.updates():
                    if isinstance(update, Snapshot) and update.box_revision != self.info.revision:
                        yield await self.box()
                    if isinstance(update, Event):
                        if update.id <= last_event:
                            continue
                        last_event = update.id
                    if not isinstance(update, Missed):
                        yield update
                        if acknowledge and isinstance(update, Snapshot):
                            link.notify("seen")
                        continue
                    async for missed in self._again(link, update, last_event):
                        if isinstance(missed, Event):
                            last_event = missed.id
                        yield missed
                raise link.reason
            except (BoxError, OSError) as error:
                if not lost_since:
                    lost_since = time.time()
                    advice = error.advice if isinstance(error, BoxError) else ""
                    yield Disconnected(str(error).splitlines()[0], advice, lost_since)
                if time.monotonic() - met > LIVED_S:
                    delay = 0.0
                met = math.inf
                await asyncio.sleep(delay)
                delay = min(max(RETRY_FIRST_S, delay * 2), RETRY_MOST_S)

    async def _again(
        self, link: Link, missed: Missed, last_event: int
    ) -> AsyncIterator[Event | Job]:
        if "event" in missed.topics:
            # Before the first event there is no telling what is new: the last minute is.
            since_s = 0.0 if last_event else time.time() - 60.0
            params = {"since_s": since_s, "after_id": last_event, "limit": 5000}
            result = await link.call("events", params, supersedes="event")
            for entry in result["events"]:
                yield decode(Event, entry)
        if "job" in missed.topics:
            result = await link.call("job.list", {}, supersedes="job")
            entries = result["jobs"]
            # The first page has all that changes; what is told meanwhile of those on it stays.
            while result.get("more"):
                result = await link.call("job.list", {"before": int(entries[-1]["id"])})
                entries = [*entries, *result["jobs"]]
            for entry in reversed(entries):
                yield decode(Job, entry)
