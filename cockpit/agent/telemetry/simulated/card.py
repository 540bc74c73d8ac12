"""The physics of one card: load → power under its limit → heat → clocks.

Power follows load and the cube-like law of clocks, and is held at the limit by lowering the clock.
Heat follows power through two resistances, one at once and one with a time constant (a two-node RC
fit of A100 traces: 0.05 °C/W, and 0.02 to 0.04 °C/W with 20 to 45 s). Every step is in closed form,
so that a step may be as long as it likes.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping

from cockpit.agent.telemetry.simulated.cards import CardModel
from cockpit.agent.telemetry.simulated.load import NOTHING, Load

HEAT_AT_ONCE_C_PER_W = 0.05
MARGIN_ZERO_C = 87.0
"""Core temperature at which the margin is used up, on a card that idles."""
HW_SLOWDOWN_MARGIN_C = -2.0
HOT_SETTLES_AT_C = 90.5
"""Where the `hot` fault takes a card: past its hardware slowdown, short of its shutdown."""
IDLE_CLOCK_MHZ = 345
SLOW_CLOCK_SHARE = 0.6
_CLOCK_STEP_MHZ = 15
_POWER_TAU_S = 0.7
_STRAY_HEAT_TAU_S = 30.0
_POWER_OF_CLOCK = 2.4
_HOT_SPOT_C_PER_W = 0.004
_HOLDING_SHARE = 0.07
"""Of the limit: what a loaded but idle card draws more than an empty one."""
_BUSY = 0.005


class Card:
    """One card's state. `step` moves it on in time; the attributes are its readings."""

    def __init__(self, model: CardModel, chance: random.Random) -> None:
        self.model = model
        self.power_limit_w = model.power_limit_w
        self.idle_power_w = chance.uniform(*model.idle_power_w)
        self.inlet_c = chance.uniform(*model.inlet_c)
        self.heat_slow_c_per_w = chance.uniform(*model.heat_slow_c_per_w)
        self.heat_tau_s = chance.uniform(20.0, 45.0)
        self.energy_j = 0.0
        self.power_w = self.idle_power_w
        self.power_instant_w = self.power_w
        self.sm_clock_mhz = IDLE_CLOCK_MHZ
        self.throttle_reasons: tuple[str, ...] = ("idle",)
        self.throttle_times_s: Mapping[str, float] = {}
        self.hot = False
        self.slow = False
        self._chance = chance
        self._heat_slow_c = 0.0
        self._stray_heat_c = 0.0
        self._halved = False
        self.settle(NOTHING)

    @property
    def temperature_c(self) -> float:
        return self._own_temperature_c() + self._stray_heat_c

    @property
    def margin_c(self) -> float:
        """What is left before the card slows itself down: its hot spot is above its sensor."""
        hot_spot_c = _HOT_SPOT_C_PER_W * (self.power_w - self.idle_power_w)
        return MARGIN_ZERO_C - self.temperature_c - hot_spot_c

    def memory_temperature_c(self, load: Load) -> float:
        return self.temperature_c + 7.0 + 4.0 * load.dram

    def settle(self, load: Load) -> None:
        """Go to where this load would end up after a long time, such as at the start."""
        # Slowing down changes power, and power changes heat: a few rounds find their balance.
        for _ in range(4):
            self.power_w, _, _ = self._target(load)
            self._heat_slow_c = self.heat_slow_c_per_w * self.power_w
            if self.hot:
                self._stray_heat_c = max(0.0, HOT_SETTLES_AT_C - self._own_temperature_c())
        self.step(load, 0.0)

    def step(self, load: Load, seconds: float) -> None:
        """Live through `seconds` of a constant load."""
        target_w, clock_share, reasons = self._target(load)
        before_w, before_c = self.power_w, self.temperature_c
        self.power_w = _towards(before_w, target_w, seconds, _POWER_TAU_S)
        # The integral of the exponential on its way from the old power to the new target.
        self.energy_j += target_w * seconds + (before_w - self.power_w) * _POWER_TAU_S
        self._heat_slow_c = _towards(
            self._heat_slow_c, self.heat_slow_c_per_w * self.power_w, seconds, self.heat_tau_s
        )
        self._step_stray_heat(before_c, seconds)
        if reasons != ("idle",):
            self._count_throttling(reasons, seconds)
        self.throttle_reasons = reasons
        self.sm_clock_mhz = self._clock_mhz(load, clock_share)
        flutter = 0.03 * (self.power_w - self.idle_power_w) * self._chance.uniform(-1.0, 1.0)
        self.power_instant_w = min(self.power_w + flutter, self.power_limit_w)

    def _target(self, load: Load) -> tuple[float, float, tuple[str, ...]]:
        """Power that this load leads to, the share of the full clock that it gets, and why."""
        holding = _HOLDING_SHARE * self.model.power_limit_w if load.processes else 0.0
        floor_w = min(self.idle_power_w + holding, self.power_limit_w)
        share, reasons = self._slowdown()
        if load.busy < _BUSY:
            return floor_w, share, ("idle", *reasons)
        room_w = self.model.power_limit_w - self.idle_power_w
        full_w = room_w * (0.25 * load.sm + 0.67 * load.tensor + 0.66 * load.dram)
        dynamic_w = full_w * share**_POWER_OF_CLOCK
        allowed_w = self.power_limit_w - floor_w
        if dynamic_w > allowed_w:
            share = (allowed_w / full_w) ** (1 / _POWER_OF_CLOCK)
            return self.power_limit_w, share, ("power_cap", *reasons)
        return floor_w + dynamic_w, share, reasons

    def _slowdown(self) -> tuple[float, tuple[str, ...]]:
        """The share of the full clock that heat and faults leave, and their throttle reasons."""
        share = SLOW_CLOCK_SHARE if self.slow else 1.0
        reasons = ("application_clocks",) if self.slow else ()
        margin_c = self.margin_c
        # Slowed this hard the hot spot cools at once; without a gap it would flap.
        self._halved = margin_c <= (0.0 if self._halved else HW_SLOWDOWN_MARGIN_C)
        if self._halved:
            return min(share, 0.5), (*reasons, "hw_slowdown", "sw_thermal", "hw_thermal")
        if margin_c <= 0.0:
            return min(share, 1.0 + 0.15 * (margin_c - 0.5)), (*reasons, "sw_thermal")
        return share, reasons

    def _clock_mhz(self, load: Load, share: float) -> int:
        if load.busy < _BUSY:
            return IDLE_CLOCK_MHZ
        steps = int(self.model.sm_clock_max_mhz * share / _CLOCK_STEP_MHZ)
        return max(IDLE_CLOCK_MHZ, steps * _CLOCK_STEP_MHZ)

    def _count_throttling(self, reasons: tuple[str, ...], seconds: float) -> None:
        times = dict(self.throttle_times_s)
        for reason in set(reasons) - {"idle"}:
            times[reason] = times.get(reason, 0.0) + seconds
        self.throttle_times_s = times

    def _own_temperature_c(self) -> float:
        return self.inlet_c + HEAT_AT_ONCE_C_PER_W * self.power_w + self._heat_slow_c

    def _step_stray_heat(self, before_c: float, seconds: float) -> None:
        """A hot card heats up to where it settles, however little power it is left with."""
        if self.hot:
            heat_c = _towards(before_c, HOT_SETTLES_AT_C, seconds, _STRAY_HEAT_TAU_S)
            self._stray_heat_c = max(0.0, heat_c - self._own_temperature_c())
        else:
            self._stray_heat_c = _towards(self._stray_heat_c, 0.0, seconds, _STRAY_HEAT_TAU_S)


def _towards(value: float, target: float, seconds: float, tau_s: float) -> float:
    return target + (value - target) * math.exp(-seconds / tau_s)
