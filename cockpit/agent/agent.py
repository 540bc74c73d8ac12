"""The agent of one box: its parts, and how they are joined."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol, TypeVar

from cockpit import paths
from cockpit.agent.methods import Methods
from cockpit.agent.sampler import Sampler
from cockpit.agent.server import Server
from cockpit.agent.sources import made_up_past, make_source, source_kind
from cockpit.agent.telemetry.energy import Energy
from cockpit.agent.telemetry.events import EventStore
from cockpit.agent.telemetry.history import History
from cockpit.agent.telemetry.pipeline import Health, Pipeline, waiting_box
from cockpit.agent.telemetry.source import JobLoad, Source
from cockpit.agent.telemetry.store import Store
from cockpit.model import BoxInfo, Event, Job, Snapshot
from cockpit.settings import AgentSettings, settings_digest

T = TypeVar("T")
log = logging.getLogger(__name__)

SAVE_EVERY_S = 60


class Jobs(Protocol):
    """What the agent needs of its JobService."""

    methods: Mapping[str, Callable[[dict[str, Any]], Any]]

    async def start(self) -> None:
        """Find the jobs that run."""

    async def close(self) -> None:
        """Let go of them; they go on."""

    def observe(self, box: BoxInfo, snapshot: Snapshot) -> None:
        """Once per tick."""

    def running(self) -> Sequence[JobLoad]:
        """Thread-safe."""

    def busy(self) -> bool:
        """Whether a job waits or runs."""


class Agent:
    """Joins source, sampler, telemetry, jobs and server. `run` returns when it is told to end."""

    def __init__(self, settings: AgentSettings) -> None:
        self.settings = settings
        # One that stays for ever was started by hand or by systemd: clients take it as it is.
        self.digest = None if settings.idle_exit_s is None else settings_digest(settings)
        self._kind = source_kind(settings)
        self.box = waiting_box(self._kind, settings)
        self.first_snapshot = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._disk = ThreadPoolExecutor(1, "disk")
        self._ending = asyncio.Event()
        self._idle_timer: asyncio.TimerHandle | None = None
        self._minute = 0
        self._build()

    def _build(self) -> None:
        settings = self.settings
        state = paths.make_private(paths.box_state_dir(settings.name))
        persist = settings.history and self._kind != "replay"
        self.store = Store(state / "history.sqlite" if persist else None, self._tell)
        self.events = EventStore(self.store)
        self.energy = Energy(self.store)
        self.history = History(self.store, persist)
        self.jobs: Jobs = make_jobs(self, state)
        self.source: Source = make_source(self._kind, settings, self.jobs.running)
        self.server = Server(
            paths.socket_path(settings.name), Methods(self).dispatch, self._idle_changed
        )
        pipeline = Pipeline(
            self.source,
            settings,
            self.history,
            self.energy,
            self._health(),
            self._post,
            lambda: made_up_past(self.source) if settings.simulate.demo else (),
        )
        self.sampler = Sampler(pipeline.open, pipeline.tick, settings.interval_s)

    def _health(self) -> Health | None:
        if self._kind == "replay":
            return None  # a recording already holds the states that were true then
        from cockpit.agent.health import HealthMonitor

        return HealthMonitor(self.settings.thresholds)

    # Life

    async def run(self) -> None:
        """Serve until `stop`, `shutdown`, or nobody has needed it for `idle_exit_s`."""
        try:
            await self.server.start()
            loading = self._loop.run_in_executor(self._disk, self.history.load)
            await self.jobs.start()
            self.sampler.start()
            await loading
            self._idle_changed(self.server.clients == 0)
            await self._ending.wait()
        finally:
            await self._close()

    def stop(self, reason: str) -> None:
        """End soon; `run` returns after everything has been saved."""
        log.info("ending: %s", reason)
        self._ending.set()

    async def _close(self) -> None:
        await self.server.close()
        await self._loop.run_in_executor(None, self.sampler.stop)
        await self.jobs.close()
        await self._loop.run_in_executor(None, self.source.close)
        await self.on_disk(lambda: self._save(whole_minutes=False))
        self.store.close()
        self._disk.shutdown(wait=False)

    def _idle_changed(self, idle: bool) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
        if idle and self.settings.idle_exit_s is not None:
            self._idle_timer = self._loop.call_later(self.settings.idle_exit_s, self._idle_long)

    def _idle_long(self) -> None:
        if self.jobs.busy():
            self._idle_changed(True)
        else:
            self.stop("no client and no job")

    # Ticks

    def _post(self, box: BoxInfo, snapshot: Snapshot, events: tuple[Event, ...]) -> None:
        # The loop is closed when a driver call returns after the agent has ended.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._take, box, snapshot, events)

    def _take(self, box: BoxInfo, snapshot: Snapshot, events: tuple[Event, ...]) -> None:
        self.box = box
        self.server.send_snapshot(snapshot)
        self.first_snapshot.set()
        for event in events:
            self.emit(event)
        try:
            self.jobs.observe(box, snapshot)
        except Exception:
            log.exception("the jobs could not be looked after")
        minute = int(snapshot.time_s) // SAVE_EVERY_S
        if minute != self._minute:
            if self._minute:
                self._disk.submit(self._save)
            self._minute = minute

    def emit(self, event: Event) -> None:
        """Number, keep and publish an event. Belongs to the loop's thread."""
        self.server.send_event(self.events.number(event))
        if not self._ending.is_set():
            self._disk.submit(self.events.save)

    def publish_job(self, job: Job) -> None:
        """Tell the subscribers of jobs about a change."""
        self.server.send_job(job)

    def _tell(self, event: Event) -> None:
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self.emit, event)

    # Disk

    async def on_disk(self, work: Callable[[], T]) -> T:
        """The result of `work`, done in the one thread that uses the disk."""
        return await self._loop.run_in_executor(self._disk, work)

    def _save(self, whole_minutes: bool = True) -> None:
        self.history.save(whole_minutes)
        self.energy.save()
        self.events.save()


def make_jobs(agent: Agent, state: Path) -> Jobs:
    """The JobService of this agent."""
    from cockpit.agent.jobs.service import JobService

    return JobService(
        state / "jobs", agent.box.name, agent.publish_job, agent.emit, settings=agent.settings
    )
