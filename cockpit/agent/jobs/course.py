"""From the start of a job to history: who has which device, what it uses, and what it leaves."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

from cockpit.agent.jobs import leaks
from cockpit.agent.jobs.board import NEVER, Hold
from cockpit.agent.jobs.books import Books
from cockpit.agent.jobs.executor import Executor
from cockpit.agent.jobs.following import Follower
from cockpit.agent.jobs.record import Record
from cockpit.agent.jobs.registry import Registry
from cockpit.agent.jobs.telling import Teller
from cockpit.agent.telemetry.source import JobLoad
from cockpit.model import Snapshot


@dataclass(frozen=True)
class Calls:
    """What the queue does when a job has come so far."""

    over: Callable[[Record], None]
    """Nothing of it is left: it is neither to be started nor to be stopped any more."""
    again: Callable[[Record], None]
    """It failed and waits for its next attempt."""
    freed: Callable[[], None]
    """It has given its devices back."""


class Course:
    """The jobs that have been started. One event loop's own."""

    def __init__(
        self,
        registry: Registry,
        executor: Executor,
        teller: Teller,
        books: Books,
        calls: Calls,
        process_age_s: float,
    ) -> None:
        """`process_age_s`: so old may the list of processes in a snapshot be."""
        self.loads: tuple[JobLoad, ...] = ()
        """Every job that has processes now."""
        self.leaks = leaks.LeakWatch(registry.directory, process_age_s)
        self._registry, self._teller, self._books, self._calls = registry, teller, books, calls
        self._follower = Follower(executor, self._looked, self._ended, self._again)
        self._running: dict[str, Record] = {}
        """Those that have their devices. A pass over them costs nothing for all that wait."""

    def reopen(self, record: Record) -> None:
        """A job that was over before this agent started, and whose devices were not judged yet."""
        self._books.reopen(record)
        self._teller.ended(record)
        self._judge(record)

    def follow(self, record: Record, snapshot: Snapshot | None) -> None:
        """Go with a job that has its devices."""
        self._running[record.id] = record
        self._books.open(record, snapshot)
        self._count_loads()
        self._follower.follow(record)

    async def close(self) -> None:
        """Go with none any more. The jobs go on in their shims."""
        await self._follower.close()
        for record in self._registry.live.values():
            self._books.save(record)
        self._books.catch_up()

    def holds(self) -> list[Hold]:
        """Every device that is in the hands of a job."""
        holds = []
        for key, record in self._running.items():
            limit_s = record.wish.limit_s
            until_s = NEVER if limit_s is None else (record.started_s or time.time()) + limit_s
            aside = (record.wish.memory_bytes or 0) if record.wish.shared else None
            holds += [Hold(key, uuid, until_s, aside) for uuid in record.devices]
        return holds

    def observe(self, snapshot: Snapshot) -> None:
        """Take the newest readings, for the energy of what runs and for what jobs have left."""
        self._books.observe(self._registry.live.values(), snapshot)
        held = {hold.uuid for hold in self.holds()}
        for verdict in self.leaks.observe(snapshot, held):
            self._judged(verdict)

    def finish(self, record: Record) -> None:
        """A job is over, whether it ever started or not."""
        record.over.set()
        self._running.pop(record.id, None)
        self._calls.over(record)
        record.events().read_all()
        self._count_loads()
        self._teller.ended(record)
        self._judge(record)

    def _looked(self, record: Record) -> None:
        self._teller.tell(record)
        self._count_loads()

    def _ended(self, record: Record) -> None:
        self.finish(record)
        self._calls.freed()

    def _again(self, record: Record) -> None:
        """An attempt failed and was put aside."""
        del self._running[record.id]
        last = record.earlier[-1]
        devices = (*last.get("gpus", ()), *last.get("slices", ()))
        self.leaks.ended(record.id, devices, float(last.get("ended_s", time.time())))
        self._books.save(record)
        self._calls.again(record)
        self._count_loads()
        self._calls.freed()

    def _judge(self, record: Record) -> None:
        """A job is over: what is still to be known is whether its devices are free."""
        if record.devices:
            ended_s = record.ended_s or time.time()
            self.leaks.ended(record.id, record.devices, ended_s)
        else:
            self._settle(record)

    def _judged(self, verdict: leaks.Verdict) -> None:
        """It is known now whether the devices of a job that ended are free."""
        record = self._registry.records.get(verdict.job)
        if record is None:
            return
        record.left = verdict.text
        if verdict.text:
            self._teller.say(record, "warning", verdict.text)
        if record.over.is_set() and record.id in self._registry.live:
            self._settle(record)

    def _settle(self, record: Record) -> None:
        """The accounts of a job that has ended are closed: it is history now."""
        del self._registry.live[record.id]
        self._books.close(record)
        with contextlib.suppress(OSError):
            self._teller.keep_final(record)
        self._teller.tell(record)

    def _count_loads(self) -> None:
        self.loads = tuple(
            JobLoad(key, pid, record.devices)
            for key, record in self._running.items()
            if (pid := record.pid) is not None
        )
