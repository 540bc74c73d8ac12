"""Several boxes on one terminal: all at once, one in front, and none mistaken for another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from fake_box import NOW_S, FakeBox, box_info, job, lost, snapshot, uuid
from story_box import until
from textual.pilot import Pilot

from cockpit.client import Connected, Disconnected
from cockpit.settings import TerminalSettings
from cockpit.tui.app import CockpitApp
from cockpit.tui.screens.boxes import BoxesScreen
from cockpit.tui.screens.gpu import GpuScreen

Compare = Callable[..., bool]


def named(box: FakeBox, name: str) -> FakeBox:
    box.name = name
    first = box._queue._queue[0]  # type: ignore[attr-defined]
    if isinstance(first, Connected):
        box._queue._queue[0] = Connected(replace(first.box, name=name))  # type: ignore[attr-defined]
    return box


def away() -> FakeBox:
    box = FakeBox(Disconnected("attic did not answer in 15 s", "Is it on?", NOW_S - 754))
    box.name = "attic"
    return box


def three() -> list[FakeBox]:
    return [named(FakeBox.of(10), "gpubox"), named(FakeBox.of(2), "desk"), away()]


def app_of(boxes: list[FakeBox], theme: str = "midnight") -> CockpitApp:
    settings = TerminalSettings(theme=theme)
    return CockpitApp(boxes[0], settings, clock=lambda: NOW_S, others=boxes[1:])


async def settle(pilot: Pilot[Any]) -> None:
    app = pilot.app
    assert isinstance(app, CockpitApp)
    stations = app.stations.all
    await until(
        pilot,
        lambda: (
            all(each.live.snapshot or each.live.disconnected for each in stations)
            and not any(worker.name == "fill" and not worker.is_finished for worker in app.workers)
        ),
    )
    if isinstance(app.screen, BoxesScreen):
        app.screen.refill()
    await pilot.pause()


def rows(app: CockpitApp) -> list[str]:
    assert isinstance(app.screen, BoxesScreen)
    return app.screen.table().plain_rows()


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
def test_three_boxes_one_of_them_away(snap_compare: Compare, size: tuple[int, int]) -> None:
    assert snap_compare(app_of(three()), terminal_size=size, run_before=settle)


@pytest.mark.parametrize("theme", ["light", "high-contrast"])
def test_boxes_in_other_themes(snap_compare: Compare, theme: str) -> None:
    boxes = three()
    boxes[1].push(snapshot(gpus=[lost(0), lost(1)], time_s=NOW_S + 1))
    assert snap_compare(app_of(boxes, theme), terminal_size=(120, 40), run_before=settle)


async def test_every_box_has_a_row_and_one_that_is_away_says_since_when_and_why() -> None:
    app = app_of(three())
    async with app.run_test(size=(160, 40)) as pilot:
        await settle(pilot)
        text = "\n".join(rows(app))
        assert "gpubox" in text and "desk" in text
        [row] = [row for row in rows(app) if row.startswith("attic")]
        assert "✗ UNREACHABLE" in row and "attic did not answer in 15 s" in row and "since" in row
        assert "3 running, 1 waiting" in text
        boxes = app.screen.query_one("#sums").plain_rows()[0]
        assert "3 boxes" in boxes and "12 GPUs" in boxes and "1 UNREACHABLE" in boxes


async def test_a_box_that_comes_back_is_as_any_other() -> None:
    boxes = three()
    app = app_of(boxes)
    async with app.run_test(size=(160, 40)) as pilot:
        await settle(pilot)
        boxes[2].push(Connected(replace(box_info(1), name="attic")), snapshot(1))
        await until(pilot, lambda: "UNREACHABLE" not in "\n".join(rows(app)))


async def test_a_box_is_brought_to_the_front_with_everything_that_is_its_own() -> None:
    boxes = three()
    boxes[1].known_jobs = {"7": job(7, "other", (0,))}
    app = app_of(boxes)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("J")
        await until(pilot, lambda: app.current_mode == "jobs")
        assert "llm-train" in "\n".join(app.screen.table().plain_rows())
        await pilot.press("B")
        await until(pilot, lambda: app.current_mode == "boxes")
        app.screen.table().select("1")
        await pilot.press("J")
        await until(pilot, lambda: app.current_mode == "jobs" and app.box is boxes[1])
        shown = "\n".join(app.screen.table().plain_rows())
        assert "other" in shown and "llm-train" not in shown
        await pilot.press("w")
        await until(pilot, lambda: app.current_mode == "wall")
        assert app.screen.scene.count == 2


async def test_what_a_hidden_box_tells_reaches_its_own_rows_alone() -> None:
    boxes = three()
    app = app_of(boxes)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        app.stations.go(0)
        await until(pilot, lambda: app.current_mode == "wall")
        boxes[1].push(snapshot(gpus=[lost(0), lost(1)], time_s=NOW_S + 1))
        await until(pilot, lambda: app.stations.all[1].live.snapshot.time_s == NOW_S + 1)
        assert app.live.gpu(uuid(0)).state == "ok"
        boxes[1].push(job(9, "hidden", (0,)))
        await until(pilot, lambda: "9" in app.stations.all[1].live.jobs)
        assert "9" not in app.live.jobs
        await pilot.press("B")
        await until(pilot, lambda: isinstance(app.screen, BoxesScreen))
        [row] = [row for row in rows(app) if row.startswith("desk")]
        assert "2 critical" in row


async def test_a_gpu_of_another_box_is_opened_from_its_row() -> None:
    app = app_of(three())
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        app.screen.table().select(f"1/{uuid(1)}")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, GpuScreen))
        assert app.stations.position == 1 and app.screen.uuid == uuid(1)
        await pilot.press("escape")
        await until(pilot, lambda: app.current_mode == "wall" and len(app.screen_stack) == 1)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, BoxesScreen))


async def test_the_next_box_and_the_one_before() -> None:
    app = app_of(three())
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        for key, position in (("}", 1), ("}", 2), ("}", 0), ("{", 2)):
            await pilot.press(key)
            await until(
                pilot,
                lambda position=position: (
                    app.stations.position == position and app.current_mode == "wall"
                ),
            )


async def test_boxes_fold_when_there_is_no_room_and_as_one_wants() -> None:
    boxes = [named(FakeBox.of(10), f"box{number}") for number in range(6)]
    app = app_of(boxes)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert len(rows(app)) == 7
        await pilot.press("right")
        assert len(rows(app)) == 17
        await pilot.press("down", "down", "left")
        assert len(rows(app)) == 7


async def test_the_filter_keeps_the_boxes_and_gpus_that_have_the_word() -> None:
    app = app_of(three())
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        app.screen.needle = "unreachable"
        app.screen.refill()
        assert [row.split()[0] for row in rows(app)[1:]] == ["attic"]
        app.screen.needle = "cfd"
        app.screen.refill()
        assert [row.split()[0] for row in rows(app)[1:]] == ["gpubox", "└"]


async def test_one_box_alone_has_no_boxes_to_show() -> None:
    app = CockpitApp(FakeBox.of(2), TerminalSettings(), clock=lambda: NOW_S)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.current_mode == "wall")
        await pilot.press("B")
        await pilot.press("}")
        await pilot.pause()
        assert app.current_mode == "wall"
