"""The screen of one GPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from fake_box import NOW_S, FakeBox, box_info, gpu, lost, sliced, snapshot, uuid
from story_box import rows_of, settle, story_app, story_box, until
from textual.pilot import Pilot

from cockpit.client import Connected
from cockpit.errors import BoxError
from cockpit.model import Snapshot
from cockpit.tui.screens.gpu import GpuScreen
from cockpit.tui.widgets.chart import TimeChart
from cockpit.tui.widgets.confirm import Confirm
from cockpit.tui.widgets.tabs import TabLine
from cockpit.tui.widgets.throttle import ThrottleTimeline

Compare = Callable[..., bool]


def screen_of(pilot: Pilot[Any]) -> GpuScreen:
    screen = pilot.app.screen
    assert isinstance(screen, GpuScreen)
    return screen


async def open_gpu(pilot: Pilot[Any], index: int = 2) -> GpuScreen:
    await settle(pilot)
    await pilot.press(str(index))
    await settle(pilot)
    return screen_of(pilot)


async def tab(pilot: Pilot[Any], name: str) -> None:
    line = screen_of(pilot).query_one("#tabs", TabLine)
    for _ in line.choices:
        if line.chosen == name:
            return
        await pilot.press("tab")
    assert line.chosen == name


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
def test_charts(snap_compare: Compare, size: tuple[int, int]) -> None:
    async def look(pilot: Pilot[Any]) -> None:
        await open_gpu(pilot)

    assert snap_compare(story_app(), terminal_size=size, run_before=look)


@pytest.mark.parametrize("name", ["throttle", "processes", "links", "health", "about"])
def test_tabs(snap_compare: Compare, name: str) -> None:
    async def look(pilot: Pilot[Any]) -> None:
        await open_gpu(pilot)
        await tab(pilot, name)
        await settle(pilot)

    assert snap_compare(story_app(), terminal_size=(80, 24), run_before=look)


async def test_the_head_says_state_reason_and_advice_in_words() -> None:
    async with story_app().run_test(size=(120, 40)) as pilot:
        screen = await open_gpu(pilot)
        head = "\n".join(rows_of(screen, "head"))
        assert "GPU 2" in head and "WARNING" in head and "#41 llm-train" in head
        assert "slowed by heat" in head and "check the inlet" in head


async def test_power_is_drawn_on_a_fixed_scale_with_its_limit() -> None:
    async with story_app().run_test(size=(120, 40)) as pilot:
        screen = await open_gpu(pilot)
        rows = screen.query_one("#power", TimeChart).plain_rows()
        assert rows[0].startswith("Power W")
        assert "limit 350" in rows[0]
        assert any(row.startswith(" 350 ") for row in rows)
        assert any("█" in row for row in rows)
        assert any(":" in part for part in rows[-1].split())


async def test_a_reading_that_is_missing_is_a_dash_and_a_gap() -> None:
    box = FakeBox(Connected(box_info()), snapshot(gpus=[lost(0), *(gpu(i) for i in range(1, 10))]))
    async with story_app(box).run_test(size=(120, 40)) as pilot:
        screen = await open_gpu(pilot, 0)
        rows = screen.query_one("#power", TimeChart).plain_rows()
        assert "—" in rows[0]
        assert not any("█" in row for row in rows)
        assert "LOST" in rows_of(screen, "head")[0]


async def test_keys_change_the_span_and_ask_for_its_history() -> None:
    box = story_box()
    async with story_app(box).run_test(size=(120, 40)) as pilot:
        screen = await open_gpu(pilot)
        await pilot.press("minus")
        await settle(pilot)
        assert screen.query_one("#spans", TabLine).chosen == "1h"
        asked = [call for call in box.calls if call[0] == "history" and call[2] == "power_w"]
        assert asked[-1][4] - asked[-1][3] == pytest.approx(3600.0)
        await pilot.press("plus", "plus")
        assert screen.query_one("#spans", TabLine).chosen == "1m"


async def test_the_span_and_the_tab_are_remembered_for_the_next_gpu() -> None:
    async with story_app().run_test(size=(120, 40)) as pilot:
        await open_gpu(pilot)
        await pilot.press("minus", "tab")
        await pilot.press("right_square_bracket")
        await settle(pilot)
        screen = screen_of(pilot)
        assert screen.uuid == uuid(3)
        assert screen.query_one("#spans", TabLine).chosen == "1h"
        assert screen.query_one("#tabs", TabLine).chosen == "throttle"


async def test_digits_and_brackets_go_to_other_gpus_in_place() -> None:
    async with story_app().run_test(size=(80, 24)) as pilot:
        await open_gpu(pilot)
        depth = len(pilot.app.screen_stack)
        await pilot.press("7")
        await settle(pilot)
        assert screen_of(pilot).uuid == uuid(7)
        await pilot.press("h")
        await settle(pilot)
        assert screen_of(pilot).uuid == uuid(6)
        await pilot.press("9", "right_square_bracket")
        await settle(pilot)
        assert screen_of(pilot).uuid == uuid(0)
        assert len(pilot.app.screen_stack) == depth


async def test_the_throttle_timeline_shows_reasons_as_letters_with_their_share() -> None:
    async with story_app().run_test(size=(100, 30)) as pilot:
        screen = await open_gpu(pilot)
        await tab(pilot, "throttle")
        await settle(pilot)
        rows = screen.query_one(ThrottleTimeline).plain_rows()
        capped = next(row for row in rows if row.startswith("power cap"))
        braked = next(row for row in rows if row.startswith("power brake"))
        assert "PPP" in capped and capped.endswith("%") and not capped.endswith(" 0 %")
        assert "B" not in braked and braked.endswith(" 0 %")
        assert any("slowed by heat" in row for row in rows_of(screen, "happened"))


async def test_processes_are_filtered_and_ordered() -> None:
    async with story_app().run_test(size=(100, 30)) as pilot:
        screen = await open_gpu(pilot)
        await tab(pilot, "processes")
        assert [row.split()[0] for row in rows_of(screen, "processes")[1:]] == ["4002", "4106"]
        await pilot.press("o", "o")
        assert [row.split()[1] for row in rows_of(screen, "processes")[1:]] == ["ana", "me"]
        await pilot.press("slash", *"probe")
        assert [row.split()[0] for row in rows_of(screen, "processes")[1:]] == ["4106"]
        await pilot.press("escape")
        assert len(rows_of(screen, "processes")) == 3
        assert screen_of(pilot) is screen


async def test_a_strangers_process_is_refused_by_name() -> None:
    box = story_box()
    async with story_app(box).run_test(size=(100, 30)) as pilot:
        await open_gpu(pilot)
        await tab(pilot, "processes")
        await pilot.press("x")
        assert not isinstance(pilot.app.screen, Confirm)
        said = [note.message for note in pilot.app._notifications]
        assert any("belongs to ana" in message for message in said)
        assert not [call for call in box.calls if call[0] == "stop_process"]


async def test_ones_own_process_is_ended_only_after_yes() -> None:
    box = story_box()
    async with story_app(box).run_test(size=(100, 30)) as pilot:
        await open_gpu(pilot)
        await tab(pilot, "processes")
        await pilot.press("j", "x")
        question = pilot.app.screen
        assert isinstance(question, Confirm)
        assert "4106" in question.question and "GPU 2" in question.question
        assert "python probe.py" in question.detail
        await pilot.press("enter")
        assert isinstance(pilot.app.screen, GpuScreen)
        assert not [call for call in box.calls if call[0] == "stop_process"]
        await pilot.press("x", "y")
        await until(pilot, lambda: ("stop_process", 4106, 77, False) in box.calls)


async def test_links_show_the_way_to_each_gpu_and_the_dead_link() -> None:
    async with story_app().run_test(size=(160, 50)) as pilot:
        screen = await open_gpu(pilot, 5)
        await tab(pilot, "links")
        wires = rows_of(screen, "wires")
        assert any("link 3" in row and "DOWN" in row for row in wires)
        assert any("link 4" in row and "up" in row for row in wires)
        ways = rows_of(screen, "topology")
        assert next(row for row in ways if "GPU 5" in row).split()[2:8] == [
            *("SYS", "SYS", "SYS", "SYS", "NV12", "·"),
        ]


async def test_a_narrow_pcie_link_is_told_against_its_maximum() -> None:
    async with story_app().run_test(size=(160, 50)) as pilot:
        screen = await open_gpu(pilot, 7)
        await tab(pilot, "links")
        row = next(row for row in rows_of(screen, "wires") if "link now" in row)
        assert "gen 5 ×8" in row and "gen 5 ×16" in row and "▲" in row


async def test_what_cannot_be_read_is_said_with_its_reason() -> None:
    gpus = [
        replace(sliced(0), ecc_corrected=None, errors={"ecc_corrected": "NVML_ERROR_NOT_SUPPORTED"})
    ]
    box = FakeBox(Connected(box_info(1)), snapshot(gpus=gpus))
    async with story_app(box).run_test(size=(120, 50)) as pilot:
        screen = await open_gpu(pilot, 0)
        await tab(pilot, "health")
        row = next(row for row in rows_of(screen, "health") if row.startswith("  corrected"))
        assert "—" in row and "NVML_ERROR_NOT_SUPPORTED" in row


async def test_a_history_that_fails_is_said_and_the_live_figures_go_on() -> None:
    class Deaf(FakeBox):
        async def history(self, *_: Any, **__: Any) -> Any:
            raise BoxError("the history cannot be read", "free some disk space")

    box = Deaf(Connected(box_info()), snapshot())
    async with story_app(box).run_test(size=(120, 40)) as pilot:
        screen = await open_gpu(pilot)
        assert any("free some disk" in note.message for note in pilot.app._notifications)
        box.push(snapshot(time_s=NOW_S + 1))
        await until(
            pilot,
            lambda: "325" in screen.query_one("#power", TimeChart).plain_rows()[0],
            "live power",
        )


async def test_the_same_figures_repaint_nothing_but_the_time() -> None:
    box = FakeBox.of()
    async with story_app(box).run_test(size=(120, 40)) as pilot:
        screen = await open_gpu(pilot)
        chart = screen.query_one("#memory", TimeChart)
        lines: list[int] = []
        chart.refresh = lambda *regions, **_: lines.extend(r.y for r in regions)  # type: ignore[assignment,method-assign]
        live = pilot.app.live  # type: ignore[attr-defined]
        screen.on_live(Snapshot(NOW_S + 0.01, live.snapshot.gpus))
        assert lines == []


async def test_any_size_is_drawn() -> None:
    async with story_app().run_test(size=(80, 24)) as pilot:
        await open_gpu(pilot)
        for size in ((30, 8), (180, 45)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
            for _ in range(6):
                await pilot.press("tab")
        assert screen_of(pilot).uuid == uuid(2)
