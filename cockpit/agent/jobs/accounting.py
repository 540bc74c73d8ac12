"""What a job used: GPU-seconds from its times, energy from the GPUs' own counters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cockpit.model import Snapshot

SAVE_EVERY_S = 10.0
JOULES_PER_KWH = 3_600_000.0


class Account:
    """The energy of one job so far; None until a counter was read twice while it ran."""

    def __init__(self, gpus: tuple[str, ...], saved: Mapping[str, Any] | None = None) -> None:
        saved = saved or {}
        self.gpus = gpus
        energy = saved.get("energy_j")
        self.energy_j: float | None = energy if isinstance(energy, (int, float)) else None
        self._last: dict[str, tuple[float, float]] = {
            uuid: (float(time_s), float(joules))
            for uuid, (time_s, joules) in saved.get("counters", {}).items()
            if uuid in gpus
        }
        self.saved_s = 0.0

    def observe(self, snapshot: Snapshot, started_s: float, ended_s: float | None) -> None:
        """Add what the counters say, for the part of the interval in which the job ran."""
        for gpu in snapshot.gpus:
            if gpu.uuid not in self.gpus or gpu.energy_j is None:
                continue
            before = self._last.get(gpu.uuid)
            self._last[gpu.uuid] = (snapshot.time_s, gpu.energy_j)
            # A counter that went down was started anew with the driver: this interval is unknown.
            if before is None or gpu.energy_j < before[1] or snapshot.time_s <= before[0]:
                continue
            until_s = snapshot.time_s if ended_s is None else min(ended_s, snapshot.time_s)
            ran_s = max(0.0, until_s - max(started_s, before[0]))
            share = ran_s / (snapshot.time_s - before[0])
            self.energy_j = (self.energy_j or 0.0) + share * (gpu.energy_j - before[1])

    def plain(self) -> dict[str, Any]:
        """What `Account(gpus, saved)` continues from."""
        return {"energy_j": self.energy_j, "counters": {k: list(v) for k, v in self._last.items()}}


def cost(energy_j: float | None, price_per_kwh: float | None) -> float | None:
    """In the currency of the price; None if either is unknown."""
    if energy_j is None or price_per_kwh is None:
        return None
    return energy_j / JOULES_PER_KWH * price_per_kwh
