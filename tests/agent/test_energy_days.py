"""Energy by GPU and local day, from counters that reset and agents that were away."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from agents import UUIDS, gpu

from cockpit.agent.telemetry.energy import Energy, shares
from cockpit.agent.telemetry.store import Store


@pytest.fixture(autouse=True)
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def energy(tmp_path: Path) -> Energy:
    return Energy(Store(tmp_path / "history.sqlite", lambda event: None))


def local(text: str) -> float:
    return time.mktime(time.strptime(text, "%Y-%m-%d %H:%M:%S"))


def of_days(energy: Energy, gpu_index: int = 0) -> dict[str, float]:
    rows = energy.days(0.0, local("2100-01-01 00:00:00"))
    return {row["day"]: row["energy_j"] for row in rows if row["gpu"] == UUIDS[gpu_index]}


def test_the_difference_of_the_counter_is_the_energy(energy: Energy) -> None:
    noon = local("2027-03-10 12:00:00")
    assert energy.add(noon, (gpu(0, energy_j=5e6), gpu(1, energy_j=7e6))) == 0.0
    assert energy.add(noon + 1, (gpu(0, energy_j=5e6 + 300), gpu(1, energy_j=7e6 + 200))) == 500.0
    assert of_days(energy) == {"2027-03-10": 300.0}
    assert of_days(energy, 1) == {"2027-03-10": 200.0}


def test_no_counter_means_no_figure(energy: Energy) -> None:
    assert energy.add(local("2027-03-10 12:00:00"), (gpu(energy_j=None),)) is None


def test_a_counter_that_went_back_counts_from_zero(energy: Energy) -> None:
    noon = local("2027-03-10 12:00:00")
    energy.add(noon, (gpu(energy_j=5e6),))
    assert energy.add(noon + 10, (gpu(energy_j=900.0),)) == 900.0


def test_a_counter_that_jumped_is_not_energy(energy: Energy) -> None:
    noon = local("2027-03-10 12:00:00")
    energy.add(noon, (gpu(energy_j=1000.0),))
    assert energy.add(noon + 1, (gpu(energy_j=9e9),)) == 0.0
    assert energy.add(noon + 2, (gpu(energy_j=9e9 + 300),)) == 300.0


def test_midnight_divides(energy: Energy) -> None:
    midnight = local("2027-03-11 00:00:00")
    energy.add(midnight - 6, (gpu(energy_j=0.0),))
    today = energy.add(midnight + 4, (gpu(energy_j=1000.0),))
    assert today == pytest.approx(400.0)
    assert of_days(energy) == pytest.approx({"2027-03-10": 600.0, "2027-03-11": 400.0})


def test_an_agent_that_was_away_counts_what_was_used_meanwhile(tmp_path: Path) -> None:
    noon = local("2027-03-10 12:00:00")
    first = Energy(Store(tmp_path / "h", lambda event: None))
    first.add(noon, (gpu(energy_j=1e6),))
    first.add(noon + 1, (gpu(energy_j=1e6 + 250),))
    first.save()
    second = Energy(Store(tmp_path / "h", lambda event: None))
    second._joules, second._counters = dict(first._joules), dict(first._counters)
    hours = 24 * 3600.0
    second.add(noon + 1 + hours, (gpu(energy_j=1e6 + 250 + 100 * hours),))
    days = of_days(second)
    assert days["2027-03-10"] == pytest.approx(250 + 100 * (12 * 3600 - 1))
    assert days["2027-03-11"] == pytest.approx(100 * (12 * 3600 + 1))


def test_a_restart_keeps_today(tmp_path: Path) -> None:
    now = time.time()
    first = Energy(Store(tmp_path / "h", lambda event: None))
    first.add(now, (gpu(energy_j=1000.0),))
    before = first.add(now + 0.5, (gpu(energy_j=1150.0),))
    first.save()
    second = Energy(Store(tmp_path / "h", lambda event: None))
    assert second.add(now + 1.0, (gpu(energy_j=1300.0),)) == pytest.approx((before or 0) + 150.0)


def test_a_day_of_23_hours_is_whole() -> None:
    # Clocks go forward on 28 March 2027.
    parts = dict(shares(local("2027-03-28 00:00:00"), local("2027-03-29 00:00:00")))
    assert parts == {"2027-03-28": 1.0}
