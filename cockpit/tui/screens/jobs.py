"""JobsScreen: every job, live."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical

from cockpit.model import Event, Job
from cockpit.tui import job_rows
from cockpit.tui.job_list import FIRST_ORDER, HIGH_FIRST, ORDERS, JobList, Now
from cockpit.tui.keys import bindings
from cockpit.tui.layout import Column, LazyRows, Row, Span
from cockpit.tui.live import News
from cockpit.tui.narrow import NarrowCompositor
from cockpit.tui.screens.job_actions import JobActions
from cockpit.tui.widgets.mark_table import MarkTable
from cockpit.tui.widgets.table import Table

_ONE = (Column("", flex=True),)
EMPTY = "No jobs yet: L launches a plugin, and `cockpit exec -- COMMAND` runs any command."


class JobsScreen(JobActions):
    """A line for each job, an array in one that unfolds; Enter opens, marked ones go together."""

    place = "jobs"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("jobs")]
    DEFAULT_CSS = """
    JobsScreen #body { height: 1fr; padding: 0 1; }
    JobsScreen #summary { height: 1; }
    JobsScreen.-tall #summary { margin-bottom: 1; }
    JobsScreen #detail { height: 1; }
    JobsScreen.-tall #detail { margin-top: 1; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._compositor = NarrowCompositor()
        self.listed = JobList()
        self._order = FIRST_ORDER
        self._unfolded: frozenset[str] = frozenset()

    def compose_body(self) -> ComposeResult:
        column, _, way = self.app.memory.text("jobs.order").partition(" ")
        if column in ORDERS:
            self._order = (column, way == "down")
        with Vertical(id="body"):
            yield Table(_ONE, header=False, cursor=False, id="summary")
            yield MarkTable(job_rows.COLUMNS, empty=EMPTY, id="jobs")
            yield Table(_ONE, header=False, cursor=False, id="detail")

    def on_resize(self) -> None:
        self.set_class(self.size.height >= 30, "-tall")

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        self.refill()

    def on_live(self, news: News) -> None:
        """Times and powers go on with each snapshot."""
        if self.ready and not isinstance(news, Event):
            self.refill()

    def table(self) -> MarkTable:
        return self.query_one("#jobs", MarkTable)

    def refill(self) -> None:
        live = self.app.live
        gpus = live.snapshot.gpus if live.snapshot else ()
        currency = live.box.currency if live.box else ""
        self.listed.look(Now(self.now_s, gpus, self.gpu_indices, currency))
        self.listed.arrange(live.jobs, self._order, self.needle, self._unfolded)
        table = self.table()
        table.empty = EMPTY if not live.jobs else f"No job has {self.needle!r}: Esc shows all."
        table.order_by(*self._order)
        table.show(LazyRows(self.listed.keys, self._row))
        self._say()

    def _row(self, key: str) -> Row:
        job = self.listed.job(key)
        assert job is not None
        return job_rows.job_row(self.listed, job, self._unfolded)

    def _say(self) -> None:
        """The lines above and below the table: all of it, and the selected one."""
        table, jobs = self.table(), self.app.live.jobs
        marked = self.listed.jobs(table.marked)
        spans: tuple[Span, ...] = (("Jobs   ", "text bold"),)
        if marked:
            spans += ((f"● {len(marked)} selected", "accent bold"),)
            sums = job_rows.sums(self.listed, marked, marked)
            spans += tuple((f"   {text}", ink) for text, ink in sums)
        else:
            spans += job_rows.totals(self.listed, jobs.values())
        if self.needle:
            spans += ((f"   {self.listed.shown} of {len(jobs)} shown", "warning"),)
        self.query_one("#summary", Table).show([Row("", (spans,))])
        job = self.listed.job(table.selected or "")
        self.query_one("#detail", Table).show([Row("", (job_rows.detail(self.listed, job),))])

    def on_table_moved(self, event: Table.Moved) -> None:
        self._say()

    def on_mark_table_marked(self, event: MarkTable.Marked) -> None:
        self._say()

    def chosen_jobs(self) -> Sequence[Job]:
        """The marked ones, or the one under the cursor."""
        table = self.table()
        return self.listed.jobs(table.marked or (table.selected or "",))

    # Opening, and unfolding arrays

    def on_table_chosen(self, event: Table.Chosen) -> None:
        if self.listed.is_array(event.key):
            self._fold(event.key, event.key not in self._unfolded)
        else:
            self.app.open_job(event.key)

    async def action_move_right(self) -> None:
        """Unfold an array."""
        self._fold(self.table().selected or "", True)

    async def action_move_left(self) -> None:
        """Fold the array that the cursor is on or in."""
        key = self.table().selected or ""
        job = self.listed.job(key)
        if job is not None and job.array is not None:
            key = self.listed.array_key(job)
        self._fold(key, False)
        if self.listed.is_array(key):
            self.table().select(key)

    def _fold(self, key: str, unfold: bool) -> None:
        if self.listed.is_array(key):
            self._unfolded = self._unfolded | {key} if unfold else self._unfolded - {key}
            self.refill()

    # Marking

    def action_mark(self) -> None:
        """Mark the job under the cursor, or no longer, and go on to the next."""
        self.table().toggle_mark()
        self.table().move(1)

    def action_mark_range(self) -> None:
        self.table().mark_range()

    def action_mark_move(self, by: int) -> None:
        self.table().move_marking(by)

    def action_mark_all(self) -> None:
        """Mark everything the filter shows; again, nothing."""
        table = self.table()
        table.mark(() if len(table.marked) == len(table.keys) else table.keys)

    def step_back(self) -> bool:
        """Let go of the marks, then of the filter."""
        if self.table().marked:
            self.table().mark(())
            return True
        return super().step_back()

    def action_compare(self) -> None:
        """Show two jobs side by side."""
        chosen = self.chosen_jobs()
        if len(chosen) == 2:
            self.app.compare_jobs(chosen[0].id, chosen[1].id)
        else:
            self.notify("Mark two jobs with space to compare them.", timeout=3)

    # Ordering

    def action_sort(self) -> None:
        """Order by the next column."""
        self._order_by(ORDERS[(ORDERS.index(self._order[0]) + 1) % len(ORDERS)])

    def action_reverse(self) -> None:
        """Order the other way round."""
        self._order_by(self._order[0])

    def on_table_header_clicked(self, event: Table.HeaderClicked) -> None:
        self._order_by(event.column)

    def _order_by(self, column: str) -> None:
        """Order by a column; by the one it is ordered by already, the other way round."""
        again = column == self._order[0]
        self._order = (column, not self._order[1] if again else column in HIGH_FIRST)
        self.app.memory.set("jobs.order", f"{column} {'down' if self._order[1] else 'up'}")
        self.refill()
