"""Every tab of the job screen as a picture, at the three sizes, and what its keys do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from story_box import earlier_run, rows_of, settle, story_app, story_box, until
from textual.pilot import Pilot

from cockpit.tui.screens.choose_job import ChooseJob
from cockpit.tui.screens.job import JobScreen
from cockpit.tui.widgets.ask_line import AskLine
from cockpit.tui.widgets.field import FieldView
from cockpit.tui.widgets.image import ImageView
from cockpit.tui.widgets.log import LogView
from cockpit.tui.widgets.metric_chart import MetricChart
from cockpit.tui.widgets.metrics import MetricCharts
from cockpit.tui.widgets.roofline import RooflinePlot
from cockpit.tui.widgets.sheets import Sheets

Compare = Callable[..., bool]
SIZES = [(80, 24), (120, 40), (200, 60)]


async def open_tab(pilot: Pilot[Any], tab: str) -> JobScreen:
    await settle(pilot)
    pilot.app.open_job("43")  # type: ignore[attr-defined]
    await settle(pilot)
    screen = pilot.app.screen
    assert isinstance(screen, JobScreen)
    screen.choose_tab(tab)
    # Laid out first: what has no room yet counts as loaded.
    await pilot.pause(0.05)
    await until(pilot, lambda: loaded(screen), f"everything in {tab} is there")
    return screen


async def answer(pilot: Pilot[Any], key: str, *letters: str) -> None:
    """Press a key that asks something, and answer it."""
    await pilot.press(key)
    await until(pilot, lambda: isinstance(pilot.app.focused, AskLine))
    await pilot.press(*letters, "enter")


def loaded(screen: JobScreen) -> bool:
    """Whether what can be seen has been answered."""
    charts, log = screen.query_one(MetricCharts), screen.query_one(LogView)
    told = screen.query_one("#told-pane")
    fields, images = screen.query(FieldView), screen.query(ImageView)
    pictures = [view.frame is not None for view in fields if view.region.area]
    pictures += [view.shown for view in images if view.region.area]
    return all(
        (
            screen.parameters("43") is not None,
            not charts.region.area or all(source.rows for source in charts.sources),
            not log.region.area or bool(log.window.lines),
            not told.region.area or screen.told.count > 0,
            not screen.query_one(Sheets).region.area or screen.query_one(Sheets).filled,
            all(pictures),
        )
    )


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("tab", ["pictures", "kernels", "sheets", "told", "gpus", "about"])
def test_tabs(snap_compare: Compare, tab: str, size: tuple[int, int]) -> None:
    async def look(pilot: Pilot[Any]) -> None:
        await open_tab(pilot, tab)

    assert snap_compare(story_app(), terminal_size=size, run_before=look)


@pytest.mark.parametrize("size", SIZES)
def test_a_zoomed_chart(snap_compare: Compare, size: tuple[int, int]) -> None:
    async def look(pilot: Pilot[Any]) -> None:
        screen = await open_tab(pilot, "metrics")
        await pilot.press("plus", "plus", "m", "m", "left", "left", "left")
        charts = screen.query_one(MetricCharts)
        await until(pilot, lambda: _asked_from(pilot) > 200 and loaded(screen))
        await until(pilot, lambda: all(len(rows) < 220 for rows in charts.sources[0].rows.values()))

    assert snap_compare(story_app(), terminal_size=size, run_before=look)


def _asked_from(pilot: Pilot[Any]) -> float:
    """The first step of the part that was asked for last."""
    calls = [call for call in pilot.app.box.calls if call[0] == "job_metrics"]  # type: ignore[attr-defined]
    return calls[-1][3] or 0.0


@pytest.mark.parametrize("size", SIZES)
def test_a_searched_log(snap_compare: Compare, size: tuple[int, int]) -> None:
    async def look(pilot: Pilot[Any]) -> None:
        screen = await open_tab(pilot, "log")
        await answer(pilot, "slash", *"41")
        search = screen.query_one(LogView).search
        await until(pilot, lambda: search.whole and search.rank is not None)
        first = search.current
        await pilot.press("n")
        await until(pilot, lambda: search.current != first and search.rank is not None)
        await until(pilot, lambda: search.current in search.seen)

    assert snap_compare(story_app(), terminal_size=size, run_before=look)


@pytest.mark.parametrize("size", SIZES)
def test_a_comparison(snap_compare: Compare, size: tuple[int, int]) -> None:
    async def look(pilot: Pilot[Any]) -> None:
        await compared(pilot)

    assert snap_compare(story_app(earlier_run(story_box())), terminal_size=size, run_before=look)


async def compared(pilot: Pilot[Any]) -> JobScreen:
    await settle(pilot)
    pilot.app.compare_jobs("43", "40")  # type: ignore[attr-defined]
    await settle(pilot)
    screen = pilot.app.screen
    assert isinstance(screen, JobScreen)
    charts = screen.query_one(MetricCharts)
    await until(
        pilot,
        lambda: (
            len(charts.sources) == 2
            and all(source.rows for source in charts.sources)
            and screen.parameters("40") is not None
        ),
    )
    return screen


async def test_a_job_to_compare_with_is_chosen_by_key_those_of_its_plugin_first() -> None:
    async with story_app(earlier_run(story_box())).run_test(size=(120, 40)) as pilot:
        await open_tab(pilot, "all")
        await pilot.press("equals_sign")
        dialog = pilot.app.screen
        assert isinstance(dialog, ChooseJob)
        assert dialog.options()[0][1].id == "40"
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, JobScreen))
        screen = pilot.app.screen
        assert isinstance(screen, JobScreen) and screen.other_id == "40" and screen.tab == "compare"


async def test_a_comparison_says_what_differs_and_draws_both() -> None:
    async with story_app(earlier_run(story_box())).run_test(size=(160, 50)) as pilot:
        screen = await compared(pilot)
        rows = [" ".join(row.split()) for row in rows_of(screen, "comparison")]
        assert "reynolds 200 100" in rows and not any(row.startswith("rows") for row in rows)
        assert "drag 1.37 1.52 +10.9 %" in rows
        assert "energy 261 Wh 219 Wh −16.0 %" in rows
        assert "#40 cfd ✓ COMPLETED" in rows_of(screen, "head")[0]
        title = screen.query(MetricChart).first().plain_rows()[0]
        assert "━#43 drag" in title.replace(" ", "", 1) or "#43 drag" in title
        assert "#40 drag" in title


async def test_zooming_asks_for_the_part_that_is_shown_and_z_for_the_whole_again() -> None:
    async with story_app().run_test(size=(120, 40)) as pilot:
        screen = await open_tab(pilot, "metrics")
        charts = screen.query_one(MetricCharts)
        await pilot.press("plus")
        await until(pilot, lambda: _asked_from(pilot) == pytest.approx(199.5))
        assert "step 200 to 399 of 399" in rows_of(screen, "view")[0]
        await pilot.press("z")
        assert charts.view.window is None and "whole run" in rows_of(screen, "view")[0]


async def test_the_cursor_reads_values_and_the_mouse_does_too() -> None:
    async with story_app().run_test(size=(120, 40)) as pilot:
        screen = await open_tab(pilot, "metrics")
        chart = screen.query(MetricChart).first()
        await pilot.hover(chart, offset=(8, 5))
        await until(pilot, lambda: "drag 2.2" in chart.plain_rows()[0], "the value at step 1")
        assert any("│" in row for row in chart.plain_rows())
        await pilot.hover("#head")
        await until(pilot, lambda: "drag 1.37" in chart.plain_rows()[0])
        await pilot.press("left")
        assert "step 39" in chart.plain_rows()[-1]


async def test_a_range_is_zoomed_by_dragging() -> None:
    async with story_app().run_test(size=(120, 40)) as pilot:
        screen = await open_tab(pilot, "metrics")
        chart = screen.query(MetricChart).first()
        await pilot.mouse_down(chart, offset=(30, 5))
        await pilot.hover(chart, offset=(60, 5))
        await pilot.mouse_up(chart, offset=(60, 5))
        view = screen.query_one(MetricCharts).view
        await until(pilot, lambda: screen.query_one(MetricCharts).view.window is not None)
        view = screen.query_one(MetricCharts).view
        assert view.window is not None and 70 < view.window[0] < 100 and 180 < view.window[1] < 210


async def test_enter_makes_one_chart_large_and_escape_gives_the_others_back() -> None:
    async with story_app().run_test(size=(120, 40)) as pilot:
        screen = await open_tab(pilot, "metrics")
        await pilot.press("j", "enter")
        shown = [chart.heading for chart in screen.query(MetricChart) if chart.display]
        assert shown == ["Million lattice updates per second"]
        await pilot.press("escape")
        assert all(chart.display for chart in screen.query(MetricChart))
        assert pilot.app.screen is screen


async def test_what_is_no_number_and_what_a_log_scale_cannot_show_is_said() -> None:
    box = story_box()
    box.metric_table["43"]["lift"][7][2] = None  # type: ignore[call-overload]
    async with story_app(box).run_test(size=(120, 40)) as pilot:
        screen = await open_tab(pilot, "metrics")
        assert "1 not a number" in rows_of(screen, "view")[0]
        await pilot.press("o")
        assert "not above 0" in rows_of(screen, "view")[0]


async def test_the_roofline_names_roofs_and_kernels() -> None:
    async with story_app().run_test(size=(120, 40)) as pilot:
        screen = await open_tab(pilot, "kernels")
        rows = "\n".join(screen.query_one(RooflinePlot).plain_rows())
        for words in ("a collide_stream", "b matrix", "memory 1.91 TB/s", "arithmetic 67 TFLOP/s"):
            assert words in rows


async def test_texts_of_a_job_cannot_reach_the_terminal() -> None:
    async with story_app().run_test(size=(120, 40)) as pilot:
        screen = await open_tab(pilot, "sheets")
        assert "1 200 000" in "\n".join(rows_of(screen, "sheet"))
        await pilot.press("right")
        await until(pilot, lambda: "Steady until step 40." in "\n".join(rows_of(screen, "sheet")))


async def test_a_field_is_held_and_stepped_back() -> None:
    box = story_box()
    async with story_app(box).run_test(size=(120, 40)) as pilot:
        screen = await open_tab(pilot, "pictures")
        view = screen.query_one(FieldView)
        box.frame_table["43", "speed"] = dict(
            box.frame_table["43", "speed"], sequence=13, step=421_000
        )
        await until(pilot, lambda: view.frame is not None and view.frame.step == 421_000)
        await pilot.press("comma")
        assert view.held and view.frame is not None and view.frame.step == 420_000
        await pilot.press("space")
        assert not view.held and view.frame.step == 421_000
        await pilot.press("a")
        assert view.fixed == (0.0, 0.21)


async def test_going_to_a_percentage_wrapping_and_saving_the_log(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    box = story_box()
    box.logs["43"] = b"".join(b"line %06d " % n + b"x" * 200 + b"\n" for n in range(20_000))
    async with story_app(box).run_test(size=(100, 30)) as pilot:
        screen = await open_tab(pilot, "log")
        log = screen.query_one(LogView)
        await answer(pilot, "percent_sign", *"50")
        await until(pilot, lambda: "line 010000" in "\n".join(log.plain_rows()[:3]))
        await pilot.press("W")
        assert sum("line" in row for row in log.plain_rows()[1:]) < 12
        await pilot.press("S")
        (saved,) = tmp_path.glob("cockpit-job-43-*.txt")
        assert saved.read_text().startswith("line 0")
        await answer(pilot, "percent_sign", "x")
        assert log.window.size == len(box.logs["43"])


async def test_a_pattern_that_makes_no_sense_is_said_in_the_log() -> None:
    from cockpit.errors import BoxError

    box = story_box()

    async def refuse(*_: Any, **__: Any) -> Any:
        raise BoxError("'(' is no regular expression")

    box.job_search = refuse  # type: ignore[method-assign]
    async with story_app(box).run_test(size=(100, 30)) as pilot:
        screen = await open_tab(pilot, "log")
        await answer(pilot, "slash", "(")
        log = screen.query_one(LogView)
        await until(pilot, lambda: "no regular expression" in log.plain_rows()[0])
