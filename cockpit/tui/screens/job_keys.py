"""What the keys of a job's screen do. Each goes to the tab that it is about first."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from cockpit.errors import CockpitError
from cockpit.model import Job
from cockpit.tui.begin import begin
from cockpit.tui.screens.job_reading import JobReading
from cockpit.tui.widgets.ask_line import AskLine
from cockpit.tui.widgets.colormaps import ANCHORS
from cockpit.tui.widgets.log import LogView
from cockpit.tui.widgets.metrics import MetricCharts
from cockpit.tui.widgets.pictures import Pictures
from cockpit.tui.widgets.sheets import Sheets
from cockpit.tui.widgets.table import Table
from cockpit.tui.widgets.tabs import TabLine

PAN = 0.5
"""Of what is shown, so much is gone by at once."""
FAST = 8


class JobKeys(JobReading):
    """Moving, charts, log, field, and comparing."""

    @property
    def tab(self) -> str:
        """The tab that is open."""
        raise NotImplementedError

    def show_tab(self, tab: str) -> None:
        """Open a tab."""
        raise NotImplementedError

    def choose_tab(self, tab: str) -> None:
        """Open a tab, and open it again the next time."""
        raise NotImplementedError

    # Moving

    def action_tab(self, by: int) -> None:
        """Open the tab `by` places further."""
        self.choose_tab(self.query_one("#tabs", TabLine).after(by))

    async def _move(self, by: int) -> None:
        log = self._log_view
        if self.tab == "metrics":
            self._charts.choose(by)
        elif log.display and self.tab in ("all", "log"):
            await self._with_log(partial(log.move, by))
        elif table := self.table():
            table.move(by)

    async def action_move_up(self) -> None:
        await self._move(-1)

    async def action_move_down(self) -> None:
        await self._move(1)

    async def _sideways(self, by: int) -> None:
        if self.tab in ("metrics", "compare"):
            self._charts.point(by)
            self._keep_view()
        elif self.tab == "log":
            self._log_view.sideways(by)
        elif self.tab == "sheets":
            self.query_one(Sheets).turn(by)
            self.look_now()
        elif self.tab == "pictures":
            self.query_one(Pictures).step(by)
        else:
            self.action_tab(by)

    async def action_move_left(self) -> None:
        await self._sideways(-1)

    async def action_move_right(self) -> None:
        await self._sideways(1)

    def _page(self, by: int) -> None:
        if self.tab == "metrics":
            self._charts.choose(by)
        elif self._log_view.display and self.tab in ("all", "log"):
            self.call_later(self._with_log, partial(self._log_view.page, by))
        elif table := self.table():
            table.page(by)

    def action_page_up(self) -> None:
        self._page(-1)

    def action_page_down(self) -> None:
        self._page(1)

    async def action_move_first(self) -> None:
        if self.tab in ("all", "log"):
            await self._with_log(self._log_view.to_start)
        else:
            await super().action_move_first()

    async def action_move_last(self) -> None:
        if self.tab in ("all", "log"):
            await self._with_log(self._log_view.to_end)
        else:
            await super().action_move_last()

    def action_open(self) -> None:
        """Enlarge the chosen chart, or open the chosen GPU."""
        if self.tab in ("metrics", "compare"):
            self._charts.maximise()
        elif self.tab == "gpus":
            self.query_one("#gpus", Table).choose()
        elif self.tab == "all":
            self.choose_tab("metrics")

    def on_table_chosen(self, event: Table.Chosen) -> None:
        if event.table.id == "gpus":
            known = self.app.live.gpu(event.key)
            holder = self._gpu_with(event.key) if known is None else event.key
            if holder:
                self.app.open_gpu(holder)

    def _gpu_with(self, slice_uuid: str) -> str | None:
        snapshot = self.app.live.snapshot
        for gpu in snapshot.gpus if snapshot else ():
            if any(part.uuid == slice_uuid for part in gpu.slices):
                return gpu.uuid
        return None

    def step_back(self) -> bool:
        """Close what is open within this screen; whether there was anything."""
        if self._charts.large:
            self._charts.maximise(False)
            return True
        if self.tab in ("metrics", "compare") and self._charts.view.window is not None:
            self.action_zoom_all()
            return True
        if self._log_view.search.pattern and self.tab == "log":
            self._search("", False)
            return True
        return False

    # Charts

    @property
    def _charts(self) -> MetricCharts:
        return self.query_one(MetricCharts)

    def _at_charts(self) -> MetricCharts:
        if not self._charts.display:
            self.choose_tab("metrics")
        return self._charts

    def _keep_view(self) -> None:
        view, memory = self._charts.view, self.app.memory
        memory.set("job.axis", view.axis)
        memory.set("job.smoothing", view.smoothing)
        memory.set("job.log", view.log)

    def action_zoom(self, by: int) -> None:
        """Look closer (1) or from further away (-1)."""
        self._at_charts().zoom(by)

    def action_zoom_all(self) -> None:
        """Show the whole run."""
        charts = self._at_charts()
        charts.change(charts.view.whole())

    def action_pan(self, by: int) -> None:
        """Go earlier (-1) or later (1) in the run."""
        self._at_charts().pan(by * PAN)

    def action_smoothing(self) -> None:
        """The next strength of smoothing."""
        charts = self._at_charts()
        charts.change(charts.view.smoother())
        self._keep_view()

    def action_log_scale(self) -> None:
        """Orders of magnitude, or linear."""
        charts = self._at_charts()
        charts.change(charts.view.other_scale())
        self._keep_view()

    def action_axis(self) -> None:
        """Along steps, or along time."""
        self._at_charts().turn_axis()
        self._keep_view()

    # Comparing

    def action_compare(self) -> None:
        """Choose a job to compare with."""
        from cockpit.tui.screens.choose_job import ChooseJob

        job = self.job
        if job is None:
            return
        if len(self.app.live.jobs) < 2:
            self.notify("There is no other job to compare with.", timeout=3)
            return

        def chosen(other_id: str | None) -> None:
            if other_id:
                self.app.compare_jobs(self.job_id, other_id)

        self.app.push_screen(ChooseJob(job, self.now_s), chosen)

    # The log

    @property
    def _log_view(self) -> LogView:
        return self.query_one(LogView)

    def _at_log(self) -> LogView:
        if self.tab not in ("all", "log") or not self._log_view.display:
            self.choose_tab("log")
        return self._log_view

    async def _with_log(self, doing: Callable[[], Awaitable[None]]) -> None:
        """Do something with the log, and say it if the box cannot read it."""
        try:
            await doing()
        except CockpitError as error:
            self.notify(str(error), title="The log cannot be read", severity="warning")

    def action_follow(self) -> None:
        """Follow the log, or stay where it is."""
        log = self._at_log()
        if not log.toggle_follow():
            return
        begin(self, partial(self._with_log, log.to_end), "log")

    def action_wrap(self) -> None:
        """Break long lines, or cut them."""
        self._at_log().toggle_wrap()

    def action_search(self) -> None:
        """Ask what to search the log for; among the events, filter."""
        if self.tab == "told":
            self.action_filter()
            return
        search = self._at_log().search
        kind = "a regular expression" if search.regex else "text"
        self.query_one(AskLine).ask("search", f"search the log for {kind}", search.pattern)

    def action_expression(self) -> None:
        """Search for an expression from now on, or for plain text again."""
        search = self._at_log().search
        search.regex = not search.regex
        self._search(search.pattern, search.regex)
        if not search.pattern:
            self.action_search()

    def action_percent(self) -> None:
        """Ask where in the log to go."""
        self._at_log()
        self.query_one(AskLine).ask("percent", "go to so many percent of the log, 0 to 100")

    def on_ask_line_answered(self, event: AskLine.Answered) -> None:
        if event.question == "search":
            self._search(event.answer, self._log_view.search.regex)
            return
        try:
            share = float(event.answer.strip().removesuffix("%")) / 100
        except ValueError:
            share = -1.0
        if not 0 <= share <= 1:
            self.notify(f"{event.answer!r} is no percentage from 0 to 100", severity="warning")
            return
        going = partial(self._with_log, partial(self._log_view.go_to_share, share))
        begin(self, going, "log")

    def _search(self, pattern: str, regex: bool) -> None:
        begin(self, partial(self._searching, pattern, regex), "search")

    async def _searching(self, pattern: str, regex: bool) -> None:
        """Go to the first match, then count them all; a new search ends this one."""
        log = self._log_view
        await self._with_log(partial(log.find, pattern, regex))
        await asyncio.gather(log.search.count_on(), log.search.rank_current())

    def action_find(self, by: int) -> None:
        """Go to the next match (1) or the one before (-1)."""
        if not self._at_log().search.pattern:
            self.action_search()
            return
        begin(self, partial(self._finding, by < 0), "search")

    async def _finding(self, backwards: bool) -> None:
        log = self._log_view
        await self._with_log(partial(log.find_next, backwards))
        await asyncio.gather(log.search.count_on(), log.search.rank_current())

    def action_copy_log(self) -> None:
        """Copy what is shown of the log to the clipboard."""
        text = self._at_log().visible_text()
        self.app.copy_to_clipboard(text)
        lines = text.count("\n")
        self.notify(f"Copied {lines} lines, where the terminal lets its programs copy.", timeout=3)

    def action_save_log(self) -> None:
        """Write what is shown of the log to a file in the current folder."""
        name = time.strftime(f"cockpit-job-{self.job_id}-%Y%m%d-%H%M%S.txt")
        path = Path.cwd() / name
        try:
            path.write_text(self._at_log().visible_text(), encoding="utf-8")
        except OSError as error:
            self.notify(f"Could not save it: {error}", severity="error")
        else:
            self.notify(f"Saved {path}", title="Log")

    # Fields

    def _at_pictures(self) -> Pictures:
        if not self.query_one(Pictures).display:
            self.choose_tab("pictures")
        return self.query_one(Pictures)

    def action_hold(self) -> None:
        """Hold the fields as they are, or go on."""
        self._at_pictures().hold()

    def action_frame(self, by: int) -> None:
        """Show the frame before (-1) or after (1) the one that is shown."""
        self._at_pictures().step(by)

    def action_fixed(self) -> None:
        """Draw on the present scale from now on, or each frame on its own."""
        self._at_pictures().fix()

    def action_colours(self) -> None:
        """Draw the fields in the next colours."""
        now = self.app.memory.text("field.map", "ember")
        names = list(ANCHORS)
        name = names[(names.index(now) + 1) % len(names)] if now in names else names[0]
        self.app.memory.set("field.map", name)
        self._at_pictures().recolour(name)

    def chosen_jobs(self) -> list[Job]:
        """The job itself."""
        return [self.job] if self.job is not None else []
