"""Whose turn it is for the slow readings, so that no pass makes more than its share of calls."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence

from cockpit.agent.telemetry.nvml.device import CALLS_TO_SEEK, Device
from cockpit.agent.telemetry.nvml.readings import CALLS_PER_PASS

CALLS_AT_MOST = 100
"""NVML calls in one pass over a box of ten GPUs."""
_LEAST_PER_GPU = 1
"""A box with more GPUs than that allows still gets its slow readings."""


class Rota:
    """Spreads the slow readings over the passes: each has its period, and the due come first."""

    def __init__(
        self,
        devices: Sequence[Device],
        periods: Mapping[str, float],
        now_s: float,
        slack_s: float = 0.0,
    ) -> None:
        """A reading that is due within `slack_s` counts as due: passes are never quite on time."""
        self._devices = devices
        self._periods = periods
        self._slack_s = slack_s
        self._due: list[tuple[float, int, str]] = [
            (now_s + period * (place + 1) / len(devices), place, name)
            for name, period in periods.items()
            for place in range(len(devices))
        ]
        heapq.heapify(self._due)

    def plan(self, now_s: float, spare: int = 0) -> None:
        """Give every GPU its slow readings for the next pass; `spare` calls are the caller's own."""
        for device in self._devices:
            if not device.busy:
                device.todo = []
        reads = [not device.busy and not device.lost for device in self._devices]
        calls = CALLS_PER_PASS * sum(reads) + CALLS_TO_SEEK * (len(reads) - sum(reads)) + spare
        allowance = max(CALLS_AT_MOST - calls, _LEAST_PER_GPU * len(self._devices))
        while allowance > 0 and self._due and self._due[0][0] <= now_s + self._slack_s:
            due_s, place, name = self._due[0]
            period = self._periods[name]
            # Those that waited for their turn keep their place in the round.
            again_s = due_s + period if due_s + period > now_s else now_s + period
            heapq.heapreplace(self._due, (again_s, place, name))
            if reads[place]:
                self._devices[place].todo.append(name)
                allowance -= 1
