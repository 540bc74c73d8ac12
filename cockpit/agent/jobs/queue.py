"""The queue of a box: takes jobs in, gives those that wait devices, starts and stops them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from cockpit.agent.jobs import dependencies, leaks, planning, retries, sdk_copy, services
from cockpit.agent.jobs.accounting import Rates
from cockpit.agent.jobs.allocation import Decision, Waiting, decide
from cockpit.agent.jobs.books import Books
from cockpit.agent.jobs.course import Calls, Course
from cockpit.agent.jobs.ending import STOPPED
from cockpit.agent.jobs.executor import NO_SECRETS, Executor, Grant
from cockpit.agent.jobs.notices import Notices
from cockpit.agent.jobs.record import Record, provisional
from cockpit.agent.jobs.registry import EndedJobs, Registry
from cockpit.agent.jobs.resources import Resources, Tenancy, survey
from cockpit.agent.jobs.snapshot import Taken
from cockpit.agent.jobs.telling import Teller
from cockpit.agent.jobs.vault import Vault
from cockpit.model import BoxInfo, Event, Job, JobRequest, Snapshot
from cockpit.settings import AgentSettings

PREPARE_AFTER_S = 0.05
"""How long after a start the next one is got ready for."""


class JobQueue:
    """The jobs of a box from submission to history. One event loop's own."""

    def __init__(
        self,
        directory: Path,
        box_name: str,
        publish: Callable[[Job], None],
        emit: Callable[[Event], None],
        executor: Executor,
        settings: AgentSettings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.registry = Registry(directory)
        self.known = asyncio.Event()
        """Set once the box was observed."""
        rates = Rates(settings.price_per_kwh, settings.co2_g_per_kwh)
        notices = Notices(directory.parent, settings.notify, box_name, emit)
        self.teller = Teller(box_name, rates, publish, emit, self.registry.note, notices)
        self.books = Books(directory.parent, rates)
        self._directory = directory
        self._executor, self.settings, self._clock = executor, settings, clock
        self.course = Course(
            self.registry,
            executor,
            self.teller,
            self.books,
            Calls(self._over, self._again, self._freed),
            settings.process_interval_s + 2 * settings.interval_s,
        )
        self._vault = Vault()
        self._doomed: dict[str, str] = {}
        """Jobs that wait and are to be cancelled, with the reason."""
        self._snapshot: Snapshot | None = None
        self._surveyed: Resources | None = None
        self._soon: asyncio.Handle | None = None
        self._preparing: asyncio.Handle | None = None
        self._sdk: Path | None = None

    @property
    def records(self) -> dict[str, Record]:
        """Every job by id, in order of submission."""
        return self.registry.records

    @property
    def live(self) -> dict[str, Record]:
        """Those that have not ended, or whose devices were not judged since."""
        return self.registry.live

    # From and to the disk

    async def start(self) -> None:
        """Read every job directory; pick up what runs, bury what died, queue what waits."""
        self.registry.load()
        self.course.leaks.load()
        self.teller.notices.start()
        for record in tuple(self.live.values()):
            if record.over.is_set():
                self.course.reopen(record)
            else:
                self._pick_up(record)
        self.schedule()

    def _pick_up(self, record: Record) -> None:
        """Go on with a job that an earlier agent has left, wherever it was."""
        directory = record.directory
        if record.status or self._executor.alive(directory):
            # A shim that has not written its status yet has its devices all the same.
            record.status = record.status or provisional()
            self.course.follow(record, self._snapshot)
            return
        # Without a status nothing has run: a start that was cut off is made again.
        record.grant = Grant()
        self._heed_cancel(record)
        with contextlib.suppress(FileNotFoundError):
            (directory.path / "start.json").unlink()
        if record.earlier:
            self._pause(record)

    def _heed_cancel(self, record: Record) -> None:
        """A job that waits, and whose end was asked for already, is cancelled at its turn."""
        if record.directory.read("cancel.json") is not None:
            self._doomed[record.id] = STOPPED

    async def close(self) -> None:
        """Stop watching. The jobs go on in their shims."""
        await self.course.close()
        for soon in (self._soon, self._preparing):
            if soon is not None:
                soon.cancel()
        self._executor.close()
        await self.registry.close()

    async def add(
        self,
        request: JobRequest,
        requeued_from: Record | None = None,
        secrets: Mapping[str, str] = NO_SECRETS,
        taken: Taken | None = None,
    ) -> Record:
        """Write a new job, or every job of an array, down and start what can start; the first.

        `taken` is a copy of the directory to run in, which becomes the job's. Raises OSError or
        shutil.Error.
        """
        added = await self.registry.create(request, requeued_from, taken)
        self._vault.keep((record.id for record in added), secrets)
        self.schedule()
        for record in added:
            self.teller.tell(record)
        return added[0]

    async def remove(self, record: Record) -> None:
        """Delete a job that has ended. Raises OSError if its directory cannot be deleted."""
        if record.id in self.live:
            # It has just ended: the ledger has no line of it yet.
            self.books.close(record)
        await self.registry.remove(record)
        self.teller.gone(record)

    # Devices

    @property
    def recording(self) -> bool:
        """True when the box is only replayed."""
        return self.teller.box is not None and self.teller.box.source == "replay"

    @property
    def resources(self) -> Resources:
        """What the box has, as it was last observed; nothing before that."""
        if self.teller.box is None or self._snapshot is None:
            return Resources()
        if self._surveyed is None:
            held: dict[str, list[str]] = {}
            for hold in self.course.holds():
                held.setdefault(hold.uuid, []).append(hold.job)
            tenancy = Tenancy(held, EndedJobs(self.records), self.course.leaks.words, leaks.alive)
            self._surveyed = survey(self.teller.box, self._snapshot, tenancy)
        return self._surveyed

    def schedule(self) -> None:
        """Start what can start now, and say of the rest why it waits."""
        ready = self._ready()
        if not ready:
            return
        queue = [Waiting(record.id, record.wish) for record in ready]
        for decision in decide(queue, self.resources, self.course.holds(), time.time()):
            record = self.live[decision.job]
            reason = decision.reason
            if decision.devices is not None:
                reason = self._start(record, decision)
            self.teller.explain(record, reason)

    def _schedule_soon(self) -> None:
        """One pass for all that were stopped at this moment: an array is stopped as a whole."""
        self._surveyed = None
        if self._soon is None:
            self._soon = asyncio.get_running_loop().call_soon(self._schedule_now)

    def _schedule_now(self) -> None:
        self._soon = None
        self.schedule()

    def _ready(self) -> list[Record]:
        """Those that wait for devices only, as they are served. What can never start is cancelled."""
        ready = []
        for record, hold in self.standing():
            if hold.kind == "free":
                ready.append(record)
            elif hold.kind == "wait":
                self.teller.explain(record, hold.reason)
            else:
                self._drop(record, hold.reason)
        return sorted(ready, key=lambda record: -record.spec.request.priority)

    def standing(self) -> Iterator[tuple[Record, dependencies.Hold]]:
        """Every job that has not started, with what holds it back beside devices."""
        now_s = self._clock()
        turns = dependencies.Turns(self.live.values())
        # A job comes after an earlier one only, so that one pass cancels a whole chain.
        for record in tuple(self.live.values()):
            if record.status:
                continue
            if record.unbound and not record.earlier and record.id not in self._doomed:
                yield record, dependencies.FREE
                continue
            secrets = record.spec.request.secrets
            never = self._doomed.get(record.id) or self._vault.lost(record.id, secrets)
            if never:
                self._drop(record, never)
                continue
            hold = dependencies.hold(record, self.records)
            if hold.kind == "free":
                hold = dependencies.pause(record, now_s)
            if hold.kind == "free":
                hold = turns.take(record)
            yield record, hold

    def _drop(self, record: Record, reason: str) -> None:
        """Cancel a job that can never start; with a disk that takes nothing, try again later."""
        try:
            self._bury(record, reason)
        except OSError as error:
            if not self._gone(record):
                self.teller.explain(record, f"{reason}; it could not be cancelled yet: {error}")
            return
        self.course.finish(record)

    def _gone(self, record: Record) -> bool:
        """Whether the directory of a job that waits was deleted, which is then its end."""
        if record.directory.path.exists():
            return False
        record.lose_directory()
        self.course.finish(record)
        return True

    def _start(self, record: Record, decision: Decision) -> str:
        """Start a job on its devices; why it could not be, if so (it is tried again)."""
        devices = decision.devices or ()
        grant = Grant(
            tuple(device.uuid for device in devices if not device.profile),
            tuple(device.uuid for device in devices if device.profile),
            decision.why,
        )
        try:
            if self._sdk is None:
                self._sdk = sdk_copy.materialise(self._directory)
            settings = self.settings.environments
            access = self._access(record)
            port = access.port if access else None
            start = planning.plan(record.spec, record.directory, grant, self._sdk, settings, port)
            secrets = dict(self._vault.of(record.id))
            if access is not None:
                secrets[services.KEY] = access.key
            record.running = self._executor.start(record.directory, start, secrets)
        except OSError as error:
            return "" if self._gone(record) else f"it could not be started yet: {error}"
        record.status, record.grant = provisional(), grant
        self.course.follow(record, self._snapshot)
        self._prepare_soon()
        where = ", ".join(device.name for device in devices)
        self.teller.say(record, "info", f"started on {where}" if where else "started")
        return ""

    def _access(self, record: Record) -> services.Access | None:
        """A port and a key for the attempt that begins; None for a job that is no service."""
        if record.spec.request.service is None:
            return None
        ports = [
            access.port
            for each in self.live.values()
            if each.status and (access := services.access_of(each.directory.path)) is not None
        ]
        return services.prepare(record.directory, ports)

    def services(self) -> Iterator[services.Asked]:
        """Those that run and whose readiness has to be found out."""
        for record in tuple(self.live.values()):
            if not record.status or record.ended or record.spec.request.service is None:
                continue
            path = record.spec.request.service.ready
            if path != "event":
                tell = partial(self.teller.tell, record)
                yield services.Asked(path, record.directory.path, record.look, tell)

    def _prepare_soon(self) -> None:
        """Once for all that are started at this moment, and not while they begin."""
        if self._preparing is None:
            loop = asyncio.get_running_loop()
            self._preparing = loop.call_later(PREPARE_AFTER_S, self._prepare)

    def _prepare(self) -> None:
        self._preparing = None
        self._executor.prepare()

    # What becomes of those that were started

    def _over(self, record: Record) -> None:
        self._vault.forget(record.id)
        self._doomed.pop(record.id, None)

    def _again(self, record: Record) -> None:
        """An attempt failed: wait for the next one."""
        self._pause(record)
        # Asked for while the last attempt was put aside, when there was no shim to tell.
        self._heed_cancel(record)
        reason = record.earlier[-1].get("reason", "")
        left_s = record.not_before_s - self._clock()
        words = f"FAILED: {reason}; {retries.words(record, left_s)}"
        self.teller.say(record, "warning", words)

    def _pause(self, record: Record) -> None:
        """How long the next attempt has to wait, of which some may be over already."""
        pause_s = retries.pause_s(len(record.earlier))
        gone_s = time.time() - float(record.earlier[-1].get("ended_s", 0.0))
        record.not_before_s = self._clock() + max(0.0, pause_s - max(0.0, gone_s))

    def _freed(self) -> None:
        self._surveyed = None
        self.schedule()

    async def stop(self, record: Record, grace_s: float) -> None:
        """Ask for the end of a job and wait until nothing of it is left. Raises OSError."""
        if record.over.is_set():
            return
        if record.status:
            self._executor.cancel(record.directory, grace_s)
            await record.over.wait()
            return
        try:
            self._bury(record, STOPPED)
        except OSError:
            if not self._gone(record):
                raise
            return
        self.course.finish(record)
        self._schedule_soon()
        await asyncio.sleep(0)

    def _bury(self, record: Record, reason: str) -> None:
        """Bring a job that never started to its end. Raises OSError."""
        self._executor.bury(record.directory, reason)
        record.refresh()
        if not record.ended and not record.directory.path.exists():
            record.lose_directory()

    def observe(self, box: BoxInfo, snapshot: Snapshot) -> None:
        """Take the newest readings: for the queue, and for the energy of what runs."""
        self.teller.box, self._snapshot = box, snapshot
        self._surveyed = None
        self.known.set()
        self.course.observe(snapshot)
        if self.live:
            self.schedule()
