"""The jobs screen and the screen of one job."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from fake_box import NOW_S, snapshot, uuid
from story_box import StoryBox, rows_of, settle, story_app, story_box, until
from textual.pilot import Pilot

from cockpit.model import Roofline
from cockpit.tui.job.kernels import roof_line
from cockpit.tui.screens.events import EventsScreen
from cockpit.tui.screens.gpu import GpuScreen
from cockpit.tui.screens.job import JobScreen
from cockpit.tui.screens.jobs import JobsScreen
from cockpit.tui.screens.listing import ListingScreen
from cockpit.tui.widgets.chart import TimeChart
from cockpit.tui.widgets.colormaps import SHADES
from cockpit.tui.widgets.confirm import Confirm
from cockpit.tui.widgets.field import FieldView
from cockpit.tui.widgets.log import LogView
from cockpit.tui.widgets.log_text import plain
from cockpit.tui.widgets.log_window import WINDOW_BYTES, LogWindow
from cockpit.tui.widgets.tabs import TabLine

Compare = Callable[..., bool]


async def open_job(pilot: Pilot[Any], job_id: str = "43") -> JobScreen:
    await settle(pilot)
    pilot.app.open_job(job_id)  # type: ignore[attr-defined]
    await settle(pilot)
    screen = pilot.app.screen
    assert isinstance(screen, JobScreen)
    return screen


async def show(pilot: Pilot[Any], tab: str) -> None:
    line = pilot.app.screen.query_one("#tabs", TabLine)
    for _ in line.choices:
        if line.chosen == tab:
            return
        await pilot.press("tab")
    assert line.chosen == tab


def drawn(screen: JobScreen) -> bool:
    fields = list(screen.query(FieldView))
    return bool(fields) and all(view.frame is not None for view in fields if view.region.area)


def answer(data: bytes, size: int, offset: int) -> dict[str, Any]:
    return {
        "offset": offset,
        "data": base64.b64encode(data).decode(),
        "end": offset + len(data),
        "size": size,
        "ended": False,
    }


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
def test_overview(snap_compare: Compare, size: tuple[int, int]) -> None:
    async def look(pilot: Pilot[Any]) -> None:
        screen = await open_job(pilot)
        await until(pilot, lambda: drawn(screen))
        if size[0] > 100:
            log = screen.query_one(LogView)
            await until(pilot, lambda: bool(log.window.lines))
            await until(pilot, lambda: _lines(screen, "Drag and lift"), "a curve")

    assert snap_compare(story_app(), terminal_size=size, run_before=look)


def _legend(screen: JobScreen, title: str) -> str:
    charts = [chart for chart in screen.query(TimeChart) if chart.title.endswith(title)]
    return charts[0].plain_rows()[0] if charts and charts[0].size.height else ""


def _lines(screen: JobScreen, title: str) -> bool:
    charts = [chart for chart in screen.query(TimeChart) if chart.title.endswith(title)]
    rows = charts[0].plain_rows() if charts and charts[0].size.height else []
    return sum(0x2800 < ord(cell) < 0x2900 for row in rows for cell in row) > 20


async def test_the_head_says_state_place_progress_and_energy() -> None:
    async with story_app().run_test(size=(120, 40)) as pilot:
        screen = await open_job(pilot)
        head = "\n".join(rows_of(screen, "head"))
        assert "#43 cfd" in head and "RUNNING" in head and "on GPU 6" in head
        assert "42%" in head and "420 000 of 1 000 000 steps" in head and "21 min 50 s left" in head
        assert "261 Wh used" in head and "308 W now" in head


async def test_kernels_stand_against_the_roof_and_unknown_figures_are_dashes() -> None:
    async with story_app().run_test(size=(200, 50)) as pilot:
        screen = await open_job(pilot)
        first, *_, last = rows_of(screen, "kernels")[1:]
        assert first.startswith("a collide_stream")
        assert all(
            part in first for part in ("812 s", "22.6 %", "1.93 ms", "1047", "2.6", "54%", "memory")
        )
        assert last.strip().startswith("forces") and last.count("—") == 4
        assert (
            "1.91 TB/s and 67 TFLOP/s, measured here on NVIDIA H100 PCIe"
            in rows_of(screen, "roof")[0]
        )


def test_a_roof_that_was_not_measured_is_called_so() -> None:
    assert "from the data sheet" in roof_line(Roofline(2e12))
    assert "no roof" in roof_line(None)


async def test_the_field_is_drawn_and_follows_new_frames() -> None:
    box = story_box()
    async with story_app(box).run_test(size=(120, 40)) as pilot:
        screen = await open_job(pilot)
        await until(pilot, lambda: drawn(screen))
        newer = dict(box.frame_table["43", "speed"], sequence=13, step=421_000)
        newer["data"] = base64.b64encode(zlib.compress(bytes([9]) * 19_200)).decode()
        box.frame_table["43", "speed"] = newer
        view = screen.query_one(FieldView)
        await until(pilot, lambda: view.frame is not None and view.frame.step == 421_000)


async def test_without_colours_of_its_own_the_field_is_drawn_in_shades() -> None:
    async with story_app(theme="ansi").run_test(size=(120, 40)) as pilot:
        screen = await open_job(pilot)
        await until(pilot, lambda: drawn(screen))
        view = screen.query_one(FieldView)
        rows = "".join(view.render_line(y).text for y in range(view.size.height))
        assert "▀" not in rows and any(shade in rows for shade in SHADES if shade != " ")
        pilot.app.theme = "midnight"
        await until(pilot, lambda: "▀" in view.render_line(3).text)


async def test_frames_are_not_asked_for_while_the_field_is_hidden() -> None:
    box = Counting()
    async with story_app(_with_story(box)).run_test(size=(80, 24)) as pilot:
        screen = await open_job(pilot)
        await until(pilot, lambda: drawn(screen))
        await show(pilot, "kernels")
        await pilot.pause(0.15)
        asked = box.frames
        await pilot.pause(0.35)
        assert box.frames == asked
        await show(pilot, "pictures")
        await until(pilot, lambda: box.frames > asked)


class Counting(StoryBox):
    frames = 0

    async def job_frame(self, job_id: str, name: str, after: int = 0) -> dict[str, Any]:
        self.frames += 1
        return await super().job_frame(job_id, name, after)


def _with_story(box: StoryBox) -> StoryBox:
    story = story_box()
    story.__class__ = box.__class__
    story.__dict__.update({**box.__dict__, **story.__dict__})
    box.__dict__ = story.__dict__
    return box


async def test_metrics_are_drawn_since_the_start_of_the_job() -> None:
    async with story_app().run_test(size=(120, 40)) as pilot:
        screen = await open_job(pilot)
        await show(pilot, "metrics")
        await until(pilot, lambda: _lines(screen, "Drag and lift"), "a curve")
        assert "drag 1.37" in _legend(screen, "Drag and lift")
        chart = next(
            chart for chart in screen.query(TimeChart) if chart.title.endswith("Drag and lift")
        )
        assert any("╵100" in row for row in chart.plain_rows())
        await pilot.press("t")
        await until(pilot, lambda: any("10:00" in row for row in chart.plain_rows()))


async def test_its_gpus_are_live_beside_it() -> None:
    async with story_app().run_test(size=(120, 40)) as pilot:
        screen = await open_job(pilot)
        await show(pilot, "gpus")
        row = rows_of(screen, "gpus")[1]
        assert row.split()[:2] == ["6", "ok"] and "308 W" in row


async def test_the_log_is_followed_and_stands_still_when_one_goes_up() -> None:
    box = story_box()
    async with story_app(box).run_test(size=(100, 30)) as pilot:
        screen = await open_job(pilot)
        await show(pilot, "log")
        log = screen.query_one(LogView)
        await until(pilot, lambda: "step  420000" in "\n".join(log.plain_rows()))
        box.logs["43"] += b"the end of it\n"
        await until(pilot, lambda: "the end of it" in "\n".join(log.plain_rows()))
        await pilot.press("k")
        assert "standing still" in log.plain_rows()[0]
        await pilot.press("f")
        assert "following" in log.plain_rows()[0]


async def test_only_a_window_of_a_huge_log_is_kept_and_all_of_it_can_be_reached() -> None:
    box = story_box()
    box.logs["43"] = b"".join(b"line %07d\n" % n for n in range(200_000))
    async with story_app(box).run_test(size=(80, 24)) as pilot:
        screen = await open_job(pilot)
        await show(pilot, "log")
        log = screen.query_one(LogView)
        await until(pilot, lambda: "line 0199999" in "\n".join(log.plain_rows()))
        for _ in range(300):
            await log.move(-100)
        assert log.window.end - log.window.start <= WINDOW_BYTES
        assert log.window.start < len(box.logs["43"]) - WINDOW_BYTES
        await pilot.press("g")
        await until(pilot, lambda: "line 0000000" in "\n".join(log.plain_rows()))
        await pilot.press("G")
        await until(pilot, lambda: "line 0199999" in "\n".join(log.plain_rows()))


def test_log_windows_join_before_and_after() -> None:
    window = LogWindow()
    window.take(answer(b"two\nthree\n", 30, 4))
    assert window.lines == [b"three"]
    assert window.take(answer(b"one\n", 30, 0))
    assert window.lines == [b"one", b"two", b"three"] and window.offsets == [0, 4, 8]
    window.take(answer(b"four\n", 30, 14))
    assert window.lines[-1] == b"four"
    window.take(answer(b"far\n", 99, 90))
    assert (window.start, window.end) == (90, 94)


def test_a_log_line_reads_as_a_terminal_would_leave_it() -> None:
    assert plain(b"\x1b[32mgreen\x1b[0m") == "green"
    assert plain(b" 10%\r 20%\r 30%") == " 30%"
    assert plain(b"longer\rab") == "abnger"
    assert plain(b"longer\rab\x1b[K") == "ab"
    assert plain(b"bell\x07\x00") == "bell··"
    assert plain(b"a\tb") == "a       b"
    assert (
        plain(b"title\x1b]0;evil\x07, up\x1b[9A, \xff\xfe \xc3\xa9")
        == "title, up, \ufffd\ufffd \u00e9"
    )


async def test_stopping_asks_with_the_name_and_default_no() -> None:
    box = story_box()
    async with story_app(box).run_test(size=(100, 30)) as pilot:
        await open_job(pilot)
        await pilot.press("x")
        question = pilot.app.screen
        assert isinstance(question, Confirm)
        assert "#43 cfd" in question.question and "GPU 6" in question.question
        await pilot.press("escape")
        assert not [call for call in box.calls if call[0] == "stop_job"]
        await pilot.press("x", "y")
        await until(pilot, lambda: ("stop_job", "43", 10.0) in box.calls)


async def test_a_job_that_is_not_there_is_said() -> None:
    from cockpit.errors import BoxError

    class Forgetful(StoryBox):
        async def job(self, job_id: str) -> Any:
            raise BoxError(f"there is no job {job_id}", "cockpit jobs lists them")

    async with story_app(_with_story(Forgetful())).run_test(size=(100, 30)) as pilot:
        screen = await open_job(pilot, "999")
        await until(pilot, lambda: "there is no job 999" in rows_of(screen, "head")[0])


async def test_an_ended_job_says_how_it_ended() -> None:
    box = story_box()
    box.known_jobs["43"] = replace(
        box.known_jobs["43"],
        state="FAILED",
        ended_s=NOW_S - 60,
        exit_code=3,
        reason="exited with 3",
    )
    async with story_app(box).run_test(size=(120, 40)) as pilot:
        screen = await open_job(pilot)
        head = "\n".join(rows_of(screen, "head"))
        assert "✗ FAILED" in head and "exit code 3" in head and "59 min 0 s elapsed" in head
        assert "now" not in head


async def test_any_size_of_the_job_screen_is_drawn() -> None:
    async with story_app().run_test(size=(80, 24)) as pilot:
        screen = await open_job(pilot)
        await until(pilot, lambda: drawn(screen))
        for size in ((20, 6), (180, 45)):
            await pilot.resize_terminal(*size)
            for _ in range(6):
                await pilot.press("tab")
        assert pilot.app.screen is screen
        assert uuid(6) in (screen.job.gpus if screen.job else ())


@pytest.mark.parametrize(
    "make", [JobsScreen, EventsScreen, lambda: JobScreen("43"), lambda: GpuScreen(uuid(2))]
)
async def test_news_that_come_before_the_screen_is_there_do_no_harm(
    make: Callable[[], ListingScreen],
) -> None:
    async with story_app().run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        screen = make()
        pilot.app.push_screen(screen)
        screen.on_live(snapshot())  # type: ignore[attr-defined]
        await until(pilot, lambda: screen.ready)
        screen.on_live(snapshot())  # type: ignore[attr-defined]
        assert pilot.app.screen is screen
