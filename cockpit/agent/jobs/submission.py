"""From a request to a job: checked, its directory copied, written down once, whatever is cut off."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Container, Coroutine, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cockpit import codec
from cockpit.agent.jobs import planning, snapshot, vault
from cockpit.agent.jobs.queue import JobQueue
from cockpit.agent.jobs.record import Record
from cockpit.agent.jobs.resources import refusal, wish_of
from cockpit.model import JobRequest
from cockpit.protocol import INVALID_PARAMS, NOT_FOUND, REFUSED, RpcError

FIRST_READING_S = 10.0
"""How long a submission waits for the box to be known."""


def read_request(params: dict[str, Any]) -> JobRequest:
    """The request in the parameters of a method. Raises RpcError."""
    try:
        return codec.loads(JobRequest, params)
    except ValueError as error:
        raise RpcError(INVALID_PARAMS, f"the request makes no sense: {error}") from None


def request_of(record: Record) -> JobRequest:
    """What a job was asked for. Raises RpcError if that cannot be read any more."""
    try:
        return record.spec.request
    except LookupError as error:
        raise RpcError(REFUSED, str(error)) from None


class Submission:
    """`job.submit` and `job.requeue`: what comes between a client and the queue."""

    def __init__(self, queue: JobQueue, directory: Path) -> None:
        self._queue, self._directory = queue, directory
        self._one = asyncio.Lock()
        self._under_way: set[asyncio.Task[Record]] = set()

    async def submit(self, params: dict[str, Any]) -> Record:
        """A new job, or the first of an array; the one there is if its token is known."""
        return await self._whole(self._enter(read_request(params), params))

    async def requeue(self, before: Record, params: dict[str, Any]) -> Record:
        """A new job from what an ended one was asked and given; with `array` the whole array."""
        token = params.get("token")
        if token is not None and not isinstance(token, str):
            raise RpcError(INVALID_PARAMS, f'"token" must be text, got {token!r:.60}')
        request = replace(request_of(before), token=token, after=())
        if params.get("array") is True:
            request = replace(request, array=self._indices(before))
        # The originals may have been changed or deleted since: this job keeps what that one had.
        if request.plugin_directory is not None:
            request = replace(request, plugin_directory=str(before.directory.code))
        only = None
        if request.snapshot_directory is not None:
            request = replace(request, snapshot_directory=str(before.directory.workdir))
            try:
                only = before.directory.copied()
            except OSError as error:
                words = f"what job {before.id} ran on is not known any more: {error}"
                raise RpcError(REFUSED, words) from None
        return await self._whole(self._enter(request, params, before, only))

    def _indices(self, before: Record) -> tuple[int, ...]:
        """The indices of the array that a job belongs to, all of whose jobs must have ended."""
        members = [
            record
            for record in self._queue.records.values()
            if before.array_id is not None and record.array_id == before.array_id
        ]
        for record in members:
            if not record.over.is_set():
                raise RpcError(REFUSED, f"job {record.id} of that array has not ended")
        return tuple(each.spec.array.index for each in members if each.spec.array)

    async def close(self) -> None:
        """Let what has begun come to its end."""
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _whole(self, work: Coroutine[Any, Any, Record]) -> Record:
        """A client that goes away cuts nothing off: a directory on the disk is a job in the queue."""
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return await asyncio.shield(task)

    async def _enter(
        self,
        request: JobRequest,
        params: dict[str, Any],
        before: Record | None = None,
        only: Container[str] | None = None,
    ) -> Record:
        known = self._queue.registry.by_token(request.token)
        if known is not None:
            return known
        problem = planning.problem(request)
        if problem:
            raise RpcError(INVALID_PARAMS, problem)
        secrets = vault.taken(params, request.secrets)
        # Before it is its turn: a large directory keeps no other submission waiting.
        taken = await self._take(request, only)
        try:
            # One at a time: the order of arrival is that of the queue, and a token counts once.
            async with self._one:
                known = self._queue.registry.by_token(request.token)
                if known is None:
                    await self._refuse_impossible(request)
                    known = await self._create(request, secrets, before, taken)
            return known
        finally:
            if taken is not None:
                await asyncio.to_thread(taken.discard)

    async def _take(
        self, request: JobRequest, only: Container[str] | None
    ) -> snapshot.Taken | None:
        if request.snapshot_directory is None:
            return None
        source, copies = Path(request.snapshot_directory), max(1, len(request.array))
        try:
            return await asyncio.to_thread(snapshot.take, source, self._directory, copies, only)
        except snapshot.TooLargeError as error:
            advice = "Copy less with a smaller --workdir, or run in it as it is with --chdir."
            raise RpcError(REFUSED, str(error), advice) from None
        except OSError as error:
            raise RpcError(REFUSED, f"{source} could not be copied: {error}") from None

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

    async def _create(
        self,
        request: JobRequest,
        secrets: Mapping[str, str],
        before: Record | None,
        taken: snapshot.Taken | None,
    ) -> Record:
        try:
            return await self._queue.add(request, before, secrets, taken)
        except (OSError, shutil.Error) as error:
            raise RpcError(
                REFUSED, f"the job could not be written down: {error}", "Is the disk full?"
            ) from None
