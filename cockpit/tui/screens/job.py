"""JobScreen: one job as it runs: its fields, metrics, kernels, log and GPUs."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical

from cockpit.errors import CockpitError
from cockpit.model import ENDED_STATES, Job, Snapshot
from cockpit.tui import job_facts
from cockpit.tui.job_list import power_of, watts_of
from cockpit.tui.keys import bindings
from cockpit.tui.live import News
from cockpit.tui.screens.job_actions import JobActions
from cockpit.tui.widgets.field import FieldView
from cockpit.tui.widgets.frame import Frame
from cockpit.tui.widgets.log import LogView
from cockpit.tui.widgets.metrics import MetricCharts
from cockpit.tui.widgets.table import Column, Row, Table
from cockpit.tui.widgets.tabs import TabLine

TABS: dict[str, str] = {
    "all": "Overview",
    "fields": "Fields",
    "metrics": "Metrics",
    "kernels": "Kernels",
    "log": "Log",
    "gpus": "GPUs",
}
FRAME_EVERY_S = 0.1
"""Fields are asked for at most ten times a second, and only while they can be seen."""
METRICS_EVERY_S = 2.0
LOG_EVERY_S = 0.5
_ONE: tuple[Column, ...] = (Column("", flex=True),)


class JobScreen(JobActions):
    """Everything about one job; what has no room beside the rest has a tab of its own."""

    place = "job"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("job")]
    DEFAULT_CSS = """
    JobScreen #head { height: 3; padding: 0 1; }
    JobScreen #tabs { margin: 0 1; }
    JobScreen #body { height: 1fr; padding: 0 1; }
    JobScreen #left, JobScreen #right { height: 1fr; width: 1fr; }
    JobScreen.-both #right { margin-left: 3; width: 1fr; }
    JobScreen.-both #left { width: 1fr; }
    JobScreen #fields { height: 1fr; }
    JobScreen.-overview #roofline { height: 7; margin-top: 1; }
    JobScreen #roofline { height: 1fr; }
    JobScreen #roof { height: 1; }
    JobScreen.-both #fields { height: auto; max-height: 65%; }
    JobScreen.-both FieldView { height: auto; }
    JobScreen.-both #gpus { height: auto; max-height: 12; min-height: 3; }
    JobScreen.-both #log { margin-top: 1; }
    JobScreen #nothing { height: 1fr; }
    """

    def __init__(self, job_id: str) -> None:
        super().__init__()
        self.job_id = job_id
        self._fields: dict[str, FieldView] = {}
        self._sequences: dict[str, int] = {}
        self._gone = ""

    def compose_body(self) -> ComposeResult:
        yield Table(_ONE, header=False, cursor=False, id="head")
        yield TabLine(TABS, self.app.memory.text("job.tab", "all"), id="tabs")
        with Horizontal(id="body"):
            with Vertical(id="left"):
                yield Vertical(id="fields")
                with Vertical(id="roofline"):
                    yield Table(
                        job_facts.KERNEL_COLUMNS,
                        cursor=False,
                        empty="No kernel has been reported.",
                        id="kernels",
                    )
                    yield Table(_ONE, header=False, cursor=False, id="roof")
                yield LogView(self._ask_log, id="log")
            with Vertical(id="right"):
                yield MetricCharts(id="metrics")
                yield Table(
                    job_facts.GPU_COLUMNS, cursor=False, empty="It holds no GPU.", id="gpus"
                )

    @property
    def job(self) -> Job | None:
        """The job as last heard of."""
        return self.app.live.jobs.get(self.job_id)

    def on_screen_resume(self) -> None:
        self._show_tab(self._tab)
        self.run_worker(self._follow(), name="follow", group="follow", exclusive=True)

    def on_screen_suspend(self) -> None:
        self.workers.cancel_group(self, "follow")

    def on_resize(self, event: events.Resize) -> None:
        self._show_tab(self._tab)

    def on_live(self, news: News) -> None:
        """Figures go on with each snapshot, and whenever this job says something."""
        mine = isinstance(news, tuple) and any(job.id == self.job_id for job in news)
        if self.ready and (mine or isinstance(news, Snapshot)):
            self.refill()

    # What is shown

    @property
    def _tab(self) -> str:
        return self.query_one("#tabs", TabLine).chosen

    def table(self) -> Table:
        return self.query_one("#gpus" if self._tab == "gpus" else "#kernels", Table)

    def refill(self) -> None:
        job, head = self.job, self.query_one("#head", Table)
        if job is None:
            words = self._gone or f"Asking for job {self.job_id}"
            head.show([Row("", ((words, "error" if self._gone else "muted"),))])
            return
        snapshot = self.app.live.snapshot
        power = power_of(job, watts_of(snapshot.gpus if snapshot else ()))
        bar = min(self.size.width // 4, 48)
        head.show(job_facts.head_rows(job, self.gpu_indices, power, self.now_s, bar))
        self.query_one("#kernels", Table).show(job_facts.kernel_rows(job.kernels))
        roof = job_facts.roof_line(job.roofline) if job.kernels else ""
        self.query_one("#roof", Table).show([Row("", ((roof, "muted"),))])
        held = {*job.gpus, *job.slices}
        gpus = [
            gpu
            for gpu in (snapshot.gpus if snapshot else ())
            if gpu.uuid in held or held.intersection(part.uuid for part in gpu.slices)
        ]
        self.query_one("#gpus", Table).show(job_facts.gpu_rows(gpus))
        self._make_fields(job)
        end_s = job.ended_s or max(self.now_s, self.app.clock())
        self.query_one(MetricCharts).draw(job_facts.chart_plan(job), job, end_s)

    def _make_fields(self, job: Job) -> None:
        """A view for each field; in the overview only the first has room."""
        holder = self.query_one("#fields")
        for name, title in job_facts.field_plan(job):
            if name not in self._fields:
                diverging = any(
                    word in name for word in ("vorticity", "curl", "difference", "charge")
                )
                view = FieldView(title, "polar" if diverging else self._map)
                self._fields[name] = view
                holder.mount(view)
        if not self._fields and not holder.children:
            holder.mount(
                Table(_ONE, header=False, cursor=False, id="nothing", empty="No live field.")
            )
        elif self._fields:
            for placeholder in self.query("#nothing"):
                placeholder.remove()
        if job.state in ENDED_STATES:
            for view in self._fields.values():
                if view.frame is None:
                    view.note = "no frame is kept of this field"

    @property
    def _map(self) -> str:
        return self.app.memory.text("field.map", "ember")

    # Tabs

    def _show_tab(self, tab: str) -> None:
        self.query_one("#tabs", TabLine).choose(tab)
        both = tab == "all" and self.size.width >= 140 and self.size.height >= 34
        overview = tab == "all"
        self.set_class(both, "-both")
        self.set_class(overview, "-overview")
        shown = {tab} if tab != "all" else {"fields", "kernels"}
        if both:
            shown = {"fields", "kernels", "metrics", "gpus", "log"}
        for name in ("fields", "metrics", "gpus", "log"):
            self.query_one(f"#{name}").display = name in shown
        self.query_one("#roofline").display = "kernels" in shown
        self.query_one("#left").display = bool(shown & {"fields", "kernels", "log"})
        self.query_one("#right").display = bool(shown & {"metrics", "gpus"})
        self.refill()

    def on_tab_line_chosen(self, event: TabLine.Chosen) -> None:
        self.app.memory.set("job.tab", event.key)
        self._show_tab(event.key)

    def action_tab(self, by: int) -> None:
        """Open the tab `by` places further."""
        tab = self.query_one("#tabs", TabLine).after(by)
        self.app.memory.set("job.tab", tab)
        self._show_tab(tab)

    async def action_move_left(self) -> None:
        self.action_tab(-1)

    async def action_move_right(self) -> None:
        self.action_tab(1)

    # Live: frames, metrics and log, each only while it is seen

    async def _follow(self) -> None:
        try:
            if self.job is None:
                self.app.live.take(await self.app.box.job(self.job_id))
            self.refill()
        except CockpitError as error:
            self._gone = str(error)
            self.refill()
            return
        await asyncio.gather(
            self._every(FRAME_EVERY_S, self._frames),
            self._every(METRICS_EVERY_S, self._metrics),
            self._every(LOG_EVERY_S, self._log),
        )

    async def _every(self, seconds: float, ask: Any) -> None:
        """Call `ask` for ever; a box that does not answer is asked again after a pause."""
        while True:
            try:
                await ask()
            except CockpitError:
                await asyncio.sleep(1.0)
            await asyncio.sleep(seconds)

    async def _frames(self) -> None:
        for name, view in list(self._fields.items()):
            if not view.is_attached or not view.region.area or not self.query_one("#left").display:
                continue
            after = self._sequences.get(name, 0)
            answer = await self.app.box.job_frame(self.job_id, name, after)
            try:
                frame = Frame.decode(answer)
            except ValueError as error:
                view.note = str(error)
                continue
            if frame is not None:
                self._sequences[name] = frame.sequence
                view.show(frame)

    async def _metrics(self) -> None:
        charts = self.query_one(MetricCharts)
        if charts.region.area and self.job is not None:
            points = max(charts.size.width, 100)
            charts.load((await self.app.box.job_metrics(self.job_id, points))["metrics"])
            self.refill()

    async def _log(self) -> None:
        log = self.query_one("#log", LogView)
        if log.region.area:
            await log.poll()

    async def _ask_log(self, offset: int, limit: int) -> dict[str, Any]:
        return await self.app.box.job_log(self.job_id, offset, limit)

    # Keys

    async def _scroll(self, by: int) -> None:
        log = self.query_one("#log", LogView)
        if self._tab == "log" or (self._tab == "all" and log.region.area):
            await log.move(by)
        else:
            self.table().move(by)

    async def action_move_up(self) -> None:
        await self._scroll(-1)

    async def action_move_down(self) -> None:
        await self._scroll(1)

    def action_page_up(self) -> None:
        self.call_later(self._scroll, 2 - self.query_one("#log").size.height)

    def action_page_down(self) -> None:
        self.call_later(self._scroll, self.query_one("#log").size.height - 2)

    async def action_move_first(self) -> None:
        await self.query_one("#log", LogView).to_start()

    async def action_move_last(self) -> None:
        await self.query_one("#log", LogView).to_end()

    def action_follow(self) -> None:
        """Follow the log, or stay where it is."""
        self.query_one("#log", LogView).toggle_follow()

    def action_colours(self) -> None:
        """Draw the fields in the next colours."""
        from cockpit.tui.widgets.colormaps import ANCHORS

        names = list(ANCHORS)
        name = names[(names.index(self._map) + 1) % len(names)] if self._map in names else names[0]
        self.app.memory.set("field.map", name)
        for view in self._fields.values():
            view.recolour(name)

    def chosen_jobs(self) -> list[Job]:
        """The job itself."""
        return [self.job] if self.job is not None else []
