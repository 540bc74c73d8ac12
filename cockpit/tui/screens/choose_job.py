"""ChooseJob: a job to compare with, found by any word of it."""

from __future__ import annotations

from rich.text import Text
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from cockpit.model import Job
from cockpit.tui import phrases
from cockpit.tui.screens.dialog import ListDialog


class ChooseJob(ListDialog):
    """Every job but one, those of the same plugin first; dismisses with the id, or None."""

    TITLE_TEXT = "Compare with"
    PLACEHOLDER = "Search; Enter compares, Esc closes"

    def __init__(self, job: Job, now_s: float) -> None:
        super().__init__()
        self._job, self._now_s = job, now_s

    def options(self) -> list[tuple[str, Option]]:
        """The newest first, among those of the same plugin and among the others."""
        others = [job for job in self.app.live.jobs.values() if job.id != self._job.id]
        others.sort(key=lambda job: (job.plugin != self._job.plugin, -job.submitted_s))
        return [self._option(job) for job in others]

    def _option(self, job: Job) -> tuple[str, Option]:
        mark, _ = phrases.JOB_MARKS[job.state]
        when = phrases.clock(job.submitted_s, self._now_s)
        ran = phrases.length(phrases.elapsed(job, self._now_s))
        text = Text.assemble(
            (f" #{job.id:<5}", "bold"),
            f" {job.name[:22]:<22} {mark} {job.state:<10}",
            (f" {when}, {ran}", "dim"),
        )
        return f"{job.id} {job.name} {job.state} {job.plugin or ''}", Option(text, id=job.id)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Close with the job that was chosen."""
        self.dismiss(event.option_id)
