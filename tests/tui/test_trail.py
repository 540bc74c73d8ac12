"""Trails: the last ten minutes as columns that stay where they are in time."""

from __future__ import annotations

from cockpit.tui.trail import Trail


def test_a_column_is_the_mean_of_its_stretch_of_time() -> None:
    trail = Trail(60.0)
    for second in range(60):
        trail.add(1000.0 * 60 + second, float(second))
    assert trail.columns(6) == [4.5, 14.5, 24.5, 34.5, 44.5, 54.5]


def test_only_the_newest_column_changes_until_its_time_is_over() -> None:
    trail = Trail(60.0)
    for second in range(60):
        trail.add(60000.0 + second, 100.0)
    before = trail.levels(6, 1, 200.0)
    trail.add(60060.0, 200.0)
    moved = trail.levels(6, 1, 200.0)
    assert moved == (*before[1:], 8)
    trail.add(60061.0, 0.0)
    assert trail.levels(6, 1, 200.0) == (*before[1:], 4)


def test_time_without_readings_is_a_gap() -> None:
    trail = Trail(60.0)
    trail.add(60000.0, 1.0)
    trail.add(60030.0, 3.0)
    assert trail.columns(6) == [None, None, 1.0, None, None, 3.0]


def test_what_could_not_be_read_is_a_gap_too() -> None:
    trail = Trail(60.0)
    trail.add(60000.0, None)
    assert trail.levels(2, 1, 10.0) == (-1, -1)


def test_the_past_goes_before_what_is_here() -> None:
    trail = Trail(60.0)
    trail.add(60050.0, 5.0)
    trail.columns(6)
    trail.prepend([(60010.0, 1.0), (60050.0, 9.0), (60060.0, 9.0)])
    assert trail.columns(6) == [None, 1.0, None, None, None, 5.0]


def test_a_late_or_double_reading_is_left_out() -> None:
    trail = Trail(60.0)
    trail.add(60050.0, 5.0)
    trail.add(60050.0, 7.0)
    trail.add(60001.0, 7.0)
    assert trail.columns(1) == [5.0]
