"""The terminal rings when a job that it has seen alive ends, whatever screen is open."""

from __future__ import annotations

from dataclasses import replace

from fake_box import NOW_S, FakeBox, job
from story_box import settle, until

from cockpit.settings import BellSettings, TerminalSettings
from cockpit.tui.app import CockpitApp

RUNS = job(7, "training", [0], state="RUNNING", started_s=NOW_S - 600, ended_s=None)


async def written(*ends: object, settings: BellSettings) -> str:
    """What the terminal was sent beyond its pictures, when job 7 became each of `ends`."""
    box = FakeBox.of(2)
    app = CockpitApp(box, TerminalSettings(ended=settings))
    async with app.run_test() as pilot:
        await settle(pilot)
        sent: list[str] = []
        assert app._driver is not None
        app._driver.write = sent.append  # type: ignore[method-assign]
        for number, end in enumerate((RUNS, *ends)):
            box.push(end)  # type: ignore[arg-type]
            last = number == len(ends)
            await until(pilot, lambda end=end: app.live.jobs.get("7") == end)
            if last:
                await settle(pilot)
        return "".join(sent)


async def test_the_end_of_a_job_rings_once() -> None:
    over = replace(RUNS, state="FAILED", reason="exit code 1", ended_s=NOW_S)
    again = replace(over, energy_j=5.0)
    sent = await written(over, again, settings=BellSettings(bell=True, desktop=True))
    assert sent.count("\a") == 2, "the end of the text, and the bell"
    assert sent.count("Job 7 (training) FAILED: exit code 1") == 1


async def test_what_is_short_or_not_wanted_does_not_ring() -> None:
    short = replace(RUNS, state="COMPLETED", started_s=NOW_S - 5, ended_s=NOW_S)
    assert "\a" not in await written(short, settings=BellSettings(bell=True))
    over = replace(RUNS, state="COMPLETED", ended_s=NOW_S)
    assert "\a" not in await written(over, settings=BellSettings())
