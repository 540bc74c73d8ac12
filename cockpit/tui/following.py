"""Following: what the box tells goes into `app.live`, and to the screens that can be seen."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from cockpit.client import Connected
from cockpit.errors import CockpitError
from cockpit.model import Event, Job, Snapshot
from cockpit.tui.ended import tell as tell_ended
from cockpit.tui.live import LiveScreen, News
from cockpit.tui.screens.wall import WallScreen

if TYPE_CHECKING:
    from cockpit.tui.app import CockpitApp
    from cockpit.tui.stations import Station

EVENTS_BACK_S = 24 * 3600.0
JOBS_EVERY_S = 0.25
"""Screens are told of jobs at most this often."""


class Following:
    """The one reader of a box's news. Screens are told of the box in front alone."""

    def __init__(self, app: CockpitApp, station: Station) -> None:
        self._app, self._station = app, station
        self._changed_jobs: dict[str, Job] = {}
        self._jobs_told_s = 0.0

    async def run(self) -> None:
        """Follow the box for as long as the app runs."""
        app, live = self._app, self._station.live
        async for update in self._station.box.follow(interval_s=app.terminal.refresh_s):
            if isinstance(update, Job):
                tell_ended(app, live.jobs.get(update.id), update, app.terminal.ended)
            live.take(update)
            if isinstance(update, Job):
                self._gather(update)
                continue
            self._tell(update)
            if isinstance(update, Connected):
                group = f"fill {app.stations.all.index(self._station)}"
                app.run_worker(self._fill(), name="fill", group=group, exclusive=True)

    def _gather(self, job: Job) -> None:
        """Tell of a job at once after a quiet time, else together with others."""
        first = not self._changed_jobs
        self._changed_jobs[job.id] = job
        if first:
            pause_s = self._jobs_told_s + JOBS_EVERY_S - time.monotonic()
            if pause_s <= 0:
                self._app.call_later(self._tell_jobs)
            else:
                self._app.set_timer(pause_s, self._tell_jobs)

    def _tell_jobs(self) -> None:
        jobs, self._changed_jobs = tuple(self._changed_jobs.values()), {}
        self._jobs_told_s = time.monotonic()
        self._tell(jobs)

    async def _fill(self) -> None:
        """Ask once for what the subscription does not repeat: jobs and the last events."""
        try:
            jobs = await self._station.box.jobs()
            events = await self._station.box.events(since_s=self._app.clock() - EVENTS_BACK_S)
        except CockpitError as error:
            if self._in_front:
                self._app.notify(str(error), severity="warning")
            return
        self._station.live.fill(jobs, events)
        self._tell(jobs)
        if self._in_front:
            await self._app.load_past()

    @property
    def _in_front(self) -> bool:
        return self._app.stations.current is self._station

    def _tell(self, news: News) -> None:
        """Pass news to what can be seen: the top screen, and those under a dialog."""
        self._app.stations.tell()
        if not self._in_front:
            return
        wall = self._app.stack("wall")[:1]
        if isinstance(news, Snapshot) and wall and isinstance(wall[0], WallScreen):
            wall[0].keep(news)
        for screen in self._app.seen():
            if isinstance(screen, LiveScreen):
                screen.on_live(news)
            if not isinstance(news, (tuple, Event)):
                self._app.show_shell(screen)
