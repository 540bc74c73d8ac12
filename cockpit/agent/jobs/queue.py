"""The queue of a box: gives waiting jobs devices, starts them and sees them to their end."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from cockpit.agent.jobs import dependencies, leaks, planning, retries, sdk_copy
from cockpit.agent.jobs.accounting import Rates
from cockpit.agent.jobs.allocation import Decision, Waiting, decide
from cockpit.agent.jobs.board import NEVER, Hold
from cockpit.agent.jobs.books import Books
from cockpit.agent.jobs.executor import NO_SECRETS, Executor, Grant
from cockpit.agent.jobs.following import Follower
from cockpit.agent.jobs.notices import Notices
from cockpit.agent.jobs.record import Record, provisional
from cockpit.agent.jobs.registry import EndedJobs, Registry
from cockpit.agent.jobs.resources import Resources, Tenancy, survey
from cockpit.agent.jobs.snapshot import Taken
from cockpit.agent.jobs.telling import Teller
from cockpit.agent.jobs.vault import Vault
from cockpit.agent.telemetry.source import JobLoad
from cockpit.model import BoxInfo, Event, Job, JobRequest, Snapshot
from cockpit.settings import AgentSettings


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
        self.loads: tuple[JobLoad, ...] = ()
        self.known = asyncio.Event()
        """Set once the box was observed."""
        rates = Rates(settings.price_per_kwh, settings.co2_g_per_kwh)
        notices = Notices(directory.parent, settings.notify, box_name, emit)
        self.teller = Teller(box_name, rates, publish, emit, self.registry.note, notices)
        self.books = Books(directory.parent, rates)
        self._directory = directory
        self._executor, self.settings, self._clock = executor, settings, clock
        # So old may the list of processes in a snapshot be.
        process_age_s = settings.process_interval_s + 2 * settings.interval_s
        self._leaks = leaks.LeakWatch(directory, process_age_s)
        self._follower = Follower(executor, self._looked, self._end, self._again)
        self._vault = Vault()
        self._doomed: dict[str, str] = {}
        """Jobs that wait and are to be cancelled, with the reason."""
        self._snapshot: Snapshot | None = None
        self._surveyed: Resources | None = None
        self._soon: asyncio.Handle | None = None
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
        self._leaks.load()
        self.teller.notices.start()
        for record in tuple(self.live.values()):
            if record.over.is_set():
                self.books.reopen(record)
                self.teller.ended(record)
                self._judge(record)
            else:
                self._pick_up(record)
        self.schedule()

    def _pick_up(self, record: Record) -> None:
        """Go on with a job that an earlier agent has left, wherever it was."""
        directory = record.directory
        if record.status or self._executor.alive(directory):
            # A shim that has not written its status yet has its devices all the same.
            record.status = record.status or provisional()
            self._follow(record)
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
        cancel = record.directory.read("cancel.json")
        if cancel is not None:
            self._doomed[record.id] = cancel.get("reason") or "stopped before it started"

    async def close(self) -> None:
        """Stop watching. The jobs go on in their shims."""
        await self._follower.close()
        if self._soon is not None:
            self._soon.cancel()
        for record in self.live.values():
            self.books.save(record)
        self.books.catch_up()
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
            for hold in self.holds():
                held.setdefault(hold.uuid, []).append(hold.job)
            tenancy = Tenancy(held, EndedJobs(self.records), self._leaks.words, leaks.alive)
            self._surveyed = survey(self.teller.box, self._snapshot, tenancy)
        return self._surveyed

    def holds(self) -> list[Hold]:
        """Every device that is in the hands of a job."""
        holds = []
        for key, record in self.live.items():
            if record.over.is_set() or not record.status:
                continue
            limit_s = record.wish.limit_s
            until_s = NEVER if limit_s is None else (record.started_s or time.time()) + limit_s
            aside = (record.wish.memory_bytes or 0) if record.wish.shared else None
            holds += [Hold(key, uuid, until_s, aside) for uuid in record.devices]
        return holds

    def schedule(self) -> None:
        """Start what can start now, and say of the rest why it waits."""
        ready = self._ready()
        if not ready:
            return
        queue = [Waiting(record.id, record.wish) for record in ready]
        for decision in decide(queue, self.resources, self.holds(), time.time()):
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
            self._executor.cancel(record.directory, 0.0, reason)
            self._bury(record)
        except OSError as error:
            if not self._gone(record):
                self.teller.explain(record, f"{reason}; it could not be cancelled yet: {error}")
            return
        self._finish(record)

    def _gone(self, record: Record) -> bool:
        """Whether the directory of a job that waits was deleted, which is then its end."""
        if record.directory.path.exists():
            return False
        record.lose_directory()
        self._finish(record)
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
            start = planning.plan(record.spec, record.directory, grant, self._sdk, settings)
            secrets = self._vault.of(record.id)
            record.running = self._executor.start(record.directory, start, secrets)
        except OSError as error:
            return "" if self._gone(record) else f"it could not be started yet: {error}"
        record.status, record.grant = provisional(), grant
        self._follow(record)
        where = ", ".join(device.name for device in devices)
        self.teller.say(record, "info", f"started on {where}" if where else "started")
        return ""

    # From the start of a job to its end

    def _follow(self, record: Record) -> None:
        self.books.open(record, self._snapshot)
        self._count_loads()
        self._follower.follow(record)

    def _looked(self, record: Record) -> None:
        self.teller.tell(record)
        self._count_loads()

    def _again(self, record: Record) -> None:
        """An attempt failed and was put aside: wait for the next one."""
        last = record.earlier[-1]
        devices = (*last.get("gpus", ()), *last.get("slices", ()))
        self._leaks.ended(record.id, devices, float(last.get("ended_s", time.time())))
        self.books.save(record)
        self._pause(record)
        # Asked for while the last attempt was put aside, when there was no shim to tell.
        self._heed_cancel(record)
        reason = last.get("reason", "")
        left_s = record.not_before_s - self._clock()
        words = f"FAILED: {reason}; {retries.words(record, left_s)}"
        self.teller.say(record, "warning", words)
        self._count_loads()
        self._surveyed = None
        self.schedule()

    def _pause(self, record: Record) -> None:
        """How long the next attempt has to wait, of which some may be over already."""
        pause_s = retries.pause_s(len(record.earlier))
        gone_s = time.time() - float(record.earlier[-1].get("ended_s", 0.0))
        record.not_before_s = self._clock() + max(0.0, pause_s - max(0.0, gone_s))

    def _end(self, record: Record) -> None:
        self._finish(record)
        self._surveyed = None
        self.schedule()

    def _finish(self, record: Record) -> None:
        record.over.set()
        self._vault.forget(record.id)
        self._doomed.pop(record.id, None)
        record.events().read_all()
        self._count_loads()
        self.teller.ended(record)
        self._judge(record)

    def _judge(self, record: Record) -> None:
        """A job is over: what is still to be known is whether its devices are free."""
        if record.devices:
            ended_s = record.ended_s or time.time()
            self._leaks.ended(record.id, record.devices, ended_s)
        else:
            self._settle(record)

    async def stop(self, record: Record, grace_s: float) -> None:
        """Ask for the end of a job and wait until nothing of it is left. Raises OSError."""
        if record.over.is_set():
            return
        try:
            self._executor.cancel(record.directory, grace_s)
        except OSError:
            if record.status or not self._gone(record):
                raise
            return
        if record.status:
            await record.over.wait()
        else:
            self._bury(record)
            self._finish(record)
            self._schedule_soon()
            await asyncio.sleep(0)

    def _bury(self, record: Record) -> None:
        """Bring a job that never started to its end."""
        self._executor.bury(record.directory)
        record.refresh()

    # What it used

    def observe(self, box: BoxInfo, snapshot: Snapshot) -> None:
        """Take the newest readings: for the queue, and for the energy of what runs."""
        self.teller.box, self._snapshot = box, snapshot
        self._surveyed = None
        self.known.set()
        for record in tuple(self.live.values()):
            self.books.observe(record, snapshot)
        held = {hold.uuid for hold in self.holds()}
        for verdict in self._leaks.observe(snapshot, held):
            self._judged(verdict)
        if self.live:
            self.schedule()

    def _judged(self, verdict: leaks.Verdict) -> None:
        """It is known now whether the devices of a job that ended are free."""
        record = self.records.get(verdict.job)
        if record is None:
            return
        record.left = verdict.text
        if verdict.text:
            self.teller.say(record, "warning", verdict.text)
        if record.over.is_set() and record.id in self.live:
            self._settle(record)

    def _settle(self, record: Record) -> None:
        """The accounts of a job that has ended are closed: it is history now."""
        del self.live[record.id]
        self.books.close(record)
        with contextlib.suppress(OSError):
            self.teller.keep_final(record)
        self.teller.tell(record)

    def _count_loads(self) -> None:
        self.loads = tuple(
            JobLoad(key, record.pid, record.devices)
            for key, record in self.live.items()
            if record.pid is not None and not record.over.is_set()
        )
