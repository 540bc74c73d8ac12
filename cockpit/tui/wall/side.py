"""The box as a whole: its power over the last minutes, its jobs, what happened."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import nlargest

from textual.geometry import Region

from cockpit.model import ENDED_STATES, Event, Job
from cockpit.tui.draw import Line, Run, area, blank, clip, crop, eighths, gauge, spread, wrap
from cockpit.tui.phrases import JOB_MARKS, SEVERITY_MARKS, remaining, span, time_of_day
from cockpit.tui.wall.scene import Scene, budget
from cockpit.tui.wall.words import kilowatts


class PowerChart:
    """Watts of all GPUs together, from nothing to the budget."""

    def __init__(self, region: Region, scene: Scene) -> None:
        self.region = region
        self._scene = scene

    def lines(self) -> list[Line]:
        """A title with the scale, and the chart."""
        live, width, height = self._scene.live, self.region.width, self.region.height - 1
        top = budget(live.box, live.snapshot)
        what = "of budget" if live.box and live.box.power_budget_w else "of all limits"
        title = spread(
            ((" power, all GPUs, 10 min", "muted"),),
            ((f"{kilowatts(top)} kW {what} ", "muted"),) if top else (),
            width,
        )
        levels = self._scene.total_w.levels(width - 2, height, top or 0.0)
        rows = area(levels, height, "power", height * 8)
        lines: list[Line] = [("background", title)]
        lines += [("background", crop(((" ", "faint"), *row), width)) for row in rows]
        return lines


class JobList:
    """Jobs that run, then those that wait, then those that have ended: as many as there is room for."""

    def __init__(self, region: Region, scene: Scene) -> None:
        self.region = region
        self._scene = scene

    def lines(self) -> list[Line]:
        """A title with how many run and wait, and two lines for each job."""
        live, width, height = self._scene.live, self.region.width, self.region.height
        waiting = [job for job in live.open_jobs() if job.state == "PENDING"]
        running = [job for job in live.open_jobs() if job.state != "PENDING"]
        counts = [f"{len(running)} running"] if running else []
        counts += [f"{len(waiting)} waiting"] if waiting else []
        lines: list[Line] = [_title("jobs", ", ".join(counts), width)]
        if not live.jobs:
            lines += [_note("Nothing runs yet. Press L to launch a workload.", width)]
        room = (height - len(lines) + 1) // 2
        shown = [*running, *waiting][:room]
        if len(shown) < room:
            shown += _ended(live.jobs.values(), room - len(shown))
        for job in shown:
            lines += self._job(job)
        return (lines + [blank(width)] * height)[:height]

    def _job(self, job: Job) -> list[Line]:
        width, live = self.region.width, self._scene.live
        indices = [
            str(info.index) for info in (live.box.gpus if live.box else ()) if info.uuid in job.gpus
        ]
        where = "GPU " + ",".join(indices) if indices else "slice" if job.slices else ""
        first = spread(
            (
                (f" #{job.id} ", "muted"),
                (clip(job.name, width - 26), "*foreground"),
                (f"  {where}", "muted"),
            ),
            ((f"{job.state} ", JOB_MARKS[job.state][1]),),
            width,
        )
        return [("background", first), ("background", self._progress(job))]

    def _progress(self, job: Job) -> tuple[Run, ...]:
        width = self.region.width
        progress = job.progress
        if progress is not None and progress.total > 0 and job.ended_s is None:
            share = 100 * progress.done / progress.total
            left = remaining(progress.eta_s) + " left" if progress.eta_s else ""
            room = width - 24
            return crop(
                (
                    ("   ", "faint"),
                    *gauge(eighths(share, 100.0, room), room, "primary"),
                    (f"{share:4.0f} %", "foreground"),
                    (f"  {left}", "muted"),
                ),
                width,
            )
        text = job.reason
        if not text and job.ended_s is not None:
            code = "" if job.exit_code in (None, 0) else f"exit code {job.exit_code}, "
            text = f"{code}ended at {time_of_day(job.ended_s, seconds=False)}"
        elif not text and job.started_s is not None and self._scene.live.snapshot is not None:
            text = f"for {span(self._scene.live.snapshot.time_s - job.started_s)}"
        return crop(((f"   {clip(text, width - 4)}", "muted"),), width)


def _ended(jobs: Iterable[Job], count: int) -> list[Job]:
    """The last that ended."""
    ended = (job for job in jobs if job.state in ENDED_STATES)
    return nlargest(count, ended, key=lambda job: job.ended_s or job.submitted_s)


class EventList:
    """The newest events first; an alert says what to do."""

    def __init__(self, region: Region, scene: Scene, title: bool) -> None:
        self.region = region
        self._scene = scene
        self._title = title

    def lines(self) -> list[Line]:
        """As many events as there are lines."""
        width, height = self.region.width, self.region.height
        live = self._scene.live
        lines: list[Line] = [_title("events", "", width)] if self._title else []
        if live.box is not None and live.box.problem:
            lines += _sentence("✗", "*error", "", live.box.problem, live.box.advice or "", width, 3)
        elif self._idle():
            lines += [_note("Nothing runs yet. Press L to put work on it.", width)]
        depth = 3 if width < 70 else 1
        for event in reversed(live.events):
            if len(lines) >= height:
                break
            lines += self._event(event, depth)
        if not live.events and len(lines) == int(self._title):
            lines.append(_note("Nothing has happened yet.", width))
        return (lines + [blank(width)] * height)[:height]

    def _idle(self) -> bool:
        """Whether the GPUs are there and nothing at all is on them."""
        live = self._scene.live
        if live.snapshot is None or not live.snapshot.gpus or live.open_jobs():
            return False
        return not any(gpu.processes or gpu.slices for gpu in live.snapshot.gpus)

    def _event(self, event: Event, depth: int) -> list[Line]:
        sign, _, color = SEVERITY_MARKS[event.severity]
        if event.severity == "critical":
            color = "*" + color
        advice = event.advice if event.severity != "info" else ""
        return _sentence(
            sign, color, time_of_day(event.time_s), event.text, advice, self.region.width, depth
        )


def _sentence(
    sign: str, color: str, when: str, text: str, advice: str, width: int, depth: int
) -> list[Line]:
    head = f" {when} " if when else " "
    room = width - len(head) - 3
    front = "foreground" if color == "muted" else color
    whole = f"{text}: {advice}" if advice else text
    lines: list[Line] = []
    for number, row in enumerate(wrap(whole, room, depth)):
        first: tuple[Run, ...] = ((head, "muted"), (f"{sign} ", color))
        if number:
            first = ((" " * (len(head) + 2), "muted"),)
        cut = max(0, min(len(row), len(text) - room * number)) if depth == 1 else len(row)
        lines.append(
            ("background", crop((*first, (row[:cut], front), (row[cut:], "muted")), width))
        )
    return lines


def _title(text: str, right: str, width: int) -> Line:
    rule = "─" * max(0, width - len(text) - len(right) - 5)
    return "background", crop(
        ((f" {text} ", "muted"), (rule, "faint"), (f" {right} ", "muted")), width
    )


def _note(text: str, width: int) -> Line:
    return "background", crop(((f" {clip(text, width - 2)}", "muted"),), width)
