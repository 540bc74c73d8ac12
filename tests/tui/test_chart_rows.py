"""What the time chart draws, cell by cell."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cockpit.model import Series
from cockpit.tui.widgets import scale
from cockpit.tui.widgets.plot import Drawn, rasterise, row_of
from cockpit.tui.widgets.scale import covering, duration, linear, short, time_ticks
from cockpit.tui.widgets.track import Track

FULL = linear(100.0, 25.0, "%")


def flat(value: float, count: int) -> list[tuple[float, float, float] | None]:
    return [(value, value, value)] * count


def test_an_area_at_half_the_scale_fills_the_lower_half() -> None:
    rows = rasterise([Drawn(flat(50.0, 6), fill=True)], FULL, 6, 4)
    assert [text for text, _ in rows] == ["      ", "      ", "██████", "██████"]


def test_an_area_resolves_eighths_of_a_row() -> None:
    rows = rasterise([Drawn(flat(100 * 3 / 16, 1), fill=True)], FULL, 1, 2)
    assert [text for text, _ in rows] == [" ", "▃"]


def test_a_line_at_the_top_uses_the_top_dots_and_at_the_bottom_the_bottom_dots() -> None:
    top = rasterise([Drawn(flat(100.0, 4))], FULL, 2, 3)
    bottom = rasterise([Drawn(flat(0.0, 4))], FULL, 2, 3)
    assert [text for text, _ in top] == ["⠉⠉", "  ", "  "]
    assert [text for text, _ in bottom] == ["  ", "  ", "⣀⣀"]


def test_a_gap_stays_empty_in_lines_and_areas() -> None:
    columns = [*flat(80.0, 4), None, None, None, None, *flat(80.0, 4)]
    line = rasterise([Drawn(columns)], FULL, 6, 2)
    assert line[0][0][2:4] == "  "
    area = rasterise([Drawn(columns[::2], fill=True)], FULL, 6, 2)
    assert [text[2:4] for text, _ in area] == ["  ", "  "]


def test_zero_is_drawn_and_is_not_a_gap() -> None:
    assert rasterise([Drawn(flat(0.0, 1), fill=True)], FULL, 1, 3)[2][0] == "▁"


def test_a_jump_is_joined_by_a_vertical_stroke() -> None:
    rows = rasterise([Drawn([(0.0, 0.0, 0.0), (100.0, 100.0, 100.0)])], FULL, 1, 3)
    assert all(text != " " for text, _ in rows)


def test_the_band_between_minimum_and_maximum_lies_behind_the_mean() -> None:
    rows = rasterise([Drawn([(25.0, 50.0, 100.0)] * 2)], FULL, 1, 4)
    assert [inks[0][1] for _, inks in rows] == ["band0", "band0", "band0", ""]


def test_the_limit_is_drawn_on_its_row_where_nothing_else_is() -> None:
    rows = rasterise([Drawn(flat(20.0, 3), fill=True)], FULL, 3, 10, limits=(85.0,))
    assert row_of(85.0, FULL, 10) == 1
    assert rows[1][0] == "╌╌╌"
    assert {ink[0] for ink in rows[1][1]} == {"limit"}


def test_values_beyond_the_scale_stay_at_its_edge() -> None:
    rows = rasterise([Drawn(flat(1e12, 2))], FULL, 1, 3)
    assert rows[0][0] == "⠉"


def test_a_dashed_line_leaves_dots_out() -> None:
    solid = rasterise([Drawn(flat(50.0, 16))], FULL, 8, 1)[0][0]
    dashed = rasterise([Drawn(flat(50.0, 16), dash=2)], FULL, 8, 1)[0][0]
    assert " " not in solid
    assert dashed.count(" ") == 2


def test_traffic_is_in_decades() -> None:
    axis = scale.traffic()
    assert axis.position(1e6) == 0.0
    assert axis.position(1e9) == pytest.approx(0.5)
    assert axis.position(0.0) == 0.0


def test_a_track_takes_history_and_goes_on_live() -> None:
    track = Track()
    track.append(50.0, 9.0)
    track.load(Series("u", "power_w", 10.0, (0.0, 10.0), (1.0, 2.0), (2.0, 3.0), (3.0, 4.0)))
    track.append(45.0, 7.0)
    assert track.columns(0.0, 10.0, 6) == [
        (1.0, 2.0, 3.0),
        (2.0, 3.0, 4.0),
        *[None] * 3,
        (9.0, 9.0, 9.0),
    ]
    assert track.last == 9.0


def test_live_readings_merge_into_buckets_of_a_coarse_track() -> None:
    track = Track(10.0)
    for second in range(20):
        track.append(float(second), float(second % 10))
    assert len(track.times_s) == 2
    assert track.columns(0.0, 10.0, 2)[0] == (0.0, 4.5, 9.0)


def test_an_unreadable_reading_is_a_gap() -> None:
    track = Track()
    for second, value in enumerate((5.0, None, None, None, 5.0)):
        track.append(float(second), value)
    columns = track.columns(0.0, 1.0, 5)
    assert columns[1:4] == [None, None, None]
    assert columns[0] is not None and columns[4] is not None


def test_silence_is_a_gap_but_a_late_reading_is_not() -> None:
    track = Track()
    for second in (0.0, 2.0, 10.0):
        track.append(second, 1.0)
    assert [column is None for column in track.columns(0.0, 1.0, 11)] == [
        *[False] * 3,
        *[True] * 7,
        False,
    ]


def test_numbers_are_short_and_clear() -> None:
    assert [short(value) for value in (0.0, 350.0, 1e6, 1e12, 15_000.0, 0.25, 1980.0, 2e-5)] == [
        *("0", "350", "1M", "1T", "15k", "0.25", "1980", "2e-5"),
    ]
    assert [duration(s) for s in (5, 125, 3700, 90_000)] == ["5 s", "2:05", "1:01:40", "1 d 1 h"]


def test_time_labels_stand_on_their_own_column() -> None:
    ticks = time_ticks(0.0, 60.0, 60, origin_s=0.0)
    assert ticks[0] == (0, "0 s")
    assert (30, "30 s") in ticks


@given(
    st.lists(st.floats() | st.none(), max_size=40),
    st.integers(0, 40),
    st.integers(0, 12),
    st.booleans(),
)
@settings(max_examples=80, deadline=None)
def test_any_readings_draw_into_any_size(
    values: list[float | None], width: int, height: int, fill: bool
) -> None:
    track = Track()
    for second, value in enumerate(values):
        track.append(float(second), value)
    columns = track.columns(0.0, 1.0, width if fill else width * 2)
    known = [column for column in columns if column]
    axis = covering(
        min((column[0] for column in known), default=0.0),
        max((column[2] for column in known), default=1.0),
    )
    rows = rasterise([Drawn(columns, fill)], axis, width, height, limits=(50.0,))
    assert [len(text) for text, _ in rows] == [width] * height
    assert [len(inks) for _, inks in rows] == [width] * height


@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
@settings(max_examples=200, deadline=None)
def test_a_scale_that_covers_any_two_values_has_readable_ticks(one: float, other: float) -> None:
    low, high = min(one, other), max(one, other)
    axis = covering(low, high)
    assert axis.low < axis.high
    assert 1 <= len(axis.ticks) <= 12
    assert all(len(short(tick)) <= 7 for tick in axis.ticks)
