"""How a live field becomes cells."""

from __future__ import annotations

import base64
import itertools
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from textual.app import App, ComposeResult

from cockpit.tui.widgets.colormaps import ANCHORS, colormap
from cockpit.tui.widgets.field import FieldView
from cockpit.tui.widgets.frame import Frame, average, fit, sample


def frame(width: int, height: int, data: bytes, sequence: int = 1) -> Frame:
    return Frame(sequence, width, height, 0.0, 0.25, 1200, 3.5, data)


def answer(width: int, height: int, data: bytes) -> dict[str, object]:
    return {
        "sequence": 4,
        "width": width,
        "height": height,
        "low": 0.0,
        "high": 1.0,
        "step": 7,
        "time_s": 0.5,
        "data": base64.b64encode(zlib.compress(data)).decode(),
    }


def test_a_frame_is_decoded_as_it_was_sent() -> None:
    decoded = Frame.decode(answer(2, 3, b"abcdef"))
    assert decoded == Frame(4, 2, 3, 0.0, 1.0, 7, 0.5, b"abcdef")


def test_an_answer_without_data_is_no_newer_frame() -> None:
    assert Frame.decode({"sequence": 4}) is None


@pytest.mark.parametrize("broken", [{"data": "%%%"}, {"width": 9}, {"height": None}])
def test_a_frame_that_makes_no_sense_is_told(broken: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="a frame"):
        Frame.decode(answer(2, 3, b"abcdef") | broken)


def test_the_picture_keeps_its_shape() -> None:
    assert fit(200, 100, 80, 80) == (80, 40)
    assert fit(100, 200, 80, 80) == (40, 80)
    assert fit(10, 10, 0, 5) == (0, 0)


def test_a_picture_of_the_same_size_is_left_as_it_is() -> None:
    data = bytes(range(12))
    assert b"".join(sample(frame(4, 3, data), 4, 3)) == data


def test_a_smaller_picture_averages_what_it_covers() -> None:
    checks = bytes([50, 150] * 4 + [150, 50] * 4)
    assert sample(frame(8, 2, checks), 4, 1) == [bytes([100] * 4)]


@given(st.binary(min_size=1, max_size=50), st.data())
def test_bytes_are_averaged_each_on_its_own(one: bytes, data: st.DataObject) -> None:
    other = data.draw(st.binary(min_size=len(one), max_size=len(one)))
    expected = bytes((a + b) // 2 if a and b else 0 for a, b in zip(one, other, strict=True))
    assert average(one, other) == expected


@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 30), st.integers(1, 30))
@settings(deadline=None)
def test_any_picture_fits_any_size(width: int, height: int, columns: int, rows: int) -> None:
    rows_of_bytes = sample(frame(width, height, bytes(width * height)), columns, rows)
    assert [len(row) for row in rows_of_bytes] == [columns] * rows


@pytest.mark.parametrize("name", ANCHORS)
def test_colour_maps_grow_lighter_all_the_way(name: str) -> None:
    light = [0.2126 * red + 0.7152 * green + 0.0722 * blue for red, green, blue in colormap(name)]
    assert len(light) == 256
    assert all(after >= before - 0.5 for before, after in itertools.pairwise(light))


class FieldApp(App[None]):
    def compose(self) -> ComposeResult:
        yield FieldView("Speed")


def text_of(view: FieldView, y: int) -> str:
    return "".join(segment.text for segment in view.render_line(y))


async def test_two_rows_of_the_frame_share_a_row_of_cells() -> None:
    app = FieldApp()
    async with app.run_test(size=(8, 5)) as pilot:
        view = app.query_one(FieldView)
        view.show(frame(8, 8, bytes([1] * 32 + [255] * 32)))
        await pilot.pause()
        assert [text_of(view, y) for y in range(4)] == ["▀" * 8] * 4
        colours = [next(iter(view.render_line(y))).style.color.triplet for y in (0, 3)]  # type: ignore[union-attr]
        assert colours == [colormap("ember")[0], colormap("ember")[255]]


async def test_walls_are_no_colour_of_the_map() -> None:
    app = FieldApp()
    async with app.run_test(size=(8, 5)) as pilot:
        view = app.query_one(FieldView)
        view.show(frame(8, 8, bytes(64)))
        await pilot.pause()
        style = next(iter(view.render_line(0))).style
        assert style is not None and style.color is not None
        assert style.color.triplet not in colormap("ember")


async def test_the_legend_names_the_field_its_range_and_its_step() -> None:
    app = FieldApp()
    async with app.run_test(size=(80, 12)) as pilot:
        view = app.query_one(FieldView)
        assert "waiting" in text_of(view, 5)
        view.show(frame(80, 20, bytes(1600)))
        await pilot.pause()
        legend = next(text_of(view, y) for y in range(12) if "Speed" in text_of(view, y))
        assert "0.25" in legend
        assert "step 1 200" in legend


async def test_without_colour_the_field_is_drawn_in_shades(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = FieldApp()
    async with app.run_test(size=(8, 5)) as pilot:
        view = app.query_one(FieldView)
        view.show(frame(8, 8, bytes([1] * 32 + [255] * 32)))
        await pilot.pause()
        assert text_of(view, 0) == " " * 8
        assert text_of(view, 3) == "@" * 8


async def test_a_frame_that_changed_in_one_place_repaints_only_that_row() -> None:
    app = FieldApp()
    async with app.run_test(size=(8, 5)) as pilot:
        view = app.query_one(FieldView)
        view.show(frame(8, 8, bytes(64)))
        await pilot.pause()
        regions: list[int] = []
        view.refresh = lambda *r, **k: regions.extend(region.y for region in r)  # type: ignore[assignment,method-assign]
        view.show(frame(8, 8, bytes(48) + bytes([255] * 8) + bytes(8), 2))
        assert regions == [3, 4]
