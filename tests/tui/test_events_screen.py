"""The events screen: newest first, filtered, and leading to what an event is about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fake_box import NOW_S, uuid
from story_box import rows_of, settle, story_app, story_box, until
from textual.pilot import Pilot

from cockpit.model import Event
from cockpit.tui.screens.events import EventsScreen
from cockpit.tui.screens.gpu import GpuScreen
from cockpit.tui.screens.job import JobScreen
from cockpit.tui.widgets.table import Table

Compare = Callable[..., bool]


async def open_events(pilot: Pilot[Any]) -> EventsScreen:
    await settle(pilot)
    await pilot.press("e")
    await settle(pilot)
    screen = pilot.app.screen
    assert isinstance(screen, EventsScreen)
    return screen


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
def test_events(snap_compare: Compare, size: tuple[int, int]) -> None:
    async def look(pilot: Pilot[Any]) -> None:
        await open_events(pilot)

    assert snap_compare(story_app(), terminal_size=size, run_before=look)


async def test_the_newest_stands_first_with_its_severity_as_a_word() -> None:
    async with story_app().run_test(size=(100, 30)) as pilot:
        screen = await open_events(pilot)
        rows = rows_of(screen, "events")[1:]
        assert [row.split()[0] for row in rows] == ["14:00:07", "13:47:00", "13:02:00"]
        assert "▲ warning" in rows[0] and "· info" in rows[2]


async def test_a_new_event_comes_in_on_top_and_the_cursor_stays_on_its_own() -> None:
    box = story_box()
    async with story_app(box).run_test(size=(100, 30)) as pilot:
        screen = await open_events(pilot)
        await pilot.press("j")
        chosen = screen.query_one("#events", Table).selected
        box.push(Event(9, NOW_S, "xid", "critical", "GPU 3: XID 79", "reboot", uuid(3), 3))
        await until(pilot, lambda: "XID 79" in rows_of(screen, "events")[1])
        assert "✗ critical" in rows_of(screen, "events")[1]
        assert screen.query_one("#events", Table).selected == chosen
        assert "1 critical" in rows_of(screen, "summary")[0]


async def test_the_detail_tells_what_to_do() -> None:
    async with story_app().run_test(size=(100, 30)) as pilot:
        screen = await open_events(pilot)
        assert "check the inlet" in "\n".join(rows_of(screen, "detail"))
        await pilot.press("j")
        assert "reseat the bridge" in "\n".join(rows_of(screen, "detail"))


async def test_words_filter_the_list_and_escape_brings_it_back() -> None:
    async with story_app().run_test(size=(100, 30)) as pilot:
        screen = await open_events(pilot)
        await pilot.press("slash", *"gpu 5")
        assert len(rows_of(screen, "events")) == 2
        await pilot.press("escape")
        assert len(rows_of(screen, "events")) == 4
        assert pilot.app.screen is screen


async def test_enter_opens_the_gpu_or_the_job() -> None:
    async with story_app().run_test(size=(100, 30)) as pilot:
        await open_events(pilot)
        await pilot.press("enter")
        assert isinstance(pilot.app.screen, GpuScreen) and pilot.app.screen.uuid == uuid(2)
        await pilot.press("escape")
        await pilot.press("G", "enter")
        assert isinstance(pilot.app.screen, JobScreen) and pilot.app.screen.job_id == "41"


async def test_a_click_chooses_and_a_second_one_opens() -> None:
    async with story_app().run_test(size=(100, 30)) as pilot:
        screen = await open_events(pilot)
        await pilot.click("#events", offset=(30, 2))
        assert "reseat the bridge" in "\n".join(rows_of(screen, "detail"))
        await pilot.click("#events", offset=(30, 2))
        assert isinstance(pilot.app.screen, GpuScreen) and pilot.app.screen.uuid == uuid(5)
