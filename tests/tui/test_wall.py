"""What the wall says and does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from fake_box import NOW_S, FakeBox, box_info, gpu, job, lost, sliced, snapshot
from textual.pilot import Pilot
from textual.widgets import Input

from cockpit.client import Connected, Disconnected
from cockpit.model import Event, Gpu
from cockpit.tui.app import CockpitApp
from cockpit.tui.draw import width_of
from cockpit.tui.screens.wall import WallBoard, WallScreen
from cockpit.tui.widgets.banner import Banner
from cockpit.tui.widgets.header import Header

SIZES = [(80, 24), (120, 40), (200, 60)]


class Clock:
    def __init__(self) -> None:
        self.now_s = NOW_S

    def __call__(self) -> float:
        return self.now_s


def app_of(box: FakeBox, clock: Clock | None = None) -> CockpitApp:
    return CockpitApp(box, clock=clock or Clock())


def screen_lines(app: CockpitApp) -> list[str]:
    """The screen as text, line by line, as a terminal would have it."""
    height = app.size.height
    return [
        "".join(segment.text for segment in strip)
        for strip in app.screen._compositor.render_strips(app.size)
    ][:height]


def text_of(app: CockpitApp) -> str:
    return "\n".join(screen_lines(app))


def wall(app: CockpitApp) -> WallScreen:
    assert isinstance(app.screen, WallScreen)
    return app.screen


async def show(pilot: Pilot[Any], box: FakeBox, *gpus: Gpu, at: float = NOW_S + 1) -> None:
    box.push(snapshot(gpus=gpus, time_s=at))
    await pilot.pause()
    await pilot.pause()


@pytest.fixture(params=SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def size(request: pytest.FixtureRequest) -> Iterator[tuple[int, int]]:
    yield request.param


async def test_ten_gpus_are_all_there_with_nothing_cut(size: tuple[int, int]) -> None:
    app = app_of(FakeBox.of())
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        text = text_of(app)
        for watts in (318, 315, 325, 305, 182, 171, 308, 108, 69, 46):
            assert f" {watts} " in text
        for word in ("HOT", "link", "x8", "cap", "#43 cfd", "SIMULATED", "2.15 of 3.50 kW", "▲ 3"):
            assert word in text
        assert all(len(line) <= size[0] for line in screen_lines(app))


async def test_the_first_frame_comes_before_the_box_has_answered(size: tuple[int, int]) -> None:
    app = app_of(FakeBox())
    async with app.run_test(size=size):
        assert "waiting for the box" in text_of(app)
        assert wall(app).scene.count == 10


async def test_a_lost_gpu_keeps_its_place_with_time_and_cause(size: tuple[int, int]) -> None:
    box = FakeBox.of()
    app = app_of(box)
    async with app.run_test(size=size) as pilot:
        cards = [gpu(index) for index in range(10)]
        cards[3] = lost(3)
        await show(pilot, box, *cards)
        text = text_of(app)
        for words in ("LOST", "since 14:01", "fell off the bus (XID 79)", "check power and"):
            assert words in text
        assert wall(app).scene.gpu(3) == cards[3]


async def test_what_cannot_be_read_is_a_dash_and_never_zero() -> None:
    box = FakeBox.of(1)
    app = app_of(box)
    async with app.run_test(size=(80, 24)) as pilot:
        unread = replace(gpu(0), tensor_active_percent=None, temperature_c=None, power_w=None)
        await show(pilot, box, unread)
        tensor = next(line for line in screen_lines(app) if " TC " in line)
        assert tensor.rstrip().endswith("—")
        assert "— °C" in text_of(app)


async def test_slices_stand_in_the_place_of_their_gpu(size: tuple[int, int]) -> None:
    box = FakeBox.of()
    app = app_of(box)
    async with app.run_test(size=size) as pilot:
        await show(pilot, box, *(gpu(index) for index in range(9)), sliced(9))
        assert "MIG" in text_of(app)
        assert "3g" in text_of(app)


async def test_numbers_change_without_anything_moving(size: tuple[int, int]) -> None:
    box = FakeBox.of()
    app = app_of(box)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        before = wall(app)._plan
        cards = [
            replace(gpu(n), power_w=9.0, temperature_c=101.0, sm_clock_mhz=None) for n in range(10)
        ]
        await show(pilot, box, *cards)
        assert wall(app)._plan == before


async def test_a_snapshot_that_looks_the_same_repaints_nothing(size: tuple[int, int]) -> None:
    box = FakeBox.of()
    app = app_of(box)
    async with app.run_test(size=size) as pilot:
        cards = [gpu(index) for index in range(10)]
        await show(pilot, box, *cards, at=NOW_S + 1)
        board = app.screen.query_one(WallBoard)
        before = board.repainted
        slightly = [replace(card, power_w=(card.power_w or 0) + 0.01) for card in cards]
        await show(pilot, box, *slightly, at=NOW_S + 1.2)
        assert board.repainted == before


async def test_one_changed_gpu_repaints_only_its_own_lines() -> None:
    box = FakeBox.of()
    app = app_of(box)
    async with app.run_test(size=(80, 24)) as pilot:
        cards = [gpu(index) for index in range(10)]
        await show(pilot, box, *cards, at=NOW_S + 1)
        board = app.screen.query_one(WallBoard)
        before = board.repainted
        cards[6] = replace(cards[6], temperature_c=71.0)
        await show(pilot, box, *cards, at=NOW_S + 1.2)
        assert board.repainted == before + 1


async def test_stale_figures_say_their_age_and_fade() -> None:
    clock, box = Clock(), FakeBox.of()
    app = app_of(box, clock)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        assert not app.screen.query_one(WallBoard).faded
        clock.now_s += 7
        app._tick()
        await pilot.pause()
        assert "7 s old" in text_of(app)
        assert app.screen.query_one(WallBoard).faded


async def test_a_lost_connection_is_told_with_reason_and_advice_and_ends() -> None:
    box = FakeBox.of()
    app = app_of(box)
    async with app.run_test(size=(80, 24)) as pilot:
        box.push(Disconnected("the agent closed the connection", "run cockpit doctor", NOW_S - 9))
        await pilot.pause()
        await pilot.pause()
        text = text_of(app)
        for words in ("DISCONNECTED", "the agent closed", "Reconnecting", "run cockpit doctor"):
            assert words in text
        assert app.screen.query_one(WallBoard).faded
        box.push(Connected(box_info()), snapshot(time_s=NOW_S + 1))
        await pilot.pause()
        await pilot.pause()
        assert not app.screen.query_one(Banner).display
        assert not app.screen.query_one(WallBoard).faded


async def test_a_box_without_its_driver_says_so_with_advice() -> None:
    info = replace(box_info(0), problem="the NVIDIA driver went away", advice="see dmesg")
    app = app_of(FakeBox(Connected(info), snapshot(gpus=())))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert "the NVIDIA driver went away: see dmesg" in text_of(app)


async def test_an_idle_box_hints_at_launching() -> None:
    idle = [replace(gpu(9), index=n, uuid=gpu(n).uuid) for n in range(10)]
    app = app_of(FakeBox(Connected(box_info()), snapshot(gpus=idle)))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert "Press L to put work on it" in text_of(app)


async def test_the_newest_event_is_on_top() -> None:
    box = FakeBox.of()
    app = app_of(box)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        box.push(Event(9, NOW_S, "xid", "critical", "GPU 3 fell off the bus (XID 79)", "reboot"))
        await pilot.pause()
        await pilot.pause()
        lines = screen_lines(app)
        newest = next(index for index, line in enumerate(lines) if "✗ GPU 3 fell off" in line)
        assert "GPU 2: slowed by heat" in lines[newest + 1]


async def test_vim_keys_and_arrows_move_over_the_cards() -> None:
    app = app_of(FakeBox.of())
    async with app.run_test(size=(200, 60)) as pilot:
        await pilot.pause()
        scene = wall(app).scene
        for key, place in [("j", 2), ("l", 3), ("down", 5), ("k", 3), ("h", 2), ("left", 1),
                           ("G", 9), ("j", 9), ("g", 0), ("up", 0)]:  # fmt: skip
            await pilot.press(key)
            assert scene.selected == place, key


async def test_a_click_selects_a_gpu(size: tuple[int, int]) -> None:
    app = app_of(FakeBox.of())
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        plan = wall(app)._plan
        spot = (plan.cards[5].x + 3, plan.cards[5].y + 1) if plan.cards else (10, 6)
        await pilot.click(WallBoard, offset=spot)
        assert wall(app).scene.selected == 5


async def test_the_filter_finds_by_job_and_lets_go_with_escape() -> None:
    app = app_of(FakeBox.of())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press("slash", *"cfd", "enter")
        assert wall(app).scene.selected == 6
        assert not app.screen.query_one("#filter", Input).has_class("-open")
        await pilot.press("slash", "escape")
        assert wall(app).scene.words == ""


async def test_two_models_and_sixteen_gpus_fit(size: tuple[int, int]) -> None:
    info = box_info(16)
    mixed = tuple(
        replace(one, name="NVIDIA A100 80GB") if one.index > 11 else one for one in info.gpus
    )
    app = app_of(FakeBox(Connected(replace(info, gpus=mixed)), snapshot(16)))
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        assert "12 × H100 PCIe + 4 × A100 80GB" in text_of(app)
        await pilot.press("G")
        assert wall(app).scene.selected == 15


async def test_the_charts_start_with_what_the_agent_remembers() -> None:
    box = FakeBox.of(past=True)
    app = app_of(box)
    async with app.run_test(size=(120, 40)) as pilot:
        while not wall(app).scene.total_w.columns(40)[0]:
            await pilot.pause()
        asked = {call[1] for call in box.calls if call[0] == "history"}
        assert len(asked) == 10


async def test_every_block_gives_lines_of_its_own_size(size: tuple[int, int]) -> None:
    box = FakeBox.of()
    app = app_of(box)
    async with app.run_test(size=size) as pilot:
        unread = Gpu(4, gpu(4).uuid, "NVIDIA H100 PCIe")
        await show(pilot, box, *(gpu(n) for n in range(3)), lost(3), unread, sliced(5))
        for block in app.screen.query_one(WallBoard)._blocks:
            lines = block.lines()
            assert len(lines) == block.region.height
            for _, runs in lines:
                assert width_of(runs) == block.region.width, (block, runs)


async def test_names_from_outside_cannot_break_the_screen() -> None:
    box = FakeBox.of(2)
    box.push(job(7, "bad\x1b[31m\nname 漢字漢字漢字漢字漢字", (0,)))
    app = app_of(box)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.pause()
        assert "\x1b" not in text_of(app)
        assert all(strip.cell_length == 80 for strip in app.screen.query_one(Header).render_lines(
            app.screen.query_one(Header).region.reset_offset))  # fmt: skip
