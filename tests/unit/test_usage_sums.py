"""The ledger summed up: nothing is counted twice, nothing is lost, whatever it is divided by."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cockpit.model import LedgerEntry, Run
from cockpit.usage import WAYS, beside_the_box, summed, total

HOUR = 3600.0
NOVEMBER = time.mktime((2026, 11, 1, 0, 0, 0, 0, 0, -1))
DECEMBER = time.mktime((2026, 12, 1, 0, 0, 0, 0, 0, -1))
JANUARY = time.mktime((2027, 1, 1, 0, 0, 0, 0, 0, -1))


def entry(job: str, start_s: float, hours: float, **more: object) -> LedgerEntry:
    gpus = more.pop("gpus", ("G0",))
    seconds = hours * HOUR
    energy = 300.0 * seconds * len(gpus)  # type: ignore[arg-type]
    made = LedgerEntry(
        job,
        f"job-{job}",
        "cfd",
        "ann",
        "COMPLETED",
        start_s,
        (Run(start_s, start_s + seconds),),
        gpus,
        (),
        seconds * len(gpus),
        energy,  # type: ignore[arg-type]
        {uuid: energy / len(gpus) for uuid in gpus},  # type: ignore[arg-type]
        energy / 3.6e6 * 0.3,
        energy / 3.6e6 * 400,
    )
    return replace(made, **more)


def test_a_job_over_the_turn_of_the_month_is_divided_by_time() -> None:
    entries = [entry("1", DECEMBER - 6 * HOUR, 24)]
    november = total(entries, NOVEMBER, DECEMBER)
    december = total(entries, DECEMBER, JANUARY)
    assert november.gpu_seconds == pytest.approx(6 * HOUR)
    assert december.energy_j == pytest.approx(18 * HOUR * 300)
    rows = summed(entries, NOVEMBER, JANUARY, "month")
    assert [(row.key, row.jobs, row.gpu_seconds / HOUR) for row in rows] == [
        ("2026-11", 1, pytest.approx(6)),
        ("2026-12", 1, pytest.approx(18)),
    ]


def test_gpus_have_their_own_energy_and_go_by_their_index() -> None:
    both = entry(
        "1",
        NOVEMBER,
        1,
        gpus=("G0", "G1"),
        gpu_energy_j={"G0": 10.0, "G1": 30.0},
        energy_j=40.0,
        cost=4.0,
    )
    rows = summed(
        [both, entry("2", NOVEMBER, 2, gpus=("G1",))],
        NOVEMBER,
        DECEMBER,
        "gpu",
        {"G0": "9", "G1": "10"}.__getitem__,
    )
    assert [row.key for row in rows] == ["9", "10"]
    assert (rows[0].energy_j, rows[0].cost, rows[0].gpu_seconds) == (10.0, 1.0, HOUR)
    assert (rows[1].jobs, rows[1].gpu_seconds) == (2, 3 * HOUR)


def test_what_is_not_known_is_none_and_counted() -> None:
    shared = entry("1", NOVEMBER, 1, energy_j=None, gpu_energy_j={}, cost=None, co2_g=None)
    slices = replace(shared, job="2", gpus=(), slices=("M1", "M2"), gpu_seconds=0.0)
    known = entry("3", NOVEMBER, 1)
    alone = total([shared, slices], NOVEMBER, DECEMBER)
    assert (alone.energy_j, alone.cost, alone.mean_w, alone.without_energy) == (None,) * 3 + (2,)
    assert alone.slice_seconds == 2 * HOUR
    together = total([shared, slices, known], NOVEMBER, DECEMBER)
    assert together.energy_j == known.energy_j and together.mean_w == pytest.approx(300.0)
    assert together.gpu_seconds == 2 * HOUR


def test_a_job_that_took_no_time_is_one_job() -> None:
    row = total([entry("1", NOVEMBER, 0.0)], NOVEMBER, DECEMBER)
    assert (row.jobs, row.gpu_seconds) == (1, 0.0)
    assert total([entry("1", NOVEMBER, 0.0)], DECEMBER, JANUARY).jobs == 0


def test_what_no_job_took_is_idle() -> None:
    jobs = total([entry("1", NOVEMBER, 12)], NOVEMBER, DECEMBER)
    days = [
        {"day": "2026-11-01", "gpu": "G0", "energy_j": 2e7},
        {"day": "2026-11-01", "gpu": "G1", "energy_j": 1e6},
    ]
    box = beside_the_box(jobs, 2, days, NOVEMBER, NOVEMBER + 24 * HOUR)
    assert (box.gpu_seconds, box.idle_seconds, box.idle_percent) == (48 * HOUR, 36 * HOUR, 75.0)
    assert (box.energy_j, box.unaccounted_j) == (2.1e7, 2.1e7 - 12 * HOUR * 300)
    assert box.watched_since_s is None
    late = beside_the_box(jobs, 2, [{**days[0], "day": "2026-11-03"}], NOVEMBER, DECEMBER)
    assert late.watched_since_s == NOVEMBER + 48 * HOUR
    unwatched = beside_the_box(jobs, 2, [], NOVEMBER, DECEMBER)
    assert (unwatched.unaccounted_j, unwatched.idle_seconds) == (None, None)


# Whole milliseconds: a time of day as a float cannot tell a run of nanoseconds from none.
lengths = st.integers(0, 10 * 24 * 3600 * 1000).map(lambda each_ms: each_ms / 1000)
runs = st.lists(st.tuples(st.floats(0, 80 * 24 * HOUR), lengths), min_size=1, max_size=3)


@given(starts=st.lists(runs, max_size=6), by=st.sampled_from(WAYS))
def test_every_way_to_divide_adds_up_to_the_same(starts: list, by: str) -> None:
    entries = []
    for number, stretches in enumerate(starts):
        spans = tuple(Run(NOVEMBER + a, NOVEMBER + a + length) for a, length in stretches)
        made = entry(
            str(number),
            NOVEMBER,
            sum(length for _, length in stretches) / HOUR,
            gpus=("G0", "G1")[: 1 + number % 2],
        )
        entries.append(replace(made, runs=spans, plugin=("cfd", None)[number % 2]))
    whole = total(entries, NOVEMBER, JANUARY)
    rows = summed(entries, NOVEMBER, JANUARY, by)
    assert sum(row.gpu_seconds for row in rows) == pytest.approx(whole.gpu_seconds)
    assert sum(row.energy_j or 0 for row in rows) == pytest.approx(whole.energy_j or 0)
    assert sum(row.co2_g or 0 for row in rows) == pytest.approx(whole.co2_g or 0)
    halves = [total(entries, NOVEMBER, DECEMBER), total(entries, DECEMBER, JANUARY)]
    assert sum(half.gpu_seconds for half in halves) == pytest.approx(whole.gpu_seconds)
