"""What the screen of a job asks its box for: each thing only while it can be seen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from textual.css.query import NoMatches

from cockpit.errors import CockpitError
from cockpit.model import Job, JobImage
from cockpit.tui.begin import begin
from cockpit.tui.job.gpus import FIGURES, GpuTrails
from cockpit.tui.job.told import ToldEvents
from cockpit.tui.screens.job_actions import JobActions
from cockpit.tui.trail import SPAN_S
from cockpit.tui.widgets.log import LogView
from cockpit.tui.widgets.metrics import MetricCharts
from cockpit.tui.widgets.pictures import Pictures
from cockpit.tui.widgets.sheets import Sheet, Sheets

FRAME_EVERY_S = 0.1
"""Fields are asked for at most ten times a second, and only while they can be seen."""
METRICS_EVERY_S = 2.0
LOG_EVERY_S = 0.5
TOLD_EVERY_S = 1.0
SHEETS_EVERY_S = 1.0


class JobReading(JobActions):
    """The job, the one it is compared with, and the workers that read what they do."""

    def __init__(self, job_id: str, other_id: str | None = None) -> None:
        super().__init__()
        self.job_id, self.other_id = job_id, other_id
        self.gone = ""
        """Why there is nothing to show."""
        self.told = ToldEvents()
        self.trails = GpuTrails()
        self._parameters: dict[str, Mapping[str, Any]] = {}

    @property
    def job(self) -> Job | None:
        """The job as last heard of."""
        return self.app.live.jobs.get(self.job_id)

    @property
    def other(self) -> Job | None:
        """The job that it is compared with."""
        return None if self.other_id is None else self.app.live.jobs.get(self.other_id)

    def parameters(self, job_id: str) -> Mapping[str, Any] | None:
        """What the job was launched with; None while that is not known."""
        return self._parameters.get(job_id)

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        begin(self, self._follow, "follow")

    def on_screen_suspend(self) -> None:
        self.workers.cancel_group(self, "follow")

    def look_now(self) -> None:
        """Read what has just come into view, without waiting for its turn."""
        if self.is_running and self.job is not None:
            begin(self, self._once, "look")

    async def _once(self) -> None:
        await asyncio.sleep(0)
        for ask in (self._metrics, self._sheets, self._told):
            try:
                await ask()
            except (CockpitError, NoMatches):
                # The regular turns try again.
                return

    async def _follow(self) -> None:
        try:
            for job_id in (self.job_id, self.other_id):
                if job_id is not None and job_id not in self.app.live.jobs:
                    self.app.live.take(await self.app.box.job(job_id))
            self.refill()
        except CockpitError as error:
            self.gone = str(error)
            self.refill()
            return
        await asyncio.gather(
            self._load_parameters(),
            self._load_trails(),
            self._every(FRAME_EVERY_S, self.query_one(Pictures).poll),
            self._every(METRICS_EVERY_S, self._metrics),
            self._every(LOG_EVERY_S, self._log),
            self._every(SHEETS_EVERY_S, self._sheets),
            self._every(TOLD_EVERY_S, self._told),
        )

    async def _every(self, seconds: float, ask: Callable[[], Awaitable[None]]) -> None:
        """Call `ask` for ever; a box that does not answer is asked again after a pause."""
        while True:
            try:
                await ask()
            except CockpitError:
                await asyncio.sleep(1.0)
            except NoMatches:
                # The screen is being taken down.
                return
            await asyncio.sleep(seconds)

    async def _load_parameters(self) -> None:
        """What the jobs were launched with; a box that cannot tell leaves it out."""
        for job_id in (self.job_id, self.other_id):
            if job_id is not None and job_id not in self._parameters:
                try:
                    request = await self.app.box.job_request(job_id)
                except CockpitError:
                    continue
                self._parameters[job_id] = request.parameters
        self.refill()

    async def _load_trails(self) -> None:
        """The last ten minutes of its GPUs."""
        job = self.job
        for uuid in job.gpus if job else ():
            for name in FIGURES:
                try:
                    since_s = self.now_s - SPAN_S
                    series = await self.app.box.history(uuid, name, since_s, self.now_s, 120)
                except CockpitError:
                    return
                self.trails.load(series)
        self.refill()

    # Each only while it is seen

    async def _metrics(self) -> None:
        charts = self.query_one(MetricCharts)
        if not charts.region.area:
            return
        for source in list(charts.sources):
            view = charts.view
            answer = await self.app.box.job_metrics(source.job.id, **charts.wanted(source))
            # What was asked for may be out of date by now.
            if charts.view.axis == view.axis and charts.view.window == view.window:
                charts.load(source.job, answer)
        self.refill()

    def on_metric_charts_changed(self, event: MetricCharts.Changed) -> None:
        """Another part of the run is looked at."""
        event.stop()
        begin(self, self._asked_metrics, "zoom")

    async def _asked_metrics(self) -> None:
        # A wheel that is turned on asks once, when it has come to rest.
        await asyncio.sleep(0.05)
        try:
            await self._metrics()
        except CockpitError as error:
            self.notify(str(error), title="No metrics", severity="warning")

    async def _log(self) -> None:
        log = self.query_one(LogView)
        if log.region.area:
            await log.poll()

    async def _sheets(self) -> None:
        sheets = self.query_one(Sheets)
        if sheets.region.area:
            await sheets.poll()

    async def _told(self) -> None:
        """Read on for a tenth of a second at most, so that a long past holds nothing up."""
        if not self.query_one("#told-pane").region.area:
            return
        until = time.monotonic() + 0.1
        while await self.told.read(self._ask_told) and time.monotonic() < until:
            pass
        self.refill()

    async def _ask_told(self, offset: int, limit: int) -> dict[str, Any]:
        return await self.app.box.job_events(self.job_id, offset, limit)

    async def ask_log(self, offset: int, limit: int) -> dict[str, Any]:
        """A part of the log."""
        return await self.app.box.job_log(self.job_id, offset, limit)

    async def ask_search(self, pattern: str, offset: int, **how: Any) -> dict[str, Any]:
        """Matches in a part of the log."""
        return await self.app.box.job_search(self.job_id, pattern, offset, **how)

    async def ask_frame(self, name: str, after: int) -> dict[str, Any]:
        """A newer frame of a field."""
        return await self.app.box.job_frame(self.job_id, name, after)

    async def ask_image(self, name: str, after: int) -> JobImage | None:
        """A newer picture."""
        return await self.app.box.job_image(self.job_id, name, after)

    async def ask_sheet(self, kind: str, name: str, after: int) -> Sheet | None:
        """A newer table or text."""
        if kind == "table":
            return await self.app.box.job_table(self.job_id, name, after)
        return await self.app.box.job_text(self.job_id, name, after)
