"""Box: the one async API to a box, whatever transport leads to its agent."""

from __future__ import annotations

import asyncio
import base64
import math
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from cockpit import __version__, protocol
from cockpit.errors import BoxError
from cockpit.link import CALL_TIMEOUT_S, Link, Missed, decode
from cockpit.model import (
    BoxInfo,
    Event,
    Job,
    JobImage,
    JobRequest,
    JobTable,
    JobText,
    LedgerEntry,
    Prospect,
    Series,
    Snapshot,
)

COPY_TIMEOUT_S = 600.0
"""For a submission that copies a directory."""

RETRY_FIRST_S, RETRY_MOST_S = 0.2, 5.0
"""Pauses between attempts; the first one after a loss is made at once."""

LIVED_S = 5.0
"""A connection that held this long was no flapping one: the pauses start anew."""


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
        self._link: Link | None = None
        self._opening = asyncio.Lock()

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
            self.info = decode(BoxInfo, hello.get("box"))
            self._link = link
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
        self.info = decode(BoxInfo, await self.call("box"))
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

    # Jobs

    async def usage(self, since_s: float, until_s: float) -> list[LedgerEntry]:
        """The ledger: every job that had its devices in this span, running and removed ones too."""
        found: list[LedgerEntry] = []
        while True:
            params = {"since_s": since_s, "until_s": until_s, "offset": len(found)}
            result = await self.call("usage", params)
            found += [decode(LedgerEntry, entry) for entry in result["entries"]]
            if not result["entries"] or len(found) >= result["total"]:
                return found

    async def submit(self, request: JobRequest, secrets: Mapping[str, str] | None = None) -> Job:
        """Queue a job; returns as soon as the agent has it on disk, what is to be copied included.

        `secrets` holds a value for each name in `request.secrets`. The same token twice is one job.
        """
        params = {**vars(request), "secret_values": dict(secrets or {})}
        patience_s = CALL_TIMEOUT_S if request.snapshot_directory is None else COPY_TIMEOUT_S
        return decode(Job, await self.call("job.submit", params, patience_s))

    async def prospect(self, request: JobRequest) -> Prospect:
        """What would become of a request now: starts, waits or can never run; submits nothing."""
        return decode(Prospect, await self.call("job.prospect", request))

    async def jobs(self, array: str | None = None) -> tuple[Job, ...]:
        """Every job, newest first; with `array` only the members of that one, by its id."""
        params: dict[str, Any] = {} if array is None else {"array": array}
        found: list[Job] = []
        while True:
            result = await self.call("job.list", params)
            found += [decode(Job, entry) for entry in result["jobs"]]
            if not result.get("more"):
                return tuple(found)
            params = {**params, "before": int(found[-1].id)}

    async def job(self, job_id: str) -> Job:
        """One job. BoxError with code NOT_FOUND if there is none of that id."""
        return decode(Job, await self.call("job.show", {"id": job_id}))

    async def job_request(self, job_id: str) -> JobRequest:
        """What a job was submitted with, to launch another like it."""
        return decode(JobRequest, await self.call("job.request", {"id": job_id}))

    async def stop_job(self, job_id: str, grace_s: float = 10.0) -> Job:
        """SIGTERM to the whole tree, SIGKILL after `grace_s`; returns when it is gone."""
        params = {"id": job_id, "grace_s": grace_s}
        return decode(Job, await self.call("job.stop", params, grace_s + CALL_TIMEOUT_S))

    async def remove_job(self, job_id: str) -> None:
        """Delete a job that has ended, with its directory. BoxError REFUSED if it has not."""
        await self.call("job.remove", {"id": job_id})

    async def requeue_job(
        self,
        job_id: str,
        token: str | None = None,
        secrets: Mapping[str, str] | None = None,
        array: bool = False,
    ) -> Job:
        """Submit a job that has ended once more; the same token twice makes one job.

        With `array` every job of the array that it belongs to. The values of its secrets have to be
        given again.
        """
        params: dict[str, Any] = {"id": job_id, "token": token, "array": array}
        params["secret_values"] = dict(secrets or {})
        return decode(Job, await self.call("job.requeue", params, COPY_TIMEOUT_S))

    async def job_log(self, job_id: str, offset: int, limit: int = 65536) -> dict[str, Any]:
        """Bytes of the log from `offset` (negative: from the end); see `job.log` for the keys."""
        return dict(await self.call("job.log", {"id": job_id, "offset": offset, "limit": limit}))

    async def job_search(
        self,
        job_id: str,
        pattern: str,
        offset: int,
        *,
        until: int | None = None,
        backwards: bool = False,
        regex: bool = False,
        limit: int = 100,
    ) -> dict[str, Any]:
        """Look for `pattern` in a part of the log; see `job.search` for the keys."""
        asked = {"id": job_id, "pattern": pattern, "offset": offset, "backwards": backwards}
        asked |= {"regex": regex, "limit": limit, **({} if until is None else {"until": until})}
        return dict(await self.call("job.search", asked))

    async def job_events(self, job_id: str, offset: int, limit: int = 200) -> dict[str, Any]:
        """Whole events of the job from byte `offset` on; see `job.events` for the keys."""
        return dict(await self.call("job.events", {"id": job_id, "offset": offset, "limit": limit}))

    async def job_metrics(
        self,
        job_id: str,
        points: int = 400,
        names: Iterable[str] = (),
        axis: str = "step",
        since: float | None = None,
        until: float | None = None,
    ) -> dict[str, Any]:
        """What the job measured, the whole run or a part of it; see `job.metrics` for the keys."""
        asked = {"id": job_id, "points": points, "names": list(names), "axis": axis}
        return dict(await self.call("job.metrics", {**asked, "since": since, "until": until}))

    async def job_frame(self, job_id: str, name: str, after: int = 0) -> dict[str, Any]:
        """The newest frame of a live field if its sequence is above `after`; see `job.frame`."""
        return dict(await self.call("job.frame", {"id": job_id, "name": name, "after": after}))

    async def job_image(self, job_id: str, name: str, after: int = 0) -> JobImage | None:
        """The newest picture of a name in `Job.images`; None if its version is not above `after`.

        BoxError NOT_FOUND without one of that name, REFUSED if it is too large or no PNG or JPEG.
        """
        answer = await self.call("job.image", {"id": job_id, "name": name, "after": after})
        if "data" not in answer:
            return None
        return JobImage(answer["version"], answer["format"], base64.b64decode(answer["data"]))

    async def job_table(self, job_id: str, name: str, after: int = 0) -> JobTable | None:
        """The newest table of a name in `Job.tables`; None if its version is not above `after`."""
        answer = await self.call("job.table", {"id": job_id, "name": name, "after": after})
        return decode(JobTable, answer) if "rows" in answer else None

    async def job_text(self, job_id: str, name: str, after: int = 0) -> JobText | None:
        """The newest text of a name in `Job.texts`; None if its version is not above `after`."""
        answer = await self.call("job.text", {"id": job_id, "name": name, "after": after})
        return decode(JobText, answer) if "text" in answer else None

    # Everything as it happens

    async def follow(
        self, topics: Iterable[str] = ("snapshot", "event", "job"), interval_s: float = 1.0
    ) -> AsyncIterator[Update]:
        """Yield what happens, for ever, across lost connections and agents that are replaced.

        Yields Connected first and after each reconnection, Disconnected once per loss, a BoxInfo
        whenever the box changed. A consumer that is slow gets the newest snapshot, not all of them.
        """
        wanted = {"topics": list(topics), "interval_s": interval_s}
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
