"""The physics of a simulated card."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cockpit.agent.telemetry.simulated.card import (
    HEAT_AT_ONCE_C_PER_W,
    HW_SLOWDOWN_MARGIN_C,
    IDLE_CLOCK_MHZ,
    Card,
)
from cockpit.agent.telemetry.simulated.cards import CARDS
from cockpit.agent.telemetry.simulated.load import NOTHING, Load
from cockpit.model import Process

SHARE = st.floats(0, 1)
LOADS = st.builds(Load, busy=SHARE, sm=SHARE, tensor=SHARE, dram=SHARE)
STEPS = st.lists(st.tuples(LOADS, st.floats(0, 600)), min_size=1, max_size=20)
KINDS = st.sampled_from(sorted(CARDS))
FULL = Load(busy=1.0, sm=1.0, tensor=1.0, dram=1.0)


def make(kind: str = "pcie", seed: int = 1) -> Card:
    return Card(CARDS[kind], random.Random(seed))


@given(kind=KINDS, seed=st.integers(0, 99), steps=STEPS, hot=st.booleans(), share=st.floats(0.6, 1))
@settings(deadline=None)
def test_power_stays_between_idle_and_the_limit(
    kind: str, seed: int, steps: list[tuple[Load, float]], hot: bool, share: float
) -> None:
    card = make(kind, seed)
    card.hot = hot
    card.power_limit_w *= share
    card.settle(NOTHING)
    for load, seconds in steps:
        card.step(load, seconds)
        assert card.idle_power_w - 1e-6 <= card.power_w <= card.power_limit_w + 1e-6
        assert card.power_instant_w <= card.power_limit_w


@given(kind=KINDS, steps=STEPS)
@settings(deadline=None)
def test_energy_never_falls_and_is_power_over_time(
    kind: str, steps: list[tuple[Load, float]]
) -> None:
    card = make(kind)
    for load, seconds in steps:
        before_j, before_w = card.energy_j, card.power_w
        card.step(load, seconds)
        mean_w = sorted((before_w, card.power_w))
        gained = card.energy_j - before_j
        assert gained >= card.idle_power_w * seconds - 1e-3
        assert gained <= card.power_limit_w * seconds + 1e-3
        if mean_w[1] - mean_w[0] < 1e-9:
            assert gained == pytest.approx(mean_w[0] * seconds, abs=1e-3)


def test_energy_counts_the_rise_to_a_new_power_too() -> None:
    long, short = make(), make()
    long.step(FULL, 4.0)
    for _ in range(4000):
        short.step(FULL, 0.001)
    assert long.energy_j == pytest.approx(short.energy_j, rel=1e-3)
    assert long.energy_j < 0.9 * long.power_w * 4.0


@given(kind=KINDS, load=LOADS, seconds=st.floats(0.1, 5))
@settings(deadline=None)
def test_a_constant_load_heats_steadily_to_where_it_settles(
    kind: str, load: Load, seconds: float
) -> None:
    card, settled = make(kind), make(kind)
    settled.settle(load)
    last = card.temperature_c
    for _ in range(80):
        card.step(load, seconds)
        assert card.temperature_c >= last - 1e-9
        assert card.temperature_c <= settled.temperature_c + 1e-6
        last = card.temperature_c
    card.step(load, 3600)
    card.step(load, 3600)
    assert card.temperature_c == pytest.approx(settled.temperature_c, abs=0.01)


def test_heat_comes_in_two_parts() -> None:
    card = make()
    cold_c = card.temperature_c
    gained_w = -card.power_w
    card.step(FULL, 3.0)
    gained_w += card.power_w
    soon_c = card.temperature_c - cold_c
    assert soon_c >= HEAT_AT_ONCE_C_PER_W * gained_w
    card.step(FULL, 600.0)
    late_c = card.temperature_c - cold_c
    at_once_c = HEAT_AT_ONCE_C_PER_W * gained_w
    assert 0.02 <= (late_c - at_once_c) / gained_w <= 0.041


@pytest.mark.parametrize("kind", sorted(CARDS))
def test_no_card_is_too_hot_at_its_full_load(kind: str) -> None:
    for seed in range(50):
        card = make(kind, seed)
        card.settle(FULL)
        assert card.power_w == pytest.approx(card.model.power_limit_w)
        assert card.margin_c > 5.0
        assert "sw_thermal" not in card.throttle_reasons


def test_idle_power_is_that_of_a_real_card() -> None:
    for kind, (least, most) in {"pcie": (46, 53), "sxm": (66, 72), "nvl": (56, 64)}.items():
        card = make(kind)
        assert least <= card.power_w <= most
        assert card.sm_clock_mhz == IDLE_CLOCK_MHZ
        assert card.throttle_reasons == ("idle",)


def test_at_the_limit_the_clock_falls_and_says_power_cap() -> None:
    free, capped = make(), make()
    capped.power_limit_w = 200.0
    load = Load(busy=1.0, sm=0.9, tensor=0.3, dram=0.5)
    free.settle(load)
    capped.settle(load)
    assert free.throttle_reasons == ()
    assert free.sm_clock_mhz == 1755
    assert capped.throttle_reasons == ("power_cap",)
    assert capped.power_w == pytest.approx(200.0)
    assert IDLE_CLOCK_MHZ < capped.sm_clock_mhz < free.sm_clock_mhz
    capped.step(load, 10.0)
    assert capped.throttle_times_s == {"power_cap": 10.0}


def test_a_hot_card_is_first_slowed_by_the_driver_and_then_by_the_hardware() -> None:
    card = make()
    card.settle(FULL)
    full_mhz, full_w = card.sm_clock_mhz, card.power_w
    card.hot = True
    marks = [""]
    for _ in range(300):
        card.step(FULL, 1.0)
        reasons = card.throttle_reasons
        mark = "hw" if "hw_thermal" in reasons else "sw" if "sw_thermal" in reasons else ""
        if mark != marks[-1]:
            marks.append(mark)
    assert marks == ["", "sw", "hw"]
    assert card.margin_c <= HW_SLOWDOWN_MARGIN_C
    assert card.sm_clock_mhz < 0.7 * full_mhz
    assert card.power_w < 0.6 * full_w
    assert card.throttle_times_s["hw_thermal"] > 0


def test_a_card_that_holds_a_model_draws_more_than_an_empty_one() -> None:
    card = make("sxm")
    card.settle(Load(processes=(Process(5_000_000),)))
    assert 105 <= card.power_w <= 130
    assert card.sm_clock_mhz == IDLE_CLOCK_MHZ
