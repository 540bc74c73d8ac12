"""Curves and views of charts: nothing is shown that was not told, and no view leaves the run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cockpit.tui.widgets.chart_view import SMOOTHINGS, ChartView
from cockpit.tui.widgets.curve import Curve
from cockpit.tui.widgets.scale import logarithmic, number_ticks, tick_label

VALUES = st.floats(-1e6, 1e6)


def curve(values: list[float | None]) -> Curve:
    rows = [[n, n * 2.0, v, v, v, 1] for n, v in enumerate(values)]
    return Curve.of(rows, "step", 0.0)


@given(st.lists(VALUES, min_size=1, max_size=50), st.integers(1, 30))
def test_columns_hold_every_extreme_and_nothing_beyond(values: list[float], count: int) -> None:
    made = curve(list(values))
    columns = [c for c in made.columns(0.0, len(values) / count, count) if c is not None]
    assert min(c[0] for c in columns) == min(values)
    assert max(c[2] for c in columns) == max(values)


def test_a_gap_stays_one_and_neighbours_are_joined() -> None:
    columns = curve([0.0, 4.0, None, 2.0, 2.0]).columns(0.0, 0.5, 9)
    assert columns[1] == (pytest.approx(3.0),) * 3 and columns[4] is None and columns[5] is None


def test_smoothing_begins_at_the_first_reading_and_forgets_it() -> None:
    smooth = curve([1.0, *[0.0] * 200]).smoothed(0.9).points
    assert smooth[0][1] == pytest.approx(1.0)
    assert smooth[1][1] == pytest.approx(0.09 / 0.19)
    assert 0 < (smooth[-1][1] or 0) < 1e-6


@given(
    st.lists(st.sampled_from(["in", "out", "left", "right", "point"]), max_size=30),
    st.floats(1.0, 1e6),
)
def test_no_view_leaves_the_run(deeds: list[str], length: float) -> None:
    reach, view = (0.0, length), ChartView()
    for deed in deeds:
        if deed == "point":
            view = view.pointed(reach, -0.3)
        elif deed in ("in", "out"):
            view = view.zoomed(reach, 0.5 if deed == "in" else 2.0)
        else:
            view = view.panned(reach, 0.5 if deed == "right" else -0.5)
        start, end = view.shown(reach)
        assert -1e-6 <= start < end <= length * (1 + 1e-9) + 1e-6


def test_the_strengths_of_smoothing_go_round() -> None:
    view = ChartView()
    seen = [view.smoothing]
    for _ in SMOOTHINGS:
        view = view.smoother()
        seen.append(view.smoothing)
    assert tuple(seen[:-1]) == SMOOTHINGS and seen[-1] == 0.0


def test_scales_have_round_ticks() -> None:
    assert logarithmic(3e-4, 20.0).ticks == (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)
    assert tick_label(0.25, 0.25) == "0.25" and tick_label(6850.0, 50.0) == "6850"
    labels = [label for _, label in number_ticks(0.0, 1_000_000.0, 80)]
    assert labels[:2] == ["0", "200k"]
    assert number_ticks(123_456.0, 123_460.0, 60)[0][1] == "123 456"
