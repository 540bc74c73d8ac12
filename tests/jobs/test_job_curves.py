"""A metric of a run of any length: bounded memory, no lost spike, real detail on a closer look."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cockpit.agent.jobs.curves import Curve, read_curves
from cockpit.agent.jobs.events import EventTail

FINITE = st.floats(-1e9, 1e9)


def told(path: Path, values: list[float | None], width: int = 0) -> EventTail:
    with path.open("w") as file:
        for step, value in enumerate(values):
            event = {"type": "metrics", "step": step, "time_s": 100.0 + step, "pad": "x" * width}
            file.write(json.dumps({**event, "values": {"loss": value}}) + "\n")
    tail = EventTail(path)
    tail.read_all()
    return tail


@given(st.lists(FINITE, min_size=1, max_size=300), st.integers(2, 40), st.integers(4, 64))
def test_every_reading_is_in_a_bucket_and_no_extreme_is_lost(
    values: list[float], points: int, most: int
) -> None:
    curve = Curve(most)
    for step, value in enumerate(values):
        curve.append(step, float(step), value)
    assert len(curve) <= most
    rows = curve.rows(points)
    assert len(rows) <= points + 1
    assert min(row[3] for row in rows) == min(values)
    assert max(row[4] for row in rows) == max(values)
    assert all(low <= mean <= high for _, _, mean, low, high, _ in rows)
    assert rows[-1][2] == pytest.approx(values[-1]) or len(values) > 1
    own = rows[:-1] if sum(row[5] for row in rows) > len(values) else rows
    assert sum(row[5] for row in own) == len(values)
    total = math.fsum(row[2] * row[5] for row in own)
    assert total == pytest.approx(math.fsum(values), rel=1e-6, abs=1.0)


def test_a_value_that_is_no_number_is_a_gap_and_hides_no_other(tmp_path: Path) -> None:
    tail = told(tmp_path / "events.jsonl", [1.0, math.nan, None, 4.0])
    assert [row[2] for row in tail.curves["loss"].rows(9)] == [1.0, None, None, 4.0]
    assert tail.metrics == {"loss": 4.0} and tail.bad_lines == 0


def test_a_closer_look_finds_each_reading_of_a_long_run_again(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    count = 30_000
    tail = told(path, [float(n % 7) for n in range(count)], width=60)
    kept = tail.curves["loss"].rows(400, "step", 20_000, 20_020)
    assert len(kept) < 20
    parts = tail.stretches.touching("step", 20_000, 20_020)
    assert sum(part.end - part.start for part in parts) < path.stat().st_size / 4
    close = read_curves(path, parts, {"loss"}, 8192)["loss"].rows(400, "step", 20_000, 20_020)
    assert [row[0] for row in close] == [float(n) for n in range(19_999, 20_022)]
    assert [row[2] for row in close] == [float(n % 7) for n in range(19_999, 20_022)]
    by_time = tail.stretches.touching("time_s", 20_100, 20_120)
    assert [part.start for part in by_time] == [part.start for part in parts]


def test_kernels_are_added_up_over_the_job(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    reports = [{"type": "kernel", "name": "k", "seconds": s, "count": 10} for s in (1.0, 2.0)]
    path.write_text("".join(json.dumps(report) + "\n" for report in reports))
    tail = EventTail(path)
    tail.read_all()
    kernel = tail.kernels["k"]
    assert (kernel.seconds, kernel.total_seconds, kernel.total_count) == (2.0, 3.0, 20)
