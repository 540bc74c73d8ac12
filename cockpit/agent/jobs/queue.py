"""The queue of a box: gives waiting jobs GPUs, starts them, watches them and sees them to their end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from cockpit import paths
from cockpit.agent.jobs import allocation, dependencies, planning, sdk_copy
from cockpit.agent.jobs.accounting import SAVE_EVERY_S, Account
from cockpit.agent.jobs.executor import Executor
from cockpit.agent.jobs.record import Record
from cockpit.agent.jobs.store import JobStore
from cockpit.agent.telemetry.source import JobLoad
from cockpit.model import BoxInfo, Event, Job, JobRequest, Severity, Snapshot

LOOK_FIRST_S, LOOK_MOST_S = 0.25, 1.0
"""How often a running job's files are looked at: more often while it reports; never more than four
times a second, which is also the most often that a job is published."""


class JobQueue:
    """Every job of a box by id, and those of them that are `live`. One event loop's own."""

    def __init__(
        self,
        directory: Path,
        box_name: str,
        publish: Callable[[Job], None],
        emit: Callable[[Event], None],
        executor: Executor,
    ) -> None:
        self.records: dict[str, Record] = {}
        """In order of submission."""
        self.live: dict[str, Record] = {}
        """Those that have not ended, or whose energy was not read since, in order of submission."""
        self.loads: tuple[JobLoad, ...] = ()
        self.known = asyncio.Event()
        """Set once the box was observed."""
        self._directory, self._box_name = directory, box_name
        self._publish, self._emit = publish, emit
        self._executor = executor
        self._store = JobStore(directory)
        self._tokens: dict[str, Record] = {}
        self._box: BoxInfo | None = None
        self._snapshot: Snapshot | None = None
        self._watchers: set[asyncio.Task[None]] = set()
        self._sdk: Path | None = None

    # From and to the disk

    async def start(self) -> None:
        """Read every job directory; pick up what runs, bury what died, queue what waits."""
        paths.make_private(self._directory)
        self._store.sweep()
        for spec, directory in self._store.load():
            record = Record(spec, directory)
            record.refresh()
            self._register(record)
            if record.ended:
                record.over.set()
                record.load_final()
            else:
                self.live[spec.id] = record
                self._pick_up(record)
        self._schedule()

    def _pick_up(self, record: Record) -> None:
        """Go on with a job that an earlier agent has left, wherever it was."""
        directory = record.directory
        if record.status or self._executor.alive(directory):
            # A shim that has not written its status yet has its GPUs all the same.
            record.status = record.status or _provisional(
                tuple((directory.read("start.json") or {}).get("gpus", ()))
            )
            self._watch(record)
        elif directory.read("cancel.json") is not None:
            self._bury(record)
            record.over.set()
            self._settle(record)
        else:
            # Without a status nothing has run: a start that was cut off is made again.
            with contextlib.suppress(FileNotFoundError):
                (directory.path / "start.json").unlink()

    async def close(self) -> None:
        """Stop watching. The jobs go on in their shims."""
        # Before Python 3.12 wait_for loses a cancellation that comes together with what it waits for.
        while self._watchers:
            for task in self._watchers:
                task.cancel()
            await asyncio.wait(tuple(self._watchers), timeout=0.5)
        for record in self.live.values():
            self._save_account(record)

    async def add(self, request: JobRequest, requeued_from: str | None = None) -> Record:
        """Write a new job down and start it if it can start. Raises OSError or shutil.Error."""
        spec, directory = await asyncio.to_thread(self._store.create, request, requeued_from)
        record = Record(spec, directory)
        self._register(record)
        self.live[spec.id] = record
        self._schedule()
        self._tell(record)
        return record

    async def remove(self, record: Record) -> None:
        """Delete a job that has ended. Raises OSError if its directory cannot be deleted."""
        job_id, token = record.spec.id, record.spec.request.token
        dependencies.release(record, self.live)
        detached = self._store.detach(job_id)
        self.live.pop(job_id, None)
        self.records.pop(job_id, None)
        if token is not None:
            self._tokens.pop(token, None)
        await asyncio.to_thread(shutil.rmtree, detached)

    def _register(self, record: Record) -> None:
        self.records[record.spec.id] = record
        if record.spec.request.token is not None:
            self._tokens[record.spec.request.token] = record

    def by_token(self, token: str | None) -> Record | None:
        """The job that was submitted with this token before."""
        return None if token is None else self._tokens.get(token)

    # GPUs

    @property
    def recording(self) -> bool:
        """True when the box is only replayed."""
        return self._box is not None and self._box.source == "replay"

    def cards(self) -> tuple[allocation.Card, ...]:
        """The GPUs as they were last observed; none before that."""
        if self._box is None or self._snapshot is None:
            return ()
        return allocation.inventory(self._box, self._snapshot)

    def _schedule(self) -> None:
        """Start what can start now, and say of the rest why it waits."""
        pending = self._free_to_start()
        if not pending:
            return
        taken = {
            uuid: key
            for key, record in self.live.items()
            if not record.over.is_set()
            for uuid in record.gpus
        }
        queue = [allocation.Waiting(key, r.spec.request.gpus) for key, r in pending.items()]
        for decision in allocation.decide(queue, self.cards(), taken):
            record = pending[decision.job]
            reason = decision.reason
            if decision.gpus is not None:
                reason = self._start(record, decision.gpus)
            self._explain(record, reason)

    def _free_to_start(self) -> dict[str, Record]:
        """Those that wait for GPUs only. What waits for a job that failed is cancelled here."""
        free = {}
        # A job comes after an earlier one only, so that one pass cancels a whole chain.
        for key, record in tuple(self.live.items()):
            if record.status:
                continue
            hold = dependencies.hold(record, self.records)
            if hold.kind == "free":
                free[key] = record
            elif hold.kind == "wait":
                self._explain(record, hold.reason)
            else:
                self._drop(record, hold.reason)
        return free

    def _drop(self, record: Record, reason: str) -> None:
        """Cancel a job that can never start; with a disk that takes nothing, try again later."""
        try:
            self._executor.cancel(record.directory, 0.0, reason)
            self._bury(record)
        except OSError as error:
            self._explain(record, f"{reason}; it could not be cancelled yet: {error}")
            return
        self._finish(record)

    def _explain(self, record: Record, reason: str) -> None:
        """Say why a job waits, if that is new."""
        if record.waiting != reason:
            record.waiting = reason
            self._tell(record)

    def _start(self, record: Record, gpus: tuple[str, ...]) -> str:
        """Start a job on its GPUs; why it could not be, if so (it is tried again)."""
        try:
            if self._sdk is None:
                self._sdk = sdk_copy.materialise(self._directory)
            cache = paths.cache_dir() / "environments"
            start = planning.plan(record.spec, record.directory, gpus, self._sdk, cache)
            record.running = self._executor.start(record.directory, start)
        except OSError as error:
            return f"it could not be started yet: {error}"
        record.status = _provisional(gpus)
        self._watch(record)
        where = self._where(gpus)
        self._say(record, "info", f"started{where}")
        return ""

    # From the start of a job to its end

    def _watch(self, record: Record) -> None:
        record.account = Account(record.gpus, record.directory.read("accounting.json"))
        if self._snapshot is not None:
            record.account.observe(self._snapshot, record.started_s or time.time(), None)
        self._count_loads()
        task = asyncio.create_task(self._follow(record))
        self._watchers.add(task)
        task.add_done_callback(self._watchers.discard)

    async def _follow(self, record: Record) -> None:
        """Look at a job's files until it has ended, and then let go of what it had."""
        loop, running = asyncio.get_running_loop(), record.running
        delay_s = LOOK_FIRST_S
        if running is not None:
            loop.add_reader(running.news, _drain, running.news, record.wake)
        try:
            while not await self._looked(record):
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(record.wake.wait(), delay_s)
                # Only a job that was started here has a pipe that tells of its end.
                quick = record.reported or running is None
                delay_s = LOOK_FIRST_S if quick else min(1.5 * delay_s, LOOK_MOST_S)
                record.wake.clear()
            self._end(record)
        finally:
            if running is not None:
                loop.remove_reader(running.news)
                os.close(running.news)
        if running is not None:
            await asyncio.to_thread(running.process.wait)

    async def _looked(self, record: Record) -> bool:
        try:
            return await self._look(record)
        except OSError:
            # Too many open files, or a disk that does not answer: neither ends a job.
            return False

    async def _look(self, record: Record) -> bool:
        """Take in what is new; True when the job has ended."""
        alive = self._executor.alive(record.directory)
        record.refresh()
        record.reported = record.events().read()
        if not alive and not record.ended:
            with contextlib.suppress(OSError):
                await asyncio.to_thread(self._executor.bury, record.directory)
            record.refresh()
            if not record.directory.path.exists():
                gone = {"state": "LOST", "reason": "its directory was deleted"}
                record.status = {**record.status, **gone, "ended_s": time.time()}
        if not record.ended:
            self._tell(record)
        self._count_loads()
        return record.ended

    def _end(self, record: Record) -> None:
        self._finish(record)
        self._schedule()

    def _finish(self, record: Record) -> None:
        record.over.set()
        record.events().read_all()
        self._count_loads()
        self._tell(record)
        severity: Severity = "info" if record.state in ("COMPLETED", "CANCELLED") else "warning"
        reason = str(record.status.get("reason", ""))
        self._say(record, severity, f"{record.state}{': ' + reason if reason else ''}")
        if not record.gpus:
            self._settle(record)

    async def stop(self, record: Record, grace_s: float) -> None:
        """Ask for the end of a job and wait until nothing of it is left. Raises OSError."""
        if record.over.is_set():
            return
        self._executor.cancel(record.directory, grace_s)
        if record.status:
            await record.over.wait()
        else:
            self._bury(record)
            self._end(record)

    def _bury(self, record: Record) -> None:
        """Bring a job that never started to its end."""
        self._executor.bury(record.directory)
        record.refresh()

    # What it used, and what is told

    def observe(self, box: BoxInfo, snapshot: Snapshot) -> None:
        """Take the newest readings: for the queue, and for the energy of what runs."""
        self._box, self._snapshot = box, snapshot
        self.known.set()
        if not self.live:
            return
        for record in tuple(self.live.values()):
            self._observe(record, snapshot)
        self._schedule()

    def _observe(self, record: Record, snapshot: Snapshot) -> None:
        if record.account is None or record.started_s is None:
            return
        record.account.observe(snapshot, record.started_s, record.ended_s)
        record.observed_s = snapshot.time_s
        if record.over.is_set():
            self._settle(record)
        elif snapshot.time_s - record.account.saved_s >= SAVE_EVERY_S:
            record.account.saved_s = snapshot.time_s
            self._save_account(record)

    def _settle(self, record: Record) -> None:
        """The accounts of a job that has ended are closed: it is history now."""
        del self.live[record.spec.id]
        self._save_account(record)
        with contextlib.suppress(OSError):
            record.keep_final(self._box_name, self._price())
        self._tell(record)

    def _save_account(self, record: Record) -> None:
        if record.account is not None:
            with contextlib.suppress(OSError):
                record.directory.write("accounting.json", record.account.plain())

    def _count_loads(self) -> None:
        self.loads = tuple(
            JobLoad(key, record.pid, record.gpus)
            for key, record in self.live.items()
            if record.pid is not None and not record.over.is_set()
        )

    def show(self, record: Record) -> Job:
        """The job as it is now."""
        return record.job(self._box_name, self._price())

    def _price(self) -> float | None:
        return self._box.price_per_kwh if self._box else None

    def _tell(self, record: Record) -> None:
        job = self.show(record)
        if not record.same_as_published(job):
            record.published = job
            self._publish(job)

    def _say(self, record: Record, severity: Severity, text: str) -> None:
        words = f"Job {record.spec.id} ({record.spec.request.name}) {text}"
        self._emit(Event(0, time.time(), "job", severity, words, job=record.spec.id))

    def _where(self, gpus: tuple[str, ...]) -> str:
        indices = [str(card.index) for card in self.cards() if card.uuid in gpus]
        return f" on GPU {', '.join(indices)}" if indices else ""


def _provisional(gpus: tuple[str, ...]) -> dict[str, object]:
    """The status of a job whose shim has not written its own yet."""
    return {"state": "RUNNING", "gpus": list(gpus), "started_s": time.time(), "reason": "starting"}


def _drain(descriptor: int, wake: asyncio.Event) -> None:
    """The shim wrote its status, or is gone."""
    wake.set()
    try:
        if not os.read(descriptor, 4096):
            asyncio.get_running_loop().remove_reader(descriptor)
    except BlockingIOError:
        pass
