"""Pictures of the wall: fixed figures at a fixed time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from fake_box import NOW_S, FakeBox, box_info, gpu, lost, sliced, snapshot
from textual.pilot import Pilot

from cockpit.client import Connected, Disconnected
from cockpit.settings import TerminalSettings
from cockpit.tui.app import CockpitApp

Compare = Callable[..., bool]


def app_of(box: FakeBox, theme: str = "midnight") -> CockpitApp:
    return CockpitApp(box, TerminalSettings(theme=theme), clock=lambda: NOW_S)


async def settle(pilot: Pilot[Any]) -> None:
    await pilot.pause()
    while any(worker.name == "fill" and not worker.is_finished for worker in pilot.app.workers):
        await pilot.pause()
    await pilot.pause()


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
def test_ten_gpus(snap_compare: Compare, size: tuple[int, int]) -> None:
    app = app_of(FakeBox.of(past=True))
    assert snap_compare(app, terminal_size=size, run_before=settle)


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
def test_one_gpu(snap_compare: Compare, size: tuple[int, int]) -> None:
    app = app_of(FakeBox.of(1, past=True))
    assert snap_compare(app, terminal_size=size, run_before=settle)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
def test_a_lost_gpu_and_slices(snap_compare: Compare, size: tuple[int, int]) -> None:
    gpus = [gpu(index) for index in range(10)]
    gpus[3], gpus[9] = lost(3), sliced(9)
    box = FakeBox.of(past=True)
    box.push(snapshot(gpus=gpus, time_s=NOW_S + 1))
    assert snap_compare(app_of(box), terminal_size=size, run_before=settle)


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
def test_disconnected(snap_compare: Compare, size: tuple[int, int]) -> None:
    box = FakeBox.of(past=True)
    advice = "run `cockpit doctor`"

    async def lose(pilot: Pilot[Any]) -> None:
        await settle(pilot)
        box.push(Disconnected("the agent closed the connection", advice, NOW_S - 12))
        await settle(pilot)

    assert snap_compare(app_of(box), terminal_size=size, run_before=lose)


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
def test_before_the_driver_has_answered(snap_compare: Compare, size: tuple[int, int]) -> None:
    app = app_of(FakeBox(Connected(box_info())))
    assert snap_compare(app, terminal_size=size, run_before=settle)


def test_sixteen_gpus(snap_compare: Compare) -> None:
    app = app_of(FakeBox.of(16, past=True))
    assert snap_compare(app, terminal_size=(80, 24), run_before=settle)


def test_a_driver_that_went_away(snap_compare: Compare) -> None:
    problem = "the NVIDIA driver went away"
    info = replace(box_info(0), problem=problem, advice="see dmesg; `modprobe nvidia` loads it")
    app = app_of(FakeBox(Connected(info), snapshot(gpus=())))
    assert snap_compare(app, terminal_size=(80, 24), run_before=settle)


@pytest.mark.parametrize("theme", ["ember", "light", "high-contrast", "colour-blind", "ansi"])
def test_themes(snap_compare: Compare, theme: str) -> None:
    app = app_of(FakeBox.of(past=True), theme)
    assert snap_compare(app, terminal_size=(120, 40), run_before=settle)


def test_help(snap_compare: Compare) -> None:
    app = app_of(FakeBox.of(past=True))
    assert snap_compare(app, terminal_size=(100, 32), press=["?"], run_before=settle)


def test_theme_chooser(snap_compare: Compare) -> None:
    app = app_of(FakeBox.of(past=True))
    assert snap_compare(app, terminal_size=(100, 32), press=["T"], run_before=settle)
