"""JobService: every `job.*` method of the protocol, over the queue of a box."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cockpit.agent.environments.service import EnvironmentService
from cockpit.agent.jobs import contents, files, listing, planning, reading, services
from cockpit.agent.jobs.executor import Executor, LocalExecutor
from cockpit.agent.jobs.index import JobIndex
from cockpit.agent.jobs.prospects import prospect
from cockpit.agent.jobs.queue import JobQueue
from cockpit.agent.jobs.record import Record
from cockpit.agent.jobs.submission import Submission, read_request, request_of
from cockpit.agent.telemetry.source import JobLoad
from cockpit.model import BoxInfo, Event, Job, JobRequest, Prospect, Snapshot
from cockpit.protocol import INVALID_PARAMS, NOT_FOUND, REFUSED, RpcError
from cockpit.settings import AgentSettings

DEFAULT_GRACE_S = 10.0
USAGE_PAGE = 2000
"""Lines of the ledger in one answer."""

Method = Callable[[dict[str, Any]], Awaitable[Any]]


class JobService:
    """What the agent knows of jobs. Everything runs in the agent's event loop.

    `observe` and every method belong to the loop's thread; `running` may be called from any.
    """

    def __init__(
        self,
        directory: Path,
        box_name: str,
        publish: Callable[[Job], None],
        emit: Callable[[Event], None],
        executor: Executor | None = None,
        settings: AgentSettings | None = None,
    ) -> None:
        settings = settings or AgentSettings()
        self._queue = JobQueue(
            directory, box_name, publish, emit, executor or LocalExecutor(), settings
        )
        environments = EnvironmentService(planning.environments_dir(), settings.environments)
        self._submission = Submission(self._queue, directory)
        self._watch = services.Watch(self._queue.services)
        self.methods: Mapping[str, Method] = {
            "job.submit": self._submit,
            "job.prospect": self._prospect,
            "job.list": self._list,
            "job.show": self._show,
            "job.request": self._request,
            "job.stop": self._stop,
            "job.remove": self._remove,
            "job.requeue": self._requeue,
            "job.log": self._log,
            "job.search": self._search,
            "job.events": self._events,
            "job.metrics": self._metrics,
            "job.frame": self._frame,
            "job.image": self._image,
            "job.table": self._table,
            "job.text": self._text,
            "job.service": self._service,
            "job.files": self._files,
            "job.read": self._read,
            "usage": self._usage,
            "notify.test": self._test_notices,
            **environments.methods,
        }

    @property
    def index(self) -> JobIndex:
        """What sums over the history are made from: `index.ended(since_s, until_s)`."""
        return self._queue.registry.index

    async def start(self) -> None:
        """Read every job directory; pick up what runs, bury what died, queue what waits."""
        await self._queue.start()
        self._watch.start()

    async def close(self) -> None:
        """Stop watching. The jobs go on in their shims."""
        await self._watch.close()
        await self._submission.close()
        await self._queue.close()

    def observe(self, box: BoxInfo, snapshot: Snapshot) -> None:
        """Take the newest readings: for the queue, and for the energy of what runs."""
        self._queue.observe(box, snapshot)

    def running(self) -> Sequence[JobLoad]:
        """Every job that has processes now."""
        return self._queue.course.loads

    def busy(self) -> bool:
        """True while any job waits or runs, or its end is to be told: the agent must not end."""
        return bool(self._queue.live) or self._queue.teller.notices.pending

    async def _submit(self, params: dict[str, Any]) -> Job:
        return self._queue.teller.show(await self._submission.submit(params))

    async def _prospect(self, params: dict[str, Any]) -> Prospect:
        return prospect(self._queue, read_request(params))

    async def _requeue(self, params: dict[str, Any]) -> Job:
        before = self._find_ended(params)
        return self._queue.teller.show(await self._submission.requeue(before, params))

    async def _list(self, params: dict[str, Any]) -> dict[str, Any]:
        before, array = params.get("before"), params.get("array")
        if not isinstance(array, str | None):
            raise RpcError(INVALID_PARAMS, f'"array" must be text, got {array!r:.60}')
        if before is not None:
            before = reading.integer(params, "before", 0)
        found = self._queue.registry.newest_first(before, array)
        return listing.page(found, self._queue.teller.show)

    async def _show(self, params: dict[str, Any]) -> Job:
        return self._queue.teller.show(self._find(params))

    async def _request(self, params: dict[str, Any]) -> JobRequest:
        return replace(request_of(self._find(params)), token=None)

    async def _stop(self, params: dict[str, Any]) -> Job:
        record = self._find(params)
        wish = record.spec.request.service if record.final is None else None
        grace_s = params.get("grace_s", wish.drain_s if wish else DEFAULT_GRACE_S)
        if type(grace_s) not in (int, float) or not 0 <= grace_s < 1e9:
            raise RpcError(INVALID_PARAMS, f'"grace_s" must be seconds, got {grace_s!r:.60}')
        try:
            await self._queue.stop(record, float(grace_s))
        except OSError as error:
            raise RpcError(REFUSED, f"job {record.id} could not be stopped: {error}") from None
        return self._queue.teller.show(record)

    async def _remove(self, params: dict[str, Any]) -> dict[str, Any]:
        record = self._find_ended(params)
        try:
            await self._queue.remove(record)
        except OSError as error:
            raise RpcError(REFUSED, f"job {record.id} could not be removed: {error}") from None
        return {}

    async def _log(self, params: dict[str, Any]) -> dict[str, Any]:
        return reading.log(self._find(params), params)

    async def _search(self, params: dict[str, Any]) -> dict[str, Any]:
        return await asyncio.to_thread(reading.search, self._find(params), params)

    async def _events(self, params: dict[str, Any]) -> dict[str, Any]:
        return reading.events(self._find(params), params)

    async def _metrics(self, params: dict[str, Any]) -> dict[str, Any]:
        record = self._find(params)
        tail = await record.all_events()
        return await asyncio.to_thread(reading.metrics(record, tail, params))

    async def _frame(self, params: dict[str, Any]) -> dict[str, Any]:
        record = self._find(params)
        path = contents.frame_path(record, await record.all_events(), params)
        return await asyncio.to_thread(contents.frame, path, reading.integer(params, "after", 0))

    async def _image(self, params: dict[str, Any]) -> dict[str, Any]:
        record = self._find(params)
        return await asyncio.to_thread(contents.image, record, await record.all_events(), params)

    async def _table(self, params: dict[str, Any]) -> dict[str, Any]:
        record = self._find(params)
        return contents.table(record, await record.all_events(), params)

    async def _text(self, params: dict[str, Any]) -> dict[str, Any]:
        record = self._find(params)
        return contents.text(record, await record.all_events(), params)

    async def _service(self, params: dict[str, Any]) -> dict[str, Any]:
        record = self._find(params)
        job = self._queue.teller.show(record)
        if job.service is None:
            raise RpcError(REFUSED, f"job {job.id} is no service")
        access = services.access_of(record.directory.path)
        if job.service.state == "ended" or job.started_s is None or access is None:
            raise RpcError(REFUSED, f"the service of job {job.id} does not run: it is {job.state}")
        told = {"protocol": job.service.protocol, "state": job.service.state}
        return {**told, "models": list(job.service.models), "port": access.port, "key": access.key}

    async def _files(self, params: dict[str, Any]) -> dict[str, Any]:
        return await asyncio.to_thread(files.listing, self._find(params), params)

    async def _read(self, params: dict[str, Any]) -> dict[str, Any]:
        return await asyncio.to_thread(files.read, self._find(params), params)

    async def _test_notices(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"results": await self._queue.teller.notices.test()}

    async def _usage(self, params: dict[str, Any]) -> dict[str, Any]:
        since_s = reading.bound(params, "since_s", 0.0)
        until_s = reading.bound(params, "until_s", time.time())
        offset = reading.integer(params, "offset", 0)
        live = tuple(self._queue.live.values())
        books = self._queue.books
        found = await asyncio.to_thread(books.usage, since_s, until_s, books.running(live))
        return {"entries": found[offset : offset + USAGE_PAGE], "total": len(found)}

    def _find_ended(self, params: dict[str, Any]) -> Record:
        record = self._find(params)
        if not record.over.is_set():
            job_id = record.id
            raise RpcError(
                REFUSED,
                f"job {job_id} has not ended: it is {record.state}",
                f"`cockpit stop {job_id}` ends it, `cockpit wait {job_id}` waits for its end.",
            )
        return record

    def _find(self, params: dict[str, Any]) -> Record:
        job_id = params.get("id")
        if not isinstance(job_id, str):
            raise RpcError(INVALID_PARAMS, f'"id" must be text, got {job_id!r:.60}')
        record = self._queue.records.get(job_id)
        if record is None:
            raise RpcError(
                NOT_FOUND, f"there is no job {job_id} here", "`cockpit jobs` lists them."
            )
        return record
