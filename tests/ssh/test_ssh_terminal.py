"""One terminal on several boxes behind real servers: one goes away, and comes back."""

from __future__ import annotations

import time
from collections.abc import Callable

from ssh_net import Net
from textual.pilot import Pilot

from cockpit.settings import TerminalSettings
from cockpit.tui.app import CockpitApp
from cockpit.tui.screens.boxes import BoxesScreen

WAIT_S = 60.0


async def until(pilot: Pilot[None], holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline, "it did not happen"
        await pilot.pause(0.05)


def row(app: CockpitApp, name: str) -> str:
    assert isinstance(app.screen, BoxesScreen)
    return next(row for row in app.screen.table().plain_rows() if row.startswith(name))


async def test_a_box_that_goes_away_is_told_and_the_others_answer_keys_meanwhile(net: Net) -> None:
    first, second = net.server("first"), net.server("second")
    boxes = [net.box("first"), net.box("second")]
    app = CockpitApp(boxes[0], TerminalSettings(), others=boxes[1:])
    async with app.run_test(size=(140, 40)) as pilot:
        await until(pilot, lambda: all(each.live.snapshot for each in app.stations.all))
        second.stop()
        await boxes[1].close()
        await until(pilot, lambda: "✗ UNREACHABLE" in row(app, "second"))
        assert "since" in row(app, "second") and "UNREACHABLE" not in row(app, "first")
        await pilot.press("enter")
        await until(pilot, lambda: app.current_mode == "wall")
        assert app.box is boxes[0] and app.screen.scene.count == 10
        await pilot.press("B")
        second.start()
        await until(
            pilot,
            lambda: isinstance(app.screen, BoxesScreen) and "UNREACHABLE" not in row(app, "second"),
        )
    assert first.process is not None


async def test_every_place_of_the_terminal_works_on_a_box_over_ssh(net: Net) -> None:
    net.server("gpubox")
    box = net.box("gpubox")
    app = CockpitApp(box, TerminalSettings())
    async with app.run_test(size=(140, 45)) as pilot:
        await until(pilot, lambda: app.live.snapshot is not None)
        from cockpit.model import JobRequest

        job = await box.submit(JobRequest("hello", ("bash", "-c", "echo from afar; sleep 300")))
        await until(pilot, lambda: job.id in app.live.jobs)
        await pilot.press("J")
        await until(pilot, lambda: "hello" in "\n".join(app.screen.table().plain_rows()))
        app.open_job(job.id)
        await until(pilot, lambda: "from afar" in _text(app))
        await pilot.press("x")
        await until(pilot, lambda: app.screen.is_modal)
        await pilot.press("y")
        await until(pilot, lambda: app.live.jobs[job.id].state == "CANCELLED")
        app.open_gpu(app.live.box.gpus[3].uuid)
        await until(pilot, lambda: "GPU 3" in _text(app))


def _text(app: CockpitApp) -> str:
    strips = app.screen._compositor.render_strips(app.size)
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)
