"""GpuScreen: everything about one GPU."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical

from cockpit.errors import CockpitError
from cockpit.model import BoxInfo, Event, Gpu, GpuInfo, Process, Snapshot
from cockpit.tui import gpu_facts, phrases
from cockpit.tui.gpu_facts import ONE_COLUMN
from cockpit.tui.keys import bindings
from cockpit.tui.live import News
from cockpit.tui.screens.events import COLUMNS as EVENT_COLUMNS
from cockpit.tui.screens.events import event_rows
from cockpit.tui.screens.listing import ListingScreen
from cockpit.tui.widgets.confirm import Confirm
from cockpit.tui.widgets.gpu_charts import SPANS, GpuCharts
from cockpit.tui.widgets.table import Row, Span, Table
from cockpit.tui.widgets.tabs import TabLine
from cockpit.tui.widgets.throttle import ThrottleTimeline

TABS: dict[str, str] = {
    "charts": "Charts",
    "throttle": "Throttle",
    "processes": "Processes",
    "links": "Links",
    "health": "Health",
    "about": "About",
}


class GpuScreen(ListingScreen):
    """One GPU: charts over time, throttle timeline, processes, links, health and identity."""

    place = "gpu"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("gpu")]
    DEFAULT_CSS = """
    GpuScreen #head { height: 2; padding: 0 1; }
    GpuScreen #choices { height: 1; padding: 0 1; }
    GpuScreen.-tall #choices { margin-bottom: 1; }
    GpuScreen #spans { width: 26; }
    GpuScreen.-wide #spans { width: 48; }
    GpuScreen #body { height: 1fr; padding: 0 1; }
    GpuScreen #lower { height: 1fr; }
    GpuScreen #lower.-strip { height: 12; }
    GpuScreen.-tall #lower.-strip { margin-top: 1; }
    GpuScreen #lower ThrottleTimeline { width: 1fr; }
    GpuScreen #processes { height: 1fr; }
    GpuScreen #lower.-strip #processes { margin-left: 4; }
    GpuScreen #happened { margin-top: 1; }
    GpuScreen #links { height: 1fr; }
    """

    def __init__(self, uuid: str) -> None:
        super().__init__()
        self.uuid = uuid
        self._sort = gpu_facts.SORTS[0]
        self._processes: dict[str, Process] = {}

    def compose_body(self) -> ComposeResult:
        memory = self.app.memory
        info = self._info or GpuInfo(-1, self.uuid, "")
        timeline = ThrottleTimeline()
        self._charts = GpuCharts(info, timeline, id="charts")
        span = memory.text("gpu.span", "10m")
        self._charts.span = span if span in SPANS else "10m"
        yield Table(ONE_COLUMN, header=False, cursor=False, id="head")
        with Horizontal(id="choices"):
            yield TabLine(TABS, memory.text("gpu.tab", "charts"), id="tabs")
            yield TabLine({span: span for span in SPANS}, self._charts.span, right=True, id="spans")
        with Vertical(id="body"):
            yield self._charts
            with Horizontal(id="lower"):
                yield timeline
                yield Table(
                    gpu_facts.PROCESS_COLUMNS, empty="Nothing runs on this GPU.", id="processes"
                )
            yield Table(EVENT_COLUMNS, empty="Nothing has happened to this GPU.", id="happened")
            with Horizontal(id="links"):
                yield Table(ONE_COLUMN, header=False, cursor=False, id="wires")
                yield Table(ONE_COLUMN, header=False, cursor=False, id="topology")
            yield Table(ONE_COLUMN, header=False, cursor=False, id="health")
            yield Table(ONE_COLUMN, header=False, cursor=False, id="about")

    def on_mount(self) -> None:
        self._show_tab(self.query_one("#tabs", TabLine).chosen)

    def on_screen_resume(self) -> None:
        if self._gpu is not None:
            self._charts.append(self._gpu, self.now_s)
        self.refill()
        self._load_history()

    def on_resize(self, event: events.Resize) -> None:
        self._show_tab(self.query_one("#tabs", TabLine).chosen)

    def on_live(self, news: News) -> None:
        """Take the newest figures in."""
        if not self.ready:
            return
        if isinstance(news, Snapshot):
            gpu = self._gpu
            if gpu is not None:
                self._charts.append(gpu, news.time_s)
            self.refill()
        elif isinstance(news, (BoxInfo, Event)):
            self.refill()

    # What is shown

    @property
    def _info(self) -> GpuInfo | None:
        box = self.app.live.box
        gpus = box.gpus if box else ()
        return next((info for info in gpus if info.uuid == self.uuid), None)

    @property
    def _gpu(self) -> Gpu | None:
        return self.app.live.gpu(self.uuid)

    @property
    def _tab(self) -> str:
        return self.query_one("#tabs", TabLine).chosen

    def table(self) -> Table | None:
        named = {"links": "wires", "charts": "processes", "throttle": "happened"}
        return self.query_one(f"#{named.get(self._tab, self._tab)}", Table)

    def refill(self) -> None:
        """Show the newest figures, in the tab that is open."""
        box, info, gpu = self.app.live.box, self._info, self._gpu
        if box is None or info is None or gpu is None:
            self.query_one("#head", Table).show([Row("", (("Waiting for the box", "muted"),))])
            return
        self.query_one("#head", Table).show(self._head(gpu))
        self._processes = {str(process.pid): process for process in gpu.processes}
        rows = gpu_facts.process_rows(gpu.processes, self._sort, self.needle)
        self.query_one("#processes", Table).show(rows)
        if self._tab in ("charts", "throttle"):
            self._charts.draw(self.now_s, gpu.power_limit_w)
            self._show_events()
        elif self._tab == "links":
            self._show_links(box, info, gpu)
        elif self._tab == "health":
            self.query_one("#health", Table).show(gpu_facts.health_rows(gpu, self.now_s))
        elif self._tab == "about":
            self.query_one("#about", Table).show(gpu_facts.about_rows(box, info, gpu))

    def _head(self, gpu: Gpu) -> list[Row]:
        word, ink = phrases.state_of(gpu)
        job = self.app.live.job_on(gpu)
        first: list[Span] = [
            (f"GPU {gpu.index}", "text bold"),
            (f"  {gpu.name}  ", "muted"),
            (f" {word} ", f"{ink} bold reverse" if gpu.state != "ok" else "success bold"),
        ]
        if job is not None:
            first.append((f"  #{job.id} {job.name}", "primary"))
        return [Row("", (tuple(first),)), Row("", (tuple(self._trouble(gpu)),))]

    def _trouble(self, gpu: Gpu) -> list[Span]:
        """The gravest reason with what to do, and how many more there are."""
        reason = phrases.worst(gpu)
        if reason is None:
            return [("nothing wrong", "muted")]
        mark, _, ink = phrases.SEVERITY_MARKS[reason.severity]
        more = f"  and {len(gpu.reasons) - 1} more, see Health" if len(gpu.reasons) > 1 else ""
        since = (
            "" if reason.since_s is None else f" for {phrases.length(self.now_s - reason.since_s)}"
        )
        advice = f": {reason.advice}" if reason.advice else ""
        return [(f"{mark} {reason.text}", ink), (since, "muted"), (advice, "text"), (more, "muted")]

    def _show_links(self, box: BoxInfo, info: GpuInfo, gpu: Gpu) -> None:
        ways = gpu_facts.topology_rows(box, gpu.index)
        beside = self._beside
        wires = gpu_facts.pcie_rows(info, gpu) + ([] if beside else ways)
        self.query_one("#wires", Table).show(wires + gpu_facts.nvlink_rows(gpu))
        self.query_one("#topology", Table).show(ways if beside else [])

    @property
    def _beside(self) -> bool:
        """Whether there is room for links and topology beside each other."""
        return self.size.width >= 130

    def _show_events(self) -> None:
        mine = [event for event in self.app.live.events if event.gpu_uuid == self.uuid]
        self.query_one("#happened", Table).show(event_rows(mine, self.now_s, self.needle))

    # Tabs and spans

    def _show_tab(self, tab: str) -> None:
        self.query_one("#tabs", TabLine).choose(tab)
        roomy = self.size.height >= 44
        wide = self.size.width >= 150
        strip = tab == "charts" and roomy
        self.set_class(self.size.height >= 32, "-tall")
        self.set_class(self.size.width >= 110, "-wide")
        self.query_one("#spans").display = tab in ("charts", "throttle")
        self._charts.display = tab == "charts"
        lower = self.query_one("#lower")
        lower.display = tab in ("throttle", "processes") or strip
        lower.set_class(strip or tab == "throttle", "-strip")
        self.query_one("#happened").display = tab == "throttle"
        self.query_one("#topology").display = self._beside
        self._charts.timeline.display = tab == "throttle" or strip
        self.query_one("#processes").display = tab == "processes" or (strip and wide)
        for name in ("links", "health", "about"):
            self.query_one(f"#{name}").display = tab == name
        self.refill()

    def on_tab_line_chosen(self, event: TabLine.Chosen) -> None:
        if event.line.id == "tabs":
            self._choose_tab(event.key)
        else:
            self._choose_span(event.key)

    def action_tab(self, by: int) -> None:
        """Open the tab `by` places further."""
        self._choose_tab(self.query_one("#tabs", TabLine).after(by))

    def _choose_tab(self, tab: str) -> None:
        self.app.memory.set("gpu.tab", tab)
        self._show_tab(tab)

    def action_span(self, by: int) -> None:
        """Show a longer (1) or shorter (-1) time."""
        spans = list(SPANS)
        at = min(max(spans.index(self._charts.span) + by, 0), len(spans) - 1)
        self._choose_span(spans[at])

    def _choose_span(self, span: str) -> None:
        if span == self._charts.span:
            return
        self.query_one("#spans", TabLine).choose(span)
        self._charts.span = span
        self.app.memory.set("gpu.span", span)
        self.refill()
        self._load_history()

    def _load_history(self) -> None:
        self.run_worker(self._history(), group="history", exclusive=True)

    async def _history(self) -> None:
        points = max(self._charts.size.width, 200)
        try:
            await self._charts.load(self.app.box.history, self.now_s, points)
        except CockpitError as error:
            self.notify(str(error), title="No history", severity="warning")
        self.refill()

    # Moving between GPUs

    async def action_move_left(self) -> None:
        self._neighbour(-1)

    async def action_move_right(self) -> None:
        self._neighbour(1)

    def _neighbour(self, by: int) -> None:
        box = self.app.live.box
        uuids = [info.uuid for info in box.gpus] if box else []
        if self.uuid in uuids and len(uuids) > 1:
            self.app.open_gpu(uuids[(uuids.index(self.uuid) + by) % len(uuids)])

    # Processes

    def action_sort(self) -> None:
        """Order the processes by the next column."""
        sorts = gpu_facts.SORTS
        self._sort = sorts[(sorts.index(self._sort) + 1) % len(sorts)]
        self.notify(f"Processes by {self._sort}", timeout=2)
        self.refill()

    def action_filter(self) -> None:
        self._choose_tab("processes")
        super().action_filter()

    def action_end(self) -> None:
        """End the selected process, if it is yours, after a question that names it."""
        if self._tab != "processes":
            self._choose_tab("processes")
            return
        gpu, process = (
            self._gpu,
            self._processes.get(self.query_one("#processes", Table).selected or ""),
        )
        if gpu is None or process is None:
            return
        refused = gpu_facts.refusal(process, gpu)
        if refused:
            self.notify(refused, title="Not ended", severity="warning")
            return
        question = f"End pid {process.pid} on GPU {gpu.index}?"
        detail = f"{process.command or 'Its command is not known.'}\nIt is asked to end (SIGTERM)."

        def answered(yes: bool | None) -> None:
            if yes:
                self.run_worker(self._end(process), group="end")

        self.app.push_screen(Confirm(question, detail, "End it"), answered)

    async def _end(self, process: Process) -> None:
        assert process.start_ticks is not None
        try:
            await self.app.box.stop_process(process.pid, process.start_ticks)
        except CockpitError as error:
            self.notify(str(error), title=f"pid {process.pid} not ended", severity="error")
        else:
            self.notify(f"pid {process.pid} was asked to end.")
