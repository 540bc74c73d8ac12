"""The table of jobs: what it shows, marking, doing something with many, a thousand of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from busy_box import FULL, busy_box, crowded_box, waiting
from fake_box import FakeBox
from story_box import rows_of, settle, story_app, story_box, until
from textual.geometry import Region
from textual.pilot import Pilot

from cockpit.errors import BoxError
from cockpit.model import Progress
from cockpit.tui import job_rows
from cockpit.tui.layout import Column, Row
from cockpit.tui.memory import Memory
from cockpit.tui.screens.job import JobScreen
from cockpit.tui.screens.jobs import JobsScreen
from cockpit.tui.widgets.confirm import Confirm
from cockpit.tui.widgets.mark_table import MarkTable

Compare = Callable[..., bool]
SIZES = [(80, 24), (120, 40), (200, 60)]


async def open_jobs(pilot: Pilot[Any]) -> JobsScreen:
    await settle(pilot)
    await pilot.press("J")
    await settle(pilot)
    screen = pilot.app.screen
    assert isinstance(screen, JobsScreen)
    return screen


def ids(screen: JobsScreen) -> list[str]:
    return list(screen.table().keys)


def said(pilot: Pilot[Any]) -> str:
    return "\n".join(f"{note.title} {note.message}" for note in pilot.app._notifications)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("state", "keys"),
    [
        ("many", []),
        ("filtered", ["slash", *"sweep", "enter"]),
        ("selected", ["j", "space", "j", "shift+down", "shift+down"]),
        ("array", ["right", "j", "j"]),
    ],
)
def test_jobs(snap_compare: Compare, state: str, keys: list[str], size: tuple[int, int]) -> None:
    async def look(pilot: Pilot[Any]) -> None:
        await open_jobs(pilot)
        await pilot.press(*keys)
        await pilot.pause()

    assert snap_compare(story_app(busy_box()), terminal_size=size, run_before=look)


@pytest.mark.parametrize("size", SIZES)
def test_no_jobs(snap_compare: Compare, size: tuple[int, int]) -> None:
    box = story_box()
    box.known_jobs = {}

    async def look(pilot: Pilot[Any]) -> None:
        await open_jobs(pilot)

    assert snap_compare(story_app(box), terminal_size=size, run_before=look)


async def test_what_runs_comes_first_then_the_queue_in_its_order_then_what_ended_last() -> None:
    async with story_app(busy_box()).run_test(size=(200, 60)) as pilot:
        screen = await open_jobs(pilot)
        assert ids(screen)[:4] == ["50[]", "43", "42", "41"]
        # 104 has priority, 105 comes after a job that still runs: it has no place in the queue.
        assert ids(screen)[4:11] == ["104", "44", "100", "101", "102", "103", "105"]
        assert ids(screen)[-8:] == [str(number) for number in range(27, 19, -1)]
        rows = "\n".join(rows_of(screen, "jobs"))
        assert "next in line" in rows and "2nd in line" in rows and "after #41" in rows
        assert FULL[:20] in rows


async def test_news_of_a_job_change_its_row_and_enter_opens_it() -> None:
    box = story_box()
    async with story_app(box).run_test(size=(120, 30)) as pilot:
        screen = await open_jobs(pilot)
        assert ids(screen) == ["43", "42", "41", "44"]
        row = rows_of(screen, "jobs")[1]
        assert "▶ RUNNING" in row and "42%" in row and "21:50" in row and "308 W" in row
        box.push(replace(box.known_jobs["43"], progress=Progress(5e5, 1e6, 60.0, "steps")))
        await until(pilot, lambda: "50%" in rows_of(screen, "jobs")[1])
        await pilot.press("enter")
        assert isinstance(pilot.app.screen, JobScreen) and pilot.app.screen.job_id == "43"


async def test_an_array_is_one_row_with_its_sums_that_unfolds_by_key_and_by_click() -> None:
    async with story_app(busy_box()).run_test(size=(120, 40)) as pilot:
        screen = await open_jobs(pilot)
        row = rows_of(screen, "jobs")[1]
        assert "▸ 50[]" in row and "7/10" in row and "▶ RUNNING" in row and "467 Wh" in row
        await pilot.press("right")
        assert ids(screen)[:11] == ["50[]", *(str(50 + n) for n in range(10))]
        await pilot.press("j", "j", "left")
        assert ids(screen)[:2] == ["50[]", "43"] and screen.table().selected == "50[]"
        await pilot.click(MarkTable, offset=(5, 1))
        assert "50" in ids(screen)


async def test_the_filter_looks_in_every_column_and_escape_shows_all_again() -> None:
    async with story_app(busy_box()).run_test(size=(120, 40)) as pilot:
        screen = await open_jobs(pilot)
        everything = ids(screen)
        for words, found in (
            ("llm-serve", ["42"]),
            ("timeout render", ["26"]),
            ("external", ["100"]),
            ("4-5", ["42"]),
            ("2.45", ["27"]),
        ):
            await pilot.press("slash", *words, "enter")
            assert ids(screen) == found, words
            assert "1 of" in rows_of(screen, "summary")[0]
            await pilot.press("escape")
            assert ids(screen) == everything
        await pilot.press("slash", *"nothing-like-it", "enter")
        assert ids(screen) == [] and "nothing-like-it" in screen.table().empty


async def test_a_click_on_a_header_orders_by_it_and_again_the_other_way_round() -> None:
    async with story_app(busy_box()).run_test(size=(200, 60)) as pilot:
        screen = await open_jobs(pilot)
        at = rows_of(screen, "jobs")[0].index("energy") + 2
        await pilot.click(MarkTable, offset=(at, 0))
        high = [key for key in ids(screen) if key in ("27", "26", "20")]
        assert high == ["27", "26", "20"] and "↓energy" in rows_of(screen, "jobs")[0]
        await pilot.click(MarkTable, offset=(at, 0))
        assert [key for key in ids(screen) if key in high] == ["20", "26", "27"]
        # What is not known stays at the end, whichever way.
        assert ids(screen)[-1] in ("44", "42", *(str(100 + n) for n in range(6)))
    assert Memory().text("jobs.order") == "energy up"


async def test_keys_order_by_every_column_and_remember() -> None:
    async with story_app(busy_box()).run_test(size=(200, 60)) as pilot:
        screen = await open_jobs(pilot)
        seen = []
        for _ in job_rows.COLUMNS:
            await pilot.press("o")
            seen.append(screen._order[0])
        assert sorted(seen) == sorted(column.name for column in job_rows.COLUMNS)
        await pilot.press("O")
        assert screen._order == ("state", True)


async def test_marked_jobs_are_stopped_together_after_one_question_that_names_them() -> None:
    box = busy_box()
    async with story_app(box).run_test(size=(120, 40)) as pilot:
        screen = await open_jobs(pilot)
        await pilot.press("j", "space", "space")
        assert screen.table().marked == ("43", "42")
        assert "● 2 selected" in rows_of(screen, "summary")[0]
        await pilot.press("x")
        question = pilot.app.screen
        assert isinstance(question, Confirm) and question.question == "Stop 2 jobs?"
        assert "#43 cfd" in question.detail and "#42 llm-serve" in question.detail
        await pilot.press("y")
        await until(pilot, lambda: "2 jobs were stopped" in said(pilot))
        stopped = {call[1] for call in box.calls if call[0] == "stop_job"}
        assert stopped == {"43", "42"}


async def test_an_array_is_stopped_whole_without_what_has_ended() -> None:
    box = busy_box()
    async with story_app(box).run_test(size=(120, 40)) as pilot:
        await open_jobs(pilot)
        await pilot.press("x", "y")
        await until(pilot, lambda: "3 jobs were stopped" in said(pilot))
        assert {call[1] for call in box.calls if call[0] == "stop_job"} == {"57", "58", "59"}


async def test_ranges_are_marked_with_v_with_shift_and_with_the_mouse() -> None:
    async with story_app(busy_box()).run_test(size=(120, 40)) as pilot:
        screen = await open_jobs(pilot)
        table = screen.table()
        await pilot.press("j", "v", "j", "j")
        assert table.marked == ("43", "42", "41")
        await pilot.press("k")
        assert table.marked == ("43", "42")
        await pilot.press("v", "j", "j")
        assert table.marked == ("43", "42")
        await pilot.press("escape")
        assert table.marked == ()
        await pilot.press("g", "shift+down", "shift+down", "j")
        assert table.marked == ("50[]", "43", "42")
        await pilot.press("escape")
        await pilot.click(MarkTable, offset=(0, 2))
        await pilot.click(MarkTable, offset=(20, 4), shift=True)
        assert table.marked == ("43", "42", "41")
        await pilot.click(MarkTable, offset=(20, 3), control=True)
        assert table.marked == ("43", "41")


async def test_all_of_the_filter_are_marked_and_removed_for_good_after_a_question() -> None:
    box = busy_box()
    async with story_app(box).run_test(size=(120, 40)) as pilot:
        screen = await open_jobs(pilot)
        await pilot.press("slash", *"lost", "enter", "a", "d")
        question = pilot.app.screen
        assert isinstance(question, Confirm) and "2 jobs for good" in question.question
        await pilot.press("y")
        await until(pilot, lambda: "23" not in box.known_jobs and "27" not in box.known_jobs)
        await until(pilot, lambda: ids(screen) == [])


async def test_what_cannot_be_done_is_said_and_not_asked() -> None:
    async with story_app(busy_box()).run_test(size=(120, 40)) as pilot:
        screen = await open_jobs(pilot)
        screen.table().select("27")
        await pilot.press("x")
        assert "#27 has ended already" in said(pilot) and pilot.app.screen is screen
        screen.table().select("43")
        await pilot.press("d", "R")
        assert "#43 has not ended yet" in said(pilot) and pilot.app.screen is screen


async def test_an_ended_job_runs_again_and_stands_in_the_queue() -> None:
    box = busy_box()
    async with story_app(box).run_test(size=(120, 40)) as pilot:
        screen = await open_jobs(pilot)
        screen.table().select("27")
        await pilot.press("R")
        await until(pilot, lambda: "106" in ids(screen))
        assert "runs again as #106" in said(pilot)
        screen.table().select("106")
        await pilot.pause()
        assert "runs #27 again" in rows_of(screen, "detail")[0]


async def test_a_refusal_is_said_with_the_job_and_the_others_are_done() -> None:
    class Stubborn(FakeBox):
        async def stop_job(self, job_id: str, grace_s: float = 10.0) -> Any:
            if job_id == "42":
                raise BoxError("its process cannot be ended")
            return await super().stop_job(job_id, grace_s)

    box = busy_box()
    box.__class__ = Stubborn
    async with story_app(box).run_test(size=(120, 40)) as pilot:
        await open_jobs(pilot)
        await pilot.press("j", "space", "space", "x", "y")
        await until(pilot, lambda: "#42: its process cannot be ended" in said(pilot))
        assert "#43 cfd is CANCELLED" in said(pilot)


async def test_two_marked_jobs_are_compared() -> None:
    async with story_app(busy_box()).run_test(size=(120, 40)) as pilot:
        await open_jobs(pilot)
        await pilot.press("equals_sign")
        assert "Mark two jobs" in said(pilot)
        await pilot.press("j", "space", "space", "equals_sign")
        await until(pilot, lambda: isinstance(pilot.app.screen, JobScreen))
        screen = pilot.app.screen
        assert isinstance(screen, JobScreen) and (screen.job_id, screen.other_id) == ("43", "42")


async def test_ids_are_copied() -> None:
    async with story_app(busy_box()).run_test(size=(120, 40)) as pilot:
        await open_jobs(pilot)
        await pilot.press("j", "space", "space", "y")
        assert pilot.app.clipboard == "43 42"


async def test_of_a_thousand_jobs_only_rows_that_can_be_seen_are_built(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    box = crowded_box()
    built: list[str] = []
    plain = job_rows.job_row

    def counted(*arguments: Any) -> Any:
        built.append(arguments[1].id)
        return plain(*arguments)

    async with story_app(box).run_test(size=(120, 40)) as pilot:
        screen = await open_jobs(pilot)
        assert len(ids(screen)) == 1070
        monkeypatch.setattr(job_rows, "job_row", counted)
        room = screen.table().size.height
        for change in (
            lambda: box.push(*(replace(box.known_jobs[str(n)], cost=9.0) for n in range(1, 71))),
            lambda: box.push(waiting(2000, "one-more")),
            lambda: screen.table().last(),
        ):
            built.clear()
            change()
            await until(pilot, lambda: bool(built))
            await pilot.pause(0.3)
            assert 0 < len(set(built)) <= room, change
            assert len(built) <= 2 * room


async def test_news_of_a_row_that_cannot_be_seen_paint_nothing() -> None:
    box = crowded_box()
    async with story_app(box).run_test(size=(120, 40)) as pilot:
        screen = await open_jobs(pilot)
        painted: list[int] = []
        table = screen.table()
        render, paint = table.render_line, painted.append

        def counted(y: int) -> Any:
            paint(y)
            return render(y)

        table.render_line = counted  # type: ignore[method-assign]
        box.push(replace(box.known_jobs["1070"], reason="no one sees this"))
        await until(pilot, lambda: pilot.app.live.jobs["1070"].reason != "")
        await pilot.pause(0.3)
        assert painted == []
        box.push(replace(box.known_jobs["70"], cost=123.0))
        await until(pilot, lambda: bool(painted))
        assert len(painted) <= 2


async def test_of_a_row_the_changed_cells_alone_are_painted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with story_app(busy_box()).run_test(size=(120, 40)) as pilot:
        table = (await open_jobs(pilot)).table()
        columns = (Column("one", 5), Column("two", 6, gap=3), Column("three", 7))
        table.show([Row("a", ("1", "2", "3")), Row("b", ("4", "5", "6"))], columns)
        await pilot.pause()
        painted: list[Region] = []
        monkeypatch.setattr(table, "refresh", lambda *regions: painted.extend(regions))
        table.show([Row("a", ("1", "2", "3")), Row("b", ("4", "!", "6"))])
        (region,) = painted
        line = table.render_line(region.y).text
        assert line[region.x : region.right] == "!".ljust(6) and "5" not in line
