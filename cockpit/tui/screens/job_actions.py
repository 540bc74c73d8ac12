"""What can be done with jobs, one or many: stop, run again, change and launch again, remove, copy."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence

from cockpit.errors import CockpitError
from cockpit.model import ENDED_STATES, Job
from cockpit.tui import phrases
from cockpit.tui.screens.listing import ListingScreen
from cockpit.tui.widgets.confirm import Confirm

AT_ONCE = 16
"""So many jobs are asked for at the same time."""
NAMED = 6
"""A question names so many jobs; of the others it says how many."""


class JobActions(ListingScreen):
    """A screen with jobs to do something with: `chosen_jobs` says which."""

    def chosen_jobs(self) -> Sequence[Job]:
        """What the actions are about."""
        raise NotImplementedError

    def action_stop(self) -> None:
        """Stop those that have not ended, after a question that names them."""
        chosen = self._fitting(lambda job: job.state not in ENDED_STATES, "has ended already")
        if chosen:
            self._ask(stop_question(chosen, self.gpu_indices), chosen, self._stop, "stopped")

    def action_requeue(self) -> None:
        """Submit those that have ended once more, as they were."""
        chosen = self._fitting(lambda job: job.state in ENDED_STATES, "has not ended yet")
        if len(chosen) == 1:
            self._start(chosen, self._requeue, "run again")
        elif chosen:
            question = Confirm(f"Run {len(chosen)} jobs again?", _named(chosen), "Run them")
            self._ask(question, chosen, self._requeue, "run again")

    def action_again(self) -> None:
        """Open the form with what the job was launched with, to change something."""
        chosen = list(self.chosen_jobs())
        if len(chosen) != 1:
            self._refuse("one job is launched again with changes at a time", chosen)
        elif chosen[0].plugin is None:
            self._refuse(f"job #{chosen[0].id} is a command, not a plugin: R runs it again", chosen)
        else:
            self.app.launch_again(chosen[0].id)

    def action_remove(self) -> None:
        """Delete those that have ended, with log and pictures, after a question."""
        chosen = self._fitting(lambda job: job.state in ENDED_STATES, "has not ended yet")
        if chosen:
            what = f"job #{chosen[0].id}" if len(chosen) == 1 else f"{len(chosen)} jobs"
            detail = f"{_named(chosen)}\nLogs, pictures and checkpoints go with them."
            question = Confirm(f"Remove {what} for good?", detail, "Remove")
            self._ask(question, chosen, self._remove, "removed")

    def action_copy(self) -> None:
        """Copy the ids to the clipboard."""
        ids = " ".join(job.id for job in self.chosen_jobs())
        if ids:
            self.app.copy_to_clipboard(ids)
            self.notify(f"Copied: {ids[:60]}", timeout=3)

    # How

    def _fitting(self, fits: Callable[[Job], bool], otherwise: str) -> list[Job]:
        """Those of the chosen that it can be done with; says so if there are none."""
        chosen = list(self.chosen_jobs())
        fitting = [job for job in chosen if fits(job)]
        if chosen and not fitting:
            self._refuse(
                f"Job #{chosen[0].id} {otherwise} ({chosen[0].state})."
                if len(chosen) == 1
                else f"Each of the {len(chosen)} jobs {otherwise}.",
                chosen,
            )
        return fitting

    def _refuse(self, why: str, chosen: Sequence[Job]) -> None:
        if chosen:
            self.notify(why[0].upper() + why[1:], severity="warning", timeout=4)

    def _ask(
        self,
        question: Confirm,
        jobs: Sequence[Job],
        deed: Callable[[Job], Awaitable[str]],
        word: str,
    ) -> None:
        def answered(yes: bool | None) -> None:
            if yes:
                self._start(jobs, deed, word)

        self.app.push_screen(question, answered)

    def _start(self, jobs: Sequence[Job], deed: Callable[[Job], Awaitable[str]], word: str) -> None:
        self.run_worker(self._do(jobs, deed, word), group="jobs")

    async def _do(
        self, jobs: Sequence[Job], deed: Callable[[Job], Awaitable[str]], word: str
    ) -> None:
        """Do it with every job, then say once how it went."""
        turn = asyncio.Semaphore(AT_ONCE)
        done: list[str] = []
        problems: list[str] = []

        async def one(job: Job) -> None:
            async with turn:
                try:
                    done.append(await deed(job))
                except CockpitError as error:
                    problems.append(f"#{job.id}: {error}")

        await asyncio.gather(*(one(job) for job in jobs))
        if done:
            self.notify(done[0] if len(done) == 1 else f"{len(done)} jobs were {word}.", timeout=4)
        if problems:
            more = f"\nand {len(problems) - 2} more" if len(problems) > 2 else ""
            count = f"{len(problems)} jobs" if len(problems) > 1 else "A job"
            title = f"{count} not {word}"
            self.notify("\n".join(problems[:2]) + more, title=title, severity="error", timeout=10)

    async def _stop(self, job: Job) -> str:
        ended = await self.app.box.stop_job(job.id)
        return f"Job #{job.id} {job.name} is {ended.state}."

    async def _requeue(self, job: Job) -> str:
        made = await self.app.box.requeue_job(job.id, token=uuid.uuid4().hex)
        if made.id not in self.app.live.jobs:
            self.app.live.take(made)
        self.refill()
        return f"Job #{job.id} {job.name} runs again as #{made.id}."

    async def _remove(self, job: Job) -> str:
        await self.app.box.remove_job(job.id)
        self.app.live.forget(job.id)
        self.refill()
        return f"Job #{job.id} {job.name} is removed."


def stop_question(jobs: Sequence[Job], indices: dict[str, int]) -> Confirm:
    """The question before jobs are stopped."""
    after = "whole process tree is asked to end, then made to."
    if len(jobs) > 1:
        detail = f"{_named(jobs)}\nOf each, the {after}"
        return Confirm(f"Stop {len(jobs)} jobs?", detail, "Stop them")
    job = jobs[0]
    held = (*job.gpus, *job.slices)
    where = f" on {phrases.gpu_numbers(held, indices)}" if held else ""
    command = " ".join(job.command)[:180]
    return Confirm(f"Stop job #{job.id} {job.name}{where}?", f"{command}\nIts {after}", "Stop it")


def _named(jobs: Sequence[Job]) -> str:
    """The first jobs by id and name, and how many more."""
    names = ", ".join(f"#{job.id} {job.name}" for job in jobs[:NAMED])
    return names + (f" and {len(jobs) - NAMED} more" if len(jobs) > NAMED else "")
