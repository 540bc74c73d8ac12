"""The MIG slices that the demo shows: half of a card, a quarter and an eighth."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from cockpit.agent.telemetry.simulated.cards import CardModel, identity
from cockpit.agent.telemetry.simulated.load import NOTHING, Load
from cockpit.model import GpuInfo, Slice

_SLOTS = 8


@dataclass(frozen=True)
class Place:
    """Where a slice lies in a card's eight memory slots."""

    start: int
    size: int

    @property
    def share(self) -> float:
        return self.size / _SLOTS


PLACES = (Place(4, 4), Place(0, 2), Place(2, 1))
"""In the order of `CardModel.slice_profiles`."""


def slice_uuid(gpu: GpuInfo, place: Place) -> str:
    """The same for the same GPU and place."""
    return f"MIG-{identity(random.Random(f'{gpu.uuid} {place.start}'))}"


def read_slices(gpu: GpuInfo, model: CardModel, loads: Mapping[Place, Load]) -> tuple[Slice, ...]:
    """Every slice of this GPU under its own load."""
    return tuple(
        _read_slice(gpu, model, number, place, loads.get(place, NOTHING))
        for number, place in enumerate(PLACES)
    )


def _read_slice(gpu: GpuInfo, model: CardModel, number: int, place: Place, load: Load) -> Slice:
    total = int(model.memory_bytes * place.share)
    return Slice(
        uuid=slice_uuid(gpu, place),
        profile=model.slice_profiles[number],
        gpu_instance=number + 1,
        placement_start=place.start,
        placement_size=place.size,
        memory_used_bytes=min(load.memory_bytes, total),
        memory_total_bytes=total,
        sm_active_percent=round(100 * load.sm, 1),
        tensor_active_percent=round(100 * load.tensor, 1),
        dram_active_percent=round(100 * load.dram, 1),
        processes=load.processes,
    )
