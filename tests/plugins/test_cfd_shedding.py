"""The frequency of the vortices is told when it is there, and only then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.heavy

EVERY, LENGTH, SPEED = 10, 16.0, 0.08


@pytest.fixture(scope="module")
def shedding(cfd_module: Callable[[str], Any]) -> Any:
    return cfd_module("shedding")


def fed(shedding: Any, lift: Any, drag: Any = 1.4) -> Any:
    import numpy as np

    found = shedding.Shedding(LENGTH, SPEED, every=EVERY)
    for one_drag, one_lift in zip(np.broadcast_to(drag, len(lift)), lift, strict=True):
        found.add(one_drag, one_lift)
    return found


@given(
    period=st.floats(18.0, 60.0),
    phase=st.floats(0.0, 6.28),
    mean=st.floats(-0.5, 0.5),
    noise=st.floats(0.0, 0.05),
)
@settings(deadline=None, max_examples=60)
def test_the_frequency_of_a_swing_is_found_within_half_a_per_cent(
    shedding: Any, period: float, phase: float, mean: float, noise: float
) -> None:
    import numpy as np

    n = np.arange(int(16 * period))
    noisy = noise * np.random.default_rng(1).standard_normal(len(n))
    lift = mean + 0.3 * np.sin(2 * np.pi * n / period + phase) + noisy
    shed = fed(shedding, lift).found()
    assert shed is not None
    assert shed.strouhal == pytest.approx(LENGTH / (period * EVERY * SPEED), rel=0.005)
    assert shed.cycles == pytest.approx(8, rel=0.05)
    assert shed.lift_amplitude == pytest.approx(0.3, rel=0.06)
    assert shed.drag == pytest.approx(1.4)


def test_nothing_is_told_before_six_cycles_are_in_sight(shedding: Any) -> None:
    import numpy as np

    lift = np.sin(2 * np.pi * np.arange(400) / 40.0)
    assert fed(shedding, lift).found() is None
    assert fed(shedding, np.tile(lift, 2)).found() is not None


@pytest.mark.parametrize("kind", ["noise", "still", "drift", "chirp", "nan"])
def test_nothing_is_told_of_a_lift_that_has_no_frequency(shedding: Any, kind: str) -> None:
    import numpy as np

    n = np.arange(1200)
    lift = {
        "noise": np.random.default_rng(3).standard_normal(1200),
        "still": np.zeros(1200),
        "drift": 1e-3 * n,
        "chirp": np.sin(2 * np.pi * n / 40 * (1 + n / 1200)),
        "nan": np.where(n == 900, np.nan, np.sin(2 * np.pi * n / 40)),
    }[kind]
    assert fed(shedding, lift).found() is None


def test_the_start_is_forgotten_and_so_are_old_samples(shedding: Any) -> None:
    import numpy as np

    n = np.arange(900)
    start = np.where(n < 300, 40 * np.exp(-n / 40), 0.0)
    shed = fed(shedding, start + 0.3 * np.sin(2 * np.pi * n / 40.0), drag=1.4 + start).found()
    assert shed is not None
    assert shed.drag == pytest.approx(1.4, abs=0.01)
    long = fed(shedding, np.sin(2 * np.pi * np.arange(9000) / 40.0))
    assert len(long.samples) == shedding.KEPT


def test_samples_of_an_earlier_run_are_gone_on_from(shedding: Any) -> None:
    import numpy as np

    lift = np.sin(2 * np.pi * np.arange(800) / 40.0)
    whole = fed(shedding, lift)
    first = fed(shedding, lift[:350])
    second = shedding.Shedding(LENGTH, SPEED, every=EVERY)
    second.restore(first.samples)
    for value in lift[350:]:
        second.add(1.4, value)
    assert second.found() == whole.found()
