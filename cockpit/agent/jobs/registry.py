"""Every job that there is: found on disk at the start, added, looked up and removed."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from cockpit import paths
from cockpit.agent.jobs import dependencies, retries
from cockpit.agent.jobs.index import JobIndex, Note
from cockpit.agent.jobs.record import Record
from cockpit.agent.jobs.snapshot import Taken
from cockpit.agent.jobs.store import JobStore
from cockpit.model import Job, JobRequest

FLUSH_AFTER_S = 1.0
"""How long changes are gathered before the index is written."""


class Registry:
    """The jobs by id, and those of them that are `live`. One event loop's own."""

    def __init__(self, directory: Path) -> None:
        self.records: dict[str, Record] = {}
        """In order of submission."""
        self.live: dict[str, Record] = {}
        """Those that have not ended, or whose devices were not judged since, in order of submission."""
        self.index = JobIndex(directory, self._everything)
        self.directory = directory
        self._store = JobStore(directory)
        self._tokens: dict[str, Record] = {}
        self._flushing: asyncio.Task[None] | None = None

    def load(self) -> None:
        """Find every job; those that ended are taken from the index where it knows them."""
        paths.make_private(self.directory)
        self._store.sweep()
        known = self.index.rows()
        for directory in self._store.directories():
            row = known.pop(directory.path.name, None)
            if row is not None and row.stamp and row.stamp == directory.stamp():
                self._register(Record.past(directory, row))
                continue
            spec = self._store.complete(directory)
            if spec is not None:
                self._find(Record(spec.id, directory, spec, earlier=retries.earlier(directory)))
        for job_id in known:
            self.index.forget(job_id)

    def _find(self, record: Record) -> None:
        """Read a job from its directory."""
        record.refresh()
        record.load_grant()
        self._register(record)
        if record.ended and not retries.due(record):
            record.over.set()
            record.load_final()
        if record.final is None:
            self.live[record.id] = record
        else:
            self.note(record, record.final)

    async def create(
        self, request: JobRequest, requeued_from: Record | None, taken: Taken | None
    ) -> list[Record]:
        """Write a new job, or every job of an array, down. Raises OSError or shutil.Error."""
        number, member = (None, None)
        if requeued_from is not None:
            number, member = requeued_from.id, requeued_from.spec.array
        create = partial(self._store.create, request, number, member, taken)
        made = await asyncio.to_thread(create)
        added = [Record(spec.id, directory, spec) for spec, directory in made]
        for record in added:
            self._register(record)
            self.live[record.id] = record
        return added

    async def remove(self, record: Record) -> None:
        """Delete a job that has ended. Raises OSError if its directory cannot be deleted."""
        dependencies.release(record, self.live)
        detached = self._store.detach(record.id)
        self.live.pop(record.id, None)
        self.records.pop(record.id, None)
        if record.token is not None and self._tokens.get(record.token) is record:
            del self._tokens[record.token]
        self.index.forget(record.id)
        self._flush_soon()
        await asyncio.to_thread(shutil.rmtree, detached)

    def _register(self, record: Record) -> None:
        self.records[record.id] = record
        if record.token is not None:
            self._tokens.setdefault(record.token, record)

    def by_token(self, token: str | None) -> Record | None:
        """The job, or the first of the array, that was submitted with this token before."""
        return None if token is None else self._tokens.get(token)

    def newest_first(self, before: int | None, array: str | None) -> Iterator[Record]:
        """The jobs with a number below `before`; with `array` only the members of that one."""
        for record in reversed(self.records.values()):
            if before is not None and int(record.id) >= before:
                continue
            if array is None or record.array_id == array:
                yield record

    # The index

    def note(self, record: Record, job: Job) -> None:
        """Have a job written to the index as it is now."""
        stamp = record.directory.stamp() if record.final is not None else ""
        self.index.note(job, record.token, stamp)
        self._flush_soon()

    def _everything(self) -> list[Note]:
        """What the index is made of when it has been lost. Called from its thread."""
        return [
            Note(job, record.token, record.directory.stamp())
            for record in tuple(self.records.values())
            if (job := record.final) is not None
        ]

    def _flush_soon(self) -> None:
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.ensure_future(self._flush())

    async def _flush(self) -> None:
        while self.index.waiting:
            await asyncio.sleep(FLUSH_AFTER_S)
            await asyncio.to_thread(self.index.flush)

    async def close(self) -> None:
        """Write what the index does not have yet."""
        if self._flushing is not None:
            self._flushing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._flushing
        await asyncio.to_thread(self.index.close)


class EndedJobs:
    """The ids of the jobs that are over, as a collection that is never built."""

    def __init__(self, records: dict[str, Record]) -> None:
        self._records = records

    def __contains__(self, job: object) -> bool:
        record = self._records.get(str(job))
        return record is not None and record.over.is_set()
