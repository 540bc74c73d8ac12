"""JobService: every `job.*` method of the protocol, over the queue of a box."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cockpit import codec
from cockpit.agent.environments.service import EnvironmentService
from cockpit.agent.jobs import contents, planning, reading
from cockpit.agent.jobs.executor import Executor, LocalExecutor
from cockpit.agent.jobs.prospects import prospect
from cockpit.agent.jobs.queue import JobQueue
from cockpit.agent.jobs.record import Record
from cockpit.agent.jobs.resources import refusal, wish_of
from cockpit.agent.telemetry.source import JobLoad
from cockpit.model import BoxInfo, Event, Job, JobRequest, Prospect, Snapshot
from cockpit.protocol import INVALID_PARAMS, NOT_FOUND, REFUSED, RpcError
from cockpit.settings import AgentSettings

FIRST_READING_S = 10.0
"""How long a submission waits for the box to be known."""
DEFAULT_GRACE_S = 10.0

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
        self._submitting = asyncio.Lock()
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
            **environments.methods,
        }

    async def start(self) -> None:
        """Read every job directory; pick up what runs, bury what died, queue what waits."""
        await self._queue.start()

    async def close(self) -> None:
        """Stop watching. The jobs go on in their shims."""
        await self._queue.close()

    def observe(self, box: BoxInfo, snapshot: Snapshot) -> None:
        """Take the newest readings: for the queue, and for the energy of what runs."""
        self._queue.observe(box, snapshot)

    def running(self) -> Sequence[JobLoad]:
        """Every job that has processes now."""
        return self._queue.loads

    def busy(self) -> bool:
        """True while any job waits or runs: the agent must not end."""
        return bool(self._queue.live)

    async def _submit(self, params: dict[str, Any]) -> Job:
        return await self._enter(_read(params))

    async def _prospect(self, params: dict[str, Any]) -> Prospect:
        return prospect(self._queue, _read(params))

    async def _enter(self, request: JobRequest, requeued_from: Record | None = None) -> Job:
        problem = planning.problem(request)
        if problem:
            raise RpcError(INVALID_PARAMS, problem)
        # One at a time, so that the order of arrival is the order of the queue and a token counts once.
        async with self._submitting:
            known = self._queue.by_token(request.token)
            if known is None:
                await self._refuse_impossible(request)
                known = await self._create(request, requeued_from)
        return self._queue.teller.show(known)

    async def _refuse_impossible(self, request: JobRequest) -> None:
        if self._queue.recording:
            raise RpcError(REFUSED, "this is a recording: no job can run on it")
        unknown = [job_id for job_id in request.after if job_id not in self._queue.records]
        if unknown:
            raise RpcError(
                NOT_FOUND,
                f"there is no job {unknown[0]} here that {request.name} could come after",
                "`cockpit jobs` lists them.",
            )
        wish = wish_of(request)
        if wish.empty:
            return
        try:
            await asyncio.wait_for(self._queue.known.wait(), FIRST_READING_S)
        except asyncio.TimeoutError:
            raise RpcError(
                REFUSED, "this box has not read its GPUs yet", "Try again in a moment."
            ) from None
        problem = refusal(wish, self._queue.resources)
        if problem:
            raise RpcError(REFUSED, f"{request.name} cannot run here: {problem}")

    async def _create(self, request: JobRequest, requeued_from: Record | None) -> Record:
        try:
            return await self._queue.add(request, requeued_from)
        except (OSError, shutil.Error) as error:
            raise RpcError(
                REFUSED, f"the job could not be written down: {error}", "Is the disk full?"
            ) from None

    async def _list(self, _: dict[str, Any]) -> dict[str, Any]:
        records = reversed(self._queue.records.values())
        return {"jobs": [self._queue.teller.show(record) for record in records]}

    async def _show(self, params: dict[str, Any]) -> Job:
        return self._queue.teller.show(self._find(params))

    async def _request(self, params: dict[str, Any]) -> JobRequest:
        return replace(self._find(params).spec.request, token=None)

    async def _stop(self, params: dict[str, Any]) -> Job:
        record = self._find(params)
        grace_s = params.get("grace_s", DEFAULT_GRACE_S)
        if type(grace_s) not in (int, float) or not 0 <= grace_s < 1e9:
            raise RpcError(INVALID_PARAMS, f'"grace_s" must be seconds, got {grace_s!r:.60}')
        try:
            await self._queue.stop(record, float(grace_s))
        except OSError as error:
            raise RpcError(REFUSED, f"job {record.spec.id} could not be stopped: {error}") from None
        return self._queue.teller.show(record)

    async def _remove(self, params: dict[str, Any]) -> dict[str, Any]:
        record = self._find_ended(params)
        try:
            await self._queue.remove(record)
        except OSError as error:
            raise RpcError(REFUSED, f"job {record.spec.id} could not be removed: {error}") from None
        return {}

    async def _requeue(self, params: dict[str, Any]) -> Job:
        token = params.get("token")
        if token is not None and not isinstance(token, str):
            raise RpcError(INVALID_PARAMS, f'"token" must be text, got {token!r:.60}')
        record = self._find_ended(params)
        request = record.spec.request
        if request.plugin_directory is not None:
            # The plugin may have been changed or deleted since: this job keeps what that one had.
            request = replace(request, plugin_directory=str(record.directory.code))
        request = replace(request, token=token, after=())
        return await self._enter(request, record)

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

    def _find_ended(self, params: dict[str, Any]) -> Record:
        record = self._find(params)
        if not record.over.is_set():
            job_id = record.spec.id
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


def _read(params: dict[str, Any]) -> JobRequest:
    try:
        return codec.loads(JobRequest, params)
    except ValueError as error:
        raise RpcError(INVALID_PARAMS, f"the request makes no sense: {error}") from None
