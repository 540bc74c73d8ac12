"""One job as the agent holds it in memory; everything in it can be read again from its directory."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from cockpit import codec
from cockpit.agent.environments.order import BUILDING, PROGRESS
from cockpit.agent.jobs.accounting import Account, Rates
from cockpit.agent.jobs.events import EventTail
from cockpit.agent.jobs.executor import Grant, Running
from cockpit.agent.jobs.index import Row
from cockpit.agent.jobs.resources import Wish, wish_of
from cockpit.agent.jobs.services import Look, shown
from cockpit.agent.jobs.store import JobDirectory, Spec
from cockpit.model import ENDED_STATES, Job, JobService


@dataclass
class Record:
    """What is known of one job."""

    id: str
    directory: JobDirectory
    known_spec: Spec | None = None
    """Of one that ended long ago it is read when it is asked for."""
    status: dict[str, Any] = field(default_factory=dict)
    """The last `status.json`; empty while the job waits, provisional until the shim has written."""
    waiting: str = ""
    """Why it has not started, while it waits."""
    grant: Grant = field(default_factory=Grant)
    """The devices that it has, or had."""
    earlier: list[dict[str, Any]] = field(default_factory=list)
    """The last status of each attempt before this one."""
    trying_again: bool = False
    """Set while an attempt that failed is put aside: the job has ended for nobody else."""
    not_before_s: float = 0.0
    """On the monotonic clock: when the next attempt may start."""
    left: str | None = None
    """What it left on its devices, in words; empty once they were seen to be free."""
    running: Running | None = None
    """Its process, if this agent started it."""
    tail: EventTail | None = None
    _final: Job | None = None
    reported: bool = False
    """True if there was something new in it at the last look."""
    account: Account | None = None
    observed_s: float | None = None
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the job has ended and nothing of it is left."""
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)
    published: Job | None = None
    look: Look = field(default_factory=Look)
    """What the agent has seen of the service that it is, if it is one."""
    row: Row | None = None
    """What the index knows of a job that ended before this agent started."""

    @classmethod
    def past(cls, directory: JobDirectory, row: Row) -> Record:
        """A job that ended, with nothing of its directory read."""
        status = {"state": row.state, "started_s": row.started_s, "ended_s": row.ended_s}
        record = cls(str(row.id), directory, status=status, row=row)
        record.over.set()
        return record

    @cached_property
    def spec(self) -> Spec:
        """What was asked for. Raises LookupError if that cannot be read any more."""
        found = self.known_spec or self.directory.spec()
        if found is None:
            raise LookupError(f"the spec.json of job {self.id} cannot be read")
        return found

    @property
    def final(self) -> Job | None:
        """The job as it was shown last, of one that ended."""
        if self._final is None and self.row is not None:
            try:
                self._final = codec.loads(Job, json.loads(self.row.document))
            except ValueError:
                self.row = None
                self.refresh()
                self.load_grant()
                self.load_final()
        return self._final

    @property
    def token(self) -> str | None:
        """What its submission is known by."""
        return self.row.token if self.row else self.spec.request.token

    @property
    def array_id(self) -> str | None:
        """The array that it belongs to."""
        if self.row is not None:
            return self.row.array_id
        return self.spec.array.id if self.spec.array else None

    def refresh(self) -> None:
        """Read `status.json` again; what the shim has not written yet stays provisional."""
        self.status = self.directory.read("status.json") or self.status
        if not self.status and (self.directory.path / "status.json").exists():
            # Damaged, yet it tells that the job was started: it must never be started again.
            self.status = {"state": "RUNNING", "reason": "its status.json cannot be read"}

    def load_grant(self) -> None:
        """Read again which devices it was given at its start."""
        start = self.directory.read("start.json") or self.status
        self.grant = Grant(
            tuple(start.get("gpus", ())), tuple(start.get("slices", ())), start.get("placement", "")
        )

    def lose_directory(self) -> None:
        """Its directory was deleted, and with it what could be known of it."""
        gone = {"state": "LOST", "reason": "its directory was deleted", "ended_s": time.time()}
        self.status = {**self.status, **gone}

    def begin_again(self) -> None:
        """The present attempt is history, and the job waits for its next one."""
        self.earlier.append({**self.status, "slices": self.grant.slices})
        self.status, self.grant, self.running, self.left = {}, Grant(), None, None
        self.look = Look()
        self.trying_again = False

    @cached_property
    def wish(self) -> Wish:
        """What it needs to start."""
        return wish_of(self.spec.request)

    @cached_property
    def unbound(self) -> bool:
        """True if nothing but devices can keep its first attempt waiting."""
        request = self.spec.request
        return not (request.after or request.secrets or request.array_parallel)

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1."""
        return len(self.earlier) + 1

    @property
    def state(self) -> str:
        return str(self.status.get("state", "PENDING"))

    @property
    def ended(self) -> bool:
        return self.state in ENDED_STATES

    @property
    def devices(self) -> tuple[str, ...]:
        """UUIDs of the GPUs and slices that it has, or had."""
        return (*self.grant.gpus, *self.grant.slices)

    @property
    def started_s(self) -> float | None:
        value = self.status.get("started_s")
        return None if value is None else float(value)

    @property
    def ended_s(self) -> float | None:
        value = self.status.get("ended_s")
        return None if value is None else float(value)

    @property
    def pid(self) -> int | None:
        """Its first process, the shim: everything else is below it."""
        value = self.status.get("shim_pid")
        return self.running.process.pid if value is None and self.running else value

    def events(self) -> EventTail:
        """The job's reports; read from the start of the file when first asked for."""
        if self.tail is None:
            self.tail = EventTail(self.directory.events)
        return self.tail

    async def all_events(self) -> EventTail:
        """The job's reports to the last one, also of a job that was let go of."""
        async with self.reading:
            if self.final is not None and self.tail is None:
                tail = EventTail(self.directory.events)
                await asyncio.to_thread(tail.read_all)
                self.tail = tail
        return self.events()

    def job(self, box_name: str, rates: Rates) -> Job:
        """The job as it crosses every boundary."""
        if (final := self.final) is not None:
            return final
        request, status, tail = self.spec.request, self.status, self.events()
        if self.trying_again:
            status = {**status, "state": "COMPLETING", "exit_code": None, "ended_s": None}
        account = self.account
        energy_j = account.energy_j if account else None
        return Job(
            id=self.id,
            name=request.name,
            plugin=request.plugin,
            command=request.command,
            state=status.get("state", "PENDING"),
            reason=self._reason(),
            box=box_name,
            gpus=self.grant.gpus,
            slices=self.grant.slices,
            submitted_s=self.spec.submitted_s,
            started_s=self.started_s,
            ended_s=status.get("ended_s"),
            exit_code=status.get("exit_code"),
            progress=tail.progress,
            metrics=dict(tail.metrics),
            energy_j=energy_j,
            cost=rates.cost(energy_j),
            co2_g=rates.co2_g(energy_j),
            gpu_seconds=self._gpu_seconds(),
            power_mean_w=account.power_mean_w if account else None,
            power_peak_w=account.power_peak_w if account else None,
            memory_peak_bytes=account.memory_peak_bytes if account else None,
            errors=account.errors if account else {},
            notify=request.notify,
            kernels=tuple(tail.kernels.values()),
            roofline=tail.roofline,
            frames=tuple(tail.frames),
            images={name: picture.path for name, picture in tail.images.items()},
            tables=tuple(tail.tables),
            texts=tuple(tail.texts),
            checkpoint=tail.checkpoint,
            outputs=dict(tail.outputs),
            service=self._service(),
            views=request.views,
            directory=str(self.directory.path),
            log_bytes=self.directory.log_bytes(),
            requeued_from=self.spec.requeued_from,
            time_limit_s=request.time_limit_s,
            after=request.after,
            priority=request.priority,
            shared=request.shared,
            gpu_memory_bytes=request.gpu_memory_bytes,
            retries=request.retries,
            secrets=request.secrets,
            attempt=self.attempt,
            array=self.spec.array,
            placement=self.grant.placement,
            left=self.left,
        )

    def _service(self) -> JobService | None:
        wish = self.spec.request.service
        if wish is None:
            return None
        return shown(
            wish,
            self.directory.path,
            self.state,
            self.started_s,
            self.ended and not self.trying_again,
            self.events().service,
            self.look,
        )

    def _reason(self) -> str:
        if not self.status:
            return self.waiting
        reason = str(self.status.get("reason", ""))
        # Only the shim writes the status; how far a building is stands beside it.
        if reason == BUILDING:
            reason = str((self.directory.read(PROGRESS) or {}).get("text", reason))
        return reason

    def _gpu_seconds(self) -> float | None:
        if self.started_s is None and not self.earlier:
            return None
        begun_s = self.started_s or 0.0
        until_s = self.ended_s or self.observed_s or begun_s
        before_s: float = sum(
            len(status.get("gpus", ())) * max(0.0, status["ended_s"] - status["started_s"])
            for status in self.earlier
            if "ended_s" in status and "started_s" in status
        )
        shift_s = self.account.clock_shift_s if self.account else 0.0
        raw_s = before_s + len(self.grant.gpus) * max(0.0, until_s - begun_s)
        # What the clock was set forward is no time that the job had its GPUs.
        return max(0.0, raw_s - len(self.grant.gpus) * shift_s)

    def keep_final(self, box_name: str, rates: Rates) -> None:
        """Write down how the job looked last, so that no later start has to read all its events."""
        self.events().read_all()
        self._final = self.job(box_name, rates)
        self.tail = self.account = None
        # Not synced: whatever a power cut leaves of it, it is made again from the other files.
        self.directory.write("ended.json", json.loads(codec.dumps(self._final)), synced=False)

    def load_final(self) -> None:
        """Take `ended.json` for what it says; without one the job is put together again."""
        data = self.directory.read("ended.json")
        try:
            self._final = None if data is None else codec.loads(Job, data)
        except ValueError:
            self._final = None
        if self._final is None:
            self.events().read_all()

    def same_as_published(self, job: Job) -> bool:
        """True if nobody needs to hear of `job`: a log that grew alone is no news."""
        before = self.published
        return before is not None and dataclasses.replace(before, log_bytes=job.log_bytes) == job


def provisional() -> dict[str, object]:
    """The status of a job whose shim has not written its own yet."""
    return {"state": "RUNNING", "started_s": time.time(), "reason": "starting"}
