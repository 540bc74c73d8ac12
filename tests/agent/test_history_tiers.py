"""What every GPU did, kept in tiers: nothing extreme is lost, gaps stay gaps, the file stays small."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from agents import UUIDS, gpu
from hypothesis import given, settings
from hypothesis import strategies as st

from cockpit.agent.telemetry import tiers
from cockpit.agent.telemetry.history import History
from cockpit.agent.telemetry.store import Store
from cockpit.model import THROTTLE_BITS, Event, Gpu

START = 1_800_000_000 // 3600 * 3600
"""A whole hour."""


class Box:
    """A history whose clock is the last time that was added."""

    def __init__(self, path: Path | None) -> None:
        self.told: list[Event] = []
        self.path = path
        self.now = float(START)
        self.store = Store(path, self.told.append)
        self.history = History(self.store, path is not None, lambda: self.now)

    def add(self, time_s: float, one: Gpu) -> None:
        self.now = time_s
        self.history.add(time_s, (one,))

    def run(self, since: int, until: int, power: float = 300.0) -> None:
        """One reading a second, saved each minute; the power is the second within its minute more."""
        for second in range(since, until):
            self.add(second, gpu(power_w=power + second % 60))
            if second % 60 == 59:
                self.history.save()

    def again(self) -> Box:
        """What the next agent has."""
        self.store.close()
        after = Box(self.path)
        after.now = self.now
        after.history.load()
        return after


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path / "history.sqlite")


readings = st.lists(
    st.one_of(st.none(), st.floats(0, 700, allow_nan=False, width=32)), min_size=1, max_size=300
)


@settings(deadline=None, max_examples=60)
@given(readings, st.integers(1, 80))
def test_downsampling_keeps_the_minimum_and_maximum(
    values: list[float | None], points: int
) -> None:
    box = Box(None)
    for offset, value in enumerate(values):
        box.add(START + offset, gpu(power_w=value))
    end = START + len(values) - 1
    series = box.history.series(UUIDS[0], "power_w", START, end, points)
    present = [round(value, 3) for value in values if value is not None]
    lows = [value for value in series.minimum if value is not None]
    highs = [value for value in series.maximum if value is not None]
    assert len(series.times_s) <= points
    assert len(series.times_s) == len(series.minimum) == len(series.mean) == len(series.maximum)
    assert (min(lows), max(highs)) == (min(present), max(present)) if present else not highs
    for low, mean, high in zip(series.minimum, series.mean, series.maximum, strict=True):
        assert (low is None) == (mean is None) == (high is None)
        if low is not None and mean is not None and high is not None:
            assert low <= mean <= high


def test_a_second_without_a_reading_is_a_gap(box: Box) -> None:
    box.add(START, gpu(power_w=100.0))
    box.add(START + 5, gpu(power_w=None))
    box.add(START + 6, gpu(power_w=200.0))
    series = box.history.series(UUIDS[0], "power_w", START, START + 6)
    assert series.mean == (100.0, None, None, None, None, None, 200.0)
    assert series.times_s == tuple(float(START + second) for second in range(7))


def test_ticks_on_either_side_of_a_second_leave_no_gap(box: Box) -> None:
    for time_s in (START + 0.999, START + 2.001, START + 2.999):
        box.add(time_s, gpu())
    series = box.history.series(UUIDS[0], "power_w", START, START + 2)
    assert series.mean == (300.0, 300.0, 300.0)


def test_throttling_keeps_every_bit_and_the_share_of_time(box: Box) -> None:
    reasons = [("power_cap",), ("power_cap", "hw_thermal"), ("idle",), ()]
    for second, each in enumerate(reasons):
        box.add(START + second, replace(gpu(), throttle_reasons=each))
    series = box.history.series(UUIDS[0], "throttle_mask", START, START + 3, points=1)
    bits = THROTTLE_BITS
    assert series.maximum == (bits["power_cap"] | bits["hw_thermal"] | bits["idle"],)
    assert series.minimum == (0.0,)
    assert series.mean == (0.5,)


def test_buckets_start_at_multiples_of_their_width_so_that_charts_do_not_shimmer(box: Box) -> None:
    box.run(START, START + 600)
    one = box.history.series(UUIDS[0], "power_w", START + 100, START + 400, points=40)
    other = box.history.series(UUIDS[0], "power_w", START + 103, START + 403, points=40)
    shared = set(one.times_s) & set(other.times_s)
    assert len(shared) > 30
    assert all(time % one.resolution_s == 0 for time in one.times_s)


def test_a_restart_keeps_every_second_that_was_saved(box: Box) -> None:
    box.run(START, START + 150)
    box.history.save(whole_minutes=False)
    after = box.again().history.series(UUIDS[0], "power_w", START, START + 149)
    assert after.mean == tuple(300.0 + second % 60 for second in range(150))


def test_a_kill_costs_at_most_the_minute_that_was_not_over(box: Box) -> None:
    box.run(START, START + 150)
    after = box.again().history.series(UUIDS[0], "power_w", START, START + 149)
    assert after.mean[:120] == tuple(300.0 + second % 60 for second in range(120))
    assert set(after.mean[120:]) == {None}


def test_a_restart_within_a_minute_loses_neither_half(box: Box) -> None:
    box.run(START, START + 30)
    box.history.save(whole_minutes=False)
    after = box.again()
    after.run(START + 30, START + 60)
    series = after.again().history.series(UUIDS[0], "power_w", START, START + 59)
    assert series.mean == tuple(300.0 + second for second in range(60))


def test_hours_are_shown_at_ten_seconds_and_days_at_a_minute(box: Box) -> None:
    box.run(START, START + 2 * 3600 + 90)
    end = START + 2 * 3600 + 89
    day = box.history.series(UUIDS[0], "power_w", end - 2 * 3600, end, points=2000)
    month = box.history.series(UUIDS[0], "power_w", end - 20 * 86_400, end, points=5000)
    assert day.resolution_s == 10.0
    assert None not in day.mean
    # One bucket of ten seconds from disk: seconds 20 to 29 of some minute.
    at = day.times_s.index(float(START + 3600 + 20))
    assert (day.minimum[at], day.mean[at], day.maximum[at]) == (320.0, 324.5, 329.0)
    assert month.resolution_s % 60 == 0
    assert (min(filter(None, month.minimum)), max(filter(None, month.maximum))) == (300.0, 359.0)
    assert month.mean[0] is None


def test_hours_come_whole_from_disk_and_memory_after_a_restart(box: Box) -> None:
    box.run(START, START + 3 * 3600 + 700)
    after = box.again()
    end = START + 3 * 3600 + 599
    series = after.history.series(UUIDS[0], "power_w", START, end, points=5000)
    assert series.resolution_s == 10.0
    assert None not in series.mean


def test_the_file_is_bounded(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    # Days at a scale that a test has time for: the reach of each tier, made shorter.
    reach = {1: 600, 10: 1200, 60: 7200}
    monkeypatch.setattr("cockpit.agent.telemetry.history.KEPT_S", reach)
    monkeypatch.setattr("cockpit.agent.telemetry.history.CONDENSE_GRACE_S", 3600)
    rows = []
    for hour in range(5):
        box.run(START + hour * 3600, START + (hour + 1) * 3600)
        database = sqlite3.connect(box.path or "")
        rows.append(database.execute("SELECT count(*) FROM blocks").fetchone()[0])
        database.close()
    assert rows[-1] <= rows[2]
    assert rows[-1] <= (600 + 3600) / 60 + (1200 + 600) / 600 + (7200 + 3600) / 3600 + 3


def test_a_gpu_of_which_nothing_is_known_has_no_history(box: Box) -> None:
    box.run(START, START + 60)
    assert box.history.knows(UUIDS[0])
    assert not box.history.knows("GPU-z")


def test_an_unknown_metric_is_named_with_those_there_are(box: Box) -> None:
    with pytest.raises(ValueError, match=r"'mood'.*power_w"):
        box.history.series(UUIDS[0], "mood", 0, 1)


def test_a_block_of_another_set_of_metrics_is_never_misread(box: Box) -> None:
    box.run(START, START + 60)
    box.store.run(lambda database: database.execute("UPDATE meta SET value = '[]'"), None)
    after = box.again()
    assert after.history.series(UUIDS[0], "power_w", START, START + 59).mean == (None,) * 60


@given(st.lists(st.integers(0, 0x7FF), min_size=1, max_size=30))
def test_masks_merge_like_their_bits(values: list[int]) -> None:
    low, share, high = tiers.masks([float(value) for value in values])
    for bit in THROTTLE_BITS.values():
        assert bool(int(high) & bit) == any(value & bit for value in values)
        assert bool(int(low) & bit) == all(value & bit for value in values)
    assert 0 <= share <= 1
