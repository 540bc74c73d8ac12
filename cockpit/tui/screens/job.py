"""JobScreen: one job as it runs: pictures, metrics, kernels, log, what it told, and its GPUs."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical

from cockpit.model import Job, Snapshot
from cockpit.tui import phrases
from cockpit.tui.graphics.overlay import PixelCompositor
from cockpit.tui.job import about, compare, facts, gpus, kernels, plans, told
from cockpit.tui.job_list import power_of, watts_of
from cockpit.tui.keys import bindings
from cockpit.tui.live import News
from cockpit.tui.screens.job_keys import JobKeys
from cockpit.tui.widgets.ask_line import AskLine
from cockpit.tui.widgets.chart_view import SMOOTHINGS, ChartView
from cockpit.tui.widgets.keybar import KeyBar
from cockpit.tui.widgets.log import LogView
from cockpit.tui.widgets.metrics import MetricCharts
from cockpit.tui.widgets.pictures import Pictures
from cockpit.tui.widgets.roofline import RooflinePlot
from cockpit.tui.widgets.sheets import Sheets
from cockpit.tui.widgets.table import Column, Row, Table
from cockpit.tui.widgets.tabs import TabLine

TABS: dict[str, str] = {
    "all": "Overview",
    "pictures": "Pictures",
    "metrics": "Metrics",
    "kernels": "Kernels",
    "sheets": "Tables",
    "log": "Log",
    "told": "Events",
    "gpus": "GPUs",
    "about": "About",
}
COMPARE = {"compare": "Compare"}
LEFT = ("pictures", "kernels", "comparison", "sheets", "log", "about")
RIGHT = ("metrics", "told", "gpus")
"""The panes that stand beside each other where there is room for several."""
_ONE: tuple[Column, ...] = (Column("", flex=True),)


class JobScreen(JobKeys):
    """Everything about one job; what has no room beside the rest has a tab of its own."""

    place = "job"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("job")]
    DEFAULT_CSS = """
    JobScreen #head { height: 3; padding: 0 1; }
    JobScreen #tabs { margin: 0 1; }
    JobScreen #body { height: 1fr; padding: 0 1; }
    JobScreen.-tall #body { padding: 1 1 0 1; }
    JobScreen #left, JobScreen #right { height: 1fr; width: 1fr; }
    JobScreen.-both #right { margin-left: 3; }
    JobScreen.-narrow #right { height: 2fr; }
    JobScreen.-narrow #body { layout: vertical; }
    JobScreen #kernel-pane { height: 1fr; }
    JobScreen.-overview #kernel-pane { height: auto; max-height: 8; margin-top: 1; }
    JobScreen.-overview #kernels { height: auto; max-height: 6; }
    JobScreen #kernels { height: auto; max-height: 50%; }
    JobScreen #roof { height: 1; margin-bottom: 1; }
    JobScreen.-overview #roof { margin-bottom: 0; }
    JobScreen.-both #pictures { height: auto; max-height: 60%; }
    JobScreen.-both FieldView, JobScreen.-both ImageView { height: auto; }
    JobScreen.-both #gpus { height: auto; max-height: 12; min-height: 3; margin-top: 1; }
    JobScreen.-both.-overview #log { margin-top: 1; }
    JobScreen #told-pane { height: 1fr; }
    JobScreen #told-count { height: 1; }
    JobScreen.-comparing.-both #left { width: 56; }
    """

    def __init__(self, job_id: str, other_id: str | None = None) -> None:
        super().__init__(job_id, other_id)
        self._compositor = PixelCompositor()

    def compose_body(self) -> ComposeResult:
        memory = self.app.memory
        yield Table(_ONE, header=False, cursor=False, id="head")
        tabs = TABS if self.other_id is None else TABS | COMPARE
        first = "all" if self.other_id is None else "compare"
        chosen = memory.text("job.tab", "all") if self.other_id is None else first
        yield TabLine(tabs, chosen, id="tabs")
        smoothing = float(memory.get("job.smoothing", 0.0))
        view = ChartView(
            "time_s" if memory.text("job.axis") == "time_s" else "step",
            smoothing=smoothing if smoothing in SMOOTHINGS else 0.0,
            log=bool(memory.get("job.log", False)),
        )
        with Horizontal(id="body"):
            with Vertical(id="left"):
                yield Pictures(
                    memory.text("field.map", "ember"), self.ask_frame, self.ask_image, id="pictures"
                )
                with Vertical(id="kernel-pane"):
                    yield Table(
                        kernels.KERNEL_COLUMNS,
                        cursor=False,
                        empty="No kernel has been reported.",
                        id="kernels",
                    )
                    yield Table(_ONE, header=False, cursor=False, id="roof")
                    yield RooflinePlot(id="roofline")
                yield Table(_ONE, cursor=False, id="comparison")
                yield Sheets(self.ask_sheet, id="sheets")
                yield LogView(self.ask_log, self.ask_search, id="log")
                yield Table(about.COLUMNS, header=False, cursor=False, id="about")
            with Vertical(id="right"):
                yield MetricCharts(view, id="metrics")
                with Vertical(id="told-pane"):
                    yield Table(_ONE, header=False, cursor=False, id="told-count")
                    yield Table(told.COLUMNS, empty="It has told nothing.", id="told")
                yield Table(gpus.COLUMNS, empty="It holds no GPU.", id="gpus")
        yield AskLine()

    def on_screen_resume(self) -> None:
        self.show_tab(self.tab)
        super().on_screen_resume()

    def on_resize(self, event: events.Resize) -> None:
        self.show_tab(self.tab)

    def on_live(self, news: News) -> None:
        """Figures go on with each snapshot, and whenever one of the jobs says something."""
        if not self.ready:
            return
        if isinstance(news, Snapshot) and self.job is not None:
            self.trails.add(news, self.job)
        ids = (self.job_id, self.other_id)
        mine = isinstance(news, tuple) and any(job.id in ids for job in news)
        if isinstance(news, tuple) and any(j.removed and j.id == self.job_id for j in news):
            self.gone = f"Job {self.job_id} was removed."
        if mine or isinstance(news, Snapshot):
            self.refill()

    # What is shown

    @property
    def tab(self) -> str:
        """The tab that is open."""
        return self.query_one("#tabs", TabLine).chosen

    def table(self) -> Table:
        named = {"told": "told", "about": "about", "gpus": "gpus", "compare": "comparison"}
        if self.tab == "sheets":
            return self.query_one(Sheets).table()
        return self.query_one(f"#{named.get(self.tab, 'kernels')}", Table)

    def refill(self) -> None:
        job, head = self.job, self.query_one("#head", Table)
        if job is None:
            words = self.gone or f"Asking for job {self.job_id}"
            head.show([Row("", ((words, "error" if self.gone else "muted"),))])
            return
        live = self.app.live
        power = power_of(job, watts_of(live.snapshot.gpus if live.snapshot else ()))
        bar = min(self.size.width // 4, 48)
        currency = live.box.currency if live.box and live.box.price_per_kwh is not None else ""
        rows = facts.head_rows(job, self.gpu_indices, power, self.now_s, bar, currency)
        head.show(facts.with_other(rows, self.other))
        self.query_one(Pictures).offer(job, plans.field_plan(job), plans.image_plan(job))
        self._show_kernels(job)
        held = gpus.held(live.snapshot, job)
        self.query_one("#gpus", Table).show(gpus.gpu_rows(held, job, self.trails))
        self.query_one(Sheets).offer(plans.sheet_plan(job))
        self._show_told()
        self.query_one("#about", Table).show(
            about.about_rows(job, self.gpu_indices, self.now_s, currency, self.parameters(job.id))
        )
        self._draw_charts(job)
        if self.other is not None:
            self._show_comparison(job, self.other, currency)

    def _show_kernels(self, job: Job) -> None:
        elapsed_s = phrases.elapsed(job, self.now_s)
        self.query_one("#kernels", Table).show(kernels.kernel_rows(job, elapsed_s))
        roof = kernels.roof_line(job.roofline) if job.kernels else ""
        self.query_one("#roof", Table).show([Row("", ((roof, "muted"),))])
        self.query_one(RooflinePlot).show(kernels.dots_of(job.kernels), job.roofline)

    def _show_told(self) -> None:
        rows = told.told_rows(self.told, self.now_s, self.needle)
        self.query_one("#told", Table).show(rows)
        shown = f"   showing those with “{self.needle}”" if self.needle else ""
        line = ((told.summary(self.told), "muted"), (shown, "accent"))
        self.query_one("#told-count", Table).show([Row("", (line,))])

    def _draw_charts(self, job: Job) -> None:
        charts = self.query_one(MetricCharts)
        jobs = [job] if self.other is None else [job, self.other]
        charts.draw(jobs, plans.chart_plan(job, self.other))

    def _show_comparison(self, job: Job, other: Job, currency: str) -> None:
        both = self.parameters(job.id) or {}, self.parameters(other.id) or {}
        rows = compare.compare_rows(job, other, both, self.gpu_indices, self.now_s, currency)
        self.query_one("#comparison", Table).show(rows, compare.columns(job, other))

    # Tabs

    def show_tab(self, tab: str) -> None:
        """Open a tab."""
        self.query_one("#tabs", TabLine).choose(tab)
        roomy = self.size.width >= 140 and self.size.height >= 34
        overview, comparing = tab == "all", tab == "compare"
        both = (overview and roomy) or (comparing and self.size.width >= 120)
        self.set_class(both, "-both")
        self.set_class(overview, "-overview")
        self.set_class(comparing, "-comparing")
        self.set_class(comparing and not both, "-narrow")
        self.set_class(self.size.height >= 32, "-tall")
        shown = self._overview(roomy) if overview else {tab}
        if comparing:
            shown = {"comparison", "metrics"}
        panes = {"kernels": "kernel-pane", "told": "told-pane"}
        for name in (*LEFT, *RIGHT):
            self.query_one(f"#{panes.get(name, name)}").display = name in shown
        self.query_one("#left").display = bool(shown.intersection(LEFT))
        self.query_one("#right").display = bool(shown.intersection(RIGHT))
        self.query_one(RooflinePlot).display = tab == "kernels"
        self.query_one(Pictures).show_first(overview)
        for name in ("gpus", "told"):
            self.query_one(f"#{name}", Table).with_cursor(tab == name)
        charts = self.query_one(MetricCharts)
        charts.active = tab in ("metrics", "compare")
        charts.most = (2 if roomy else 1) if overview else None
        if charts.large and overview:
            charts.maximise(False)
        for bar in self.query(KeyBar):
            bar.show_tab(tab)
        self.refill()
        self.look_now()

    def _overview(self, roomy: bool) -> set[str]:
        """What the overview shows: what the job has, and as much of it as there is room for."""
        job = self.job
        pictures = bool(job and (plans.field_plan(job) or plans.image_plan(job)))
        charts = bool(job and plans.chart_plan(job))
        some = {"kernels"} if job and job.kernels else set()
        if roomy:
            some |= {"pictures"} if pictures else set()
            return some | {"log", "metrics" if charts else "told", "gpus"}
        if pictures:
            return some | {"pictures"} | (set() if some else {"log"})
        return {"metrics", *some} if charts else {"log", *some}

    def on_tab_line_chosen(self, event: TabLine.Chosen) -> None:
        self.choose_tab(event.key)

    def choose_tab(self, tab: str) -> None:
        """Open a tab, and open it again the next time."""
        if tab != "compare":
            self.app.memory.set("job.tab", tab)
        self.show_tab(tab)
