"""What the table of jobs costs with 1,000 jobs in the queue and 70 that run on slices: beside
Textual's stock DataTable, which is told the same changes, in the same run.

`python -m tests.benchmarks.jobs_table [--seconds 20] [--queued 1000] [--running 70]` runs both on a
pseudo-terminal of 200×60 at the same time and prints CPU, bytes and the time a key takes.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.benchmarks.measure import TerminalProgram, cpu_seconds

sys.path.insert(0, str(Path(__file__).parents[1] / "tui"))

REPORT_S, SNAPSHOT_S = 0.25, 1.0
"""Each running job reports four times a second, which is as often as the agent tells."""
KEYS = (b"j", b"k")
NAMES = {"cockpit": "cockpit's table", "stock": "stock DataTable"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="of measuring")
    parser.add_argument("--warm-up", type=float, default=8.0)
    parser.add_argument("--queued", type=int, default=1000)
    parser.add_argument("--running", type=int, default=70)
    parser.add_argument("--keys", type=int, default=40)
    parser.add_argument("--child", choices=tuple(NAMES), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        run_child(arguments.child, arguments.queued, arguments.running)
    else:
        compare(arguments)


def compare(arguments: argparse.Namespace) -> None:
    """Both at the same time, so that what else the machine does falls on both."""
    with tempfile.TemporaryDirectory(prefix="ck") as directory:
        programs = {name: start(name, arguments, Path(directory) / name) for name in NAMES}
        try:
            time.sleep(arguments.warm_up)
            os.write(programs["cockpit"].master, b"J")
            time.sleep(3)
            seen = {name: (cpu_seconds(p.pid), p.bytes_read) for name, p in programs.items()}
            begun = time.perf_counter()
            time.sleep(arguments.seconds)
            passed = time.perf_counter() - begun
            used = {
                name: (cpu_seconds(p.pid) - seen[name][0], p.bytes_read - seen[name][1])
                for name, p in programs.items()
            }
            keys: dict[str, list[float]] = {name: [] for name in NAMES}
            for turn in range(arguments.keys):
                for name, program in programs.items():
                    keys[name].append(key_cost_s(program, KEYS[turn % 2]))
            if not all(program.alive() for program in programs.values()):
                raise SystemExit("a program ended by itself: nothing was measured")
        finally:
            for program in programs.values():
                program.stop()
    print(
        f"{arguments.queued} jobs wait and {arguments.running} run and report {1 / REPORT_S:.0f}"
        f" times a second; 200×60, {passed:.0f} s:"
    )
    for name, title in NAMES.items():
        cpu, sent = used[name]
        print(
            f"  {title:<17}{100 * cpu / passed:6.1f} % of a core, {sent / passed / 1000:6.1f} kB/s,"
            f" key median {statistics.median(keys[name]) * 1000:5.1f} ms,"
            f" worst {max(keys[name]) * 1000:6.1f} ms"
        )
    ours, stock = used["cockpit"][0], used["stock"][0]
    print(f"  CPU of cockpit over the stock table  {ours / stock:.2f}  (limit 1.00)")
    ratio = statistics.median(keys["cockpit"]) / statistics.median(keys["stock"])
    print(f"  key of cockpit over the stock table  {ratio:.2f}  (limit 1.00)")


def start(name: str, arguments: argparse.Namespace, home: Path) -> TerminalProgram:
    """One of the two on a terminal of its own, with files of its own."""
    home.mkdir()
    environment = {**os.environ, "XDG_STATE_HOME": str(home), "XDG_CONFIG_HOME": str(home)}
    command = [sys.executable, "-m", "tests.benchmarks.jobs_table", "--child", name]
    command += ["--queued", str(arguments.queued), "--running", str(arguments.running)]
    return TerminalProgram(command, environment)


def key_cost_s(program: TerminalProgram, key: bytes) -> float:
    """From a key that moves the cursor to the first output after it, begun between two changes."""
    program.wait_until_quiet(0.03, 1.0)
    return program.key_response_s(key)


# The two programs


class Churn:
    """What changes: every running job reports, one job is submitted and one ends each second."""

    def __init__(self, queued: int, running: int) -> None:
        from busy_box import crowded_box

        self.box = crowded_box(queued, running)
        self.jobs = dict(self.box.known_jobs)
        self.running = [key for key, job in self.jobs.items() if job.state == "RUNNING"]
        self._turn = 0

    def step(self) -> list[Any]:
        """The jobs that are different after a quarter of a second."""
        from busy_box import waiting
        from fake_box import NOW_S

        from cockpit.model import Progress

        self._turn += 1
        changed = []
        for number, key in enumerate(self.running):
            done = float((self._turn * 7 + number) % 1000)
            progress = Progress(done, 1000.0, 1000.0 - done, "steps")
            energy_j = (self.jobs[key].energy_j or 0.0) + 20.0
            changed.append(replace(self.jobs[key], progress=progress, energy_j=energy_j))
        if self._turn % 4 == 0:
            changed.append(waiting(len(self.jobs) + 1, "another"))
            first = next(job for job in self.jobs.values() if job.state == "PENDING")
            changed.append(replace(first, state="CANCELLED", ended_s=NOW_S))
        self.jobs |= {job.id: job for job in changed}
        return changed


def run_child(name: str, queued: int, running: int) -> None:
    churn = Churn(queued, running)
    app = cockpit_app(churn) if name == "cockpit" else stock_app(churn)
    app.run()


def cockpit_app(churn: Churn) -> Any:
    """The terminal on a box that does nothing but change."""
    from fake_box import NOW_S, FakeBox, snapshot

    from cockpit.client import Connected, Update
    from cockpit.settings import TerminalSettings
    from cockpit.tui.app import CockpitApp

    class ChurningBox(FakeBox):
        async def follow(
            self, topics: Iterable[str] = (), interval_s: float = 1.0
        ) -> AsyncIterator[Update]:
            first = [await self._queue.get(), await self._queue.get()]
            for update in first:
                yield update
            assert isinstance(first[0], Connected)
            gpus, turn = first[1].gpus, 0  # type: ignore[union-attr]
            while True:
                await asyncio.sleep(REPORT_S)
                for job in churn.step():
                    yield job
                turn += 1
                if turn % round(SNAPSHOT_S / REPORT_S) == 0:
                    yield snapshot(gpus=gpus, time_s=NOW_S + turn * REPORT_S)

    box = churn.box
    box.__class__ = ChurningBox

    return CockpitApp(box, TerminalSettings(), clock=time.time)


def stock_app(churn: Churn) -> Any:
    """Textual's DataTable with the same columns, told the cells that changed."""
    from textual.app import App, ComposeResult
    from textual.widgets import DataTable

    from cockpit.tui import job_rows
    from cockpit.tui.job_list import JobList, Now
    from cockpit.tui.layout import parts

    columns = [column.name for column in job_rows.COLUMNS]
    listed = JobList()
    listed.look(Now(0.0))

    def cells(job: Any) -> list[str]:
        row = job_rows.job_row(listed, job, frozenset())
        return ["".join(text for text, _ in parts(cell)) for cell in row.cells]

    class Stock(App[None]):
        BINDINGS = [("j", "down"), ("k", "up")]  # noqa: RUF012 - Textual's own declaration

        def compose(self) -> ComposeResult:
            yield DataTable(cursor_type="row")

        def on_mount(self) -> None:
            table = self.query_one(DataTable)
            for name in columns:
                table.add_column(name, key=name, width=14)
            listed.arrange(churn.jobs, ("state", False), "", frozenset())
            self.shown = {}
            for key in listed.keys:
                self.shown[key] = cells(churn.jobs[key])
                table.add_row(*self.shown[key], key=key)
            self.set_interval(REPORT_S, self.change)

        def change(self) -> None:
            table = self.query_one(DataTable)
            for job in churn.step():
                new, old = cells(job), self.shown.get(job.id)
                self.shown[job.id] = new
                if old is None:
                    table.add_row(*new, key=job.id)
                    continue
                for name, before, after in zip(columns, old, new, strict=True):
                    if before != after:
                        table.update_cell(job.id, name, after)

        def action_down(self) -> None:
            self.query_one(DataTable).action_cursor_down()

        def action_up(self) -> None:
            self.query_one(DataTable).action_cursor_up()

    return Stock()


if __name__ == "__main__":
    main()
