"""MIG slices of the simulated cards: where each lies, and how it reads under its own load."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cockpit.agent.telemetry.simulated.cards import CardModel, identity
from cockpit.agent.telemetry.simulated.load import NOTHING, Load
from cockpit.errors import UsageError
from cockpit.model import GpuInfo, Slice

_SLOTS, _COMPUTE = 8, 7
"""Parts of a card's memory and of its processors that slices are made of."""
_WISH = re.compile(r"(\d+):([1-7])g\.(\d+)gb(?:\*(\d+))?")


@dataclass(frozen=True)
class Place:
    """Where a slice lies in a card's eight memory slots."""

    start: int
    size: int

    @property
    def share(self) -> float:
        return self.size / _SLOTS


PLACES = (Place(4, 4), Place(0, 2), Place(2, 1))
"""Of the demo, in the order of `CardModel.slice_profiles`: half of a card, a quarter and an eighth."""

Layout = Mapping[Place, str]
"""The slices of one GPU: where each lies → its profile."""


def parse_mig(wishes: Sequence[str], model: CardModel, gpu_count: int) -> dict[int, Layout]:
    """GPU index → its slices, from `GPU:PROFILE*COUNT` such as `8:1g.10gb*7`.

    Each goes to the first place that MIG allows for its size. Raises UsageError for a GPU or profile
    that does not exist, and when a card has no room.
    """
    layouts: dict[int, dict[Place, str]] = {}
    for wish in wishes:
        match = _WISH.fullmatch(wish)
        if match is None:
            raise UsageError(f"simulate.mig: {wish!r} is no slice", "Write 8:1g.10gb*7.")
        gpu, profile = int(match[1]), f"{match[2]}g.{match[3]}gb"
        if gpu >= gpu_count:
            raise UsageError(f"simulate.mig: {wish!r}: there is no GPU {gpu}")
        sizes = profiles(model)
        if profile not in sizes:
            have = ", ".join(sizes)
            raise UsageError(f"simulate.mig: {wish!r}: no such profile", f"There is {have}.")
        layout = layouts.setdefault(gpu, {})
        for _ in range(int(match[4] or 1)):
            layout[_place(layout, profile, sizes[profile], wish)] = profile
    return {**layouts}


def profiles(model: CardModel) -> dict[str, int]:
    """Every profile of a card → how many memory slots it takes."""
    eighth = int(model.slice_profiles[2].partition(".")[2].removesuffix("gb"))
    half = int(model.slice_profiles[0].partition(".")[2].removesuffix("gb"))
    return {
        f"1g.{eighth}gb": 1,
        f"1g.{2 * eighth}gb": 2,
        f"2g.{2 * eighth}gb": 2,
        f"3g.{half}gb": 4,
        f"4g.{half}gb": 4,
        f"7g.{2 * half}gb": 8,
    }


def _place(layout: Layout, profile: str, size: int, wish: str) -> Place:
    used = {slot for place in layout for slot in range(place.start, place.start + place.size)}
    compute = sum(int(each[0]) for each in [*layout.values(), profile])
    width = int(profile[0])
    starts = (0,) if width == 4 else range(0, _COMPUTE + 1 - width, size)
    for start in starts:
        if compute <= _COMPUTE and not used & set(range(start, start + size)):
            return Place(start, size)
    raise UsageError(f"simulate.mig: {wish!r}: there is no room for another {profile} on that GPU")


def slice_uuid(gpu: GpuInfo, place: Place) -> str:
    """The same for the same GPU and place."""
    return f"MIG-{identity(random.Random(f'{gpu.uuid} {place.start}'))}"


def read_slices(
    gpu: GpuInfo, model: CardModel, layout: Layout, loads: Mapping[Place, Load]
) -> tuple[Slice, ...]:
    """Every slice of this GPU under its own load."""
    return tuple(
        _read_slice(gpu, model, number, place, profile, loads.get(place, NOTHING))
        for number, (place, profile) in enumerate(layout.items(), start=1)
    )


def _read_slice(
    gpu: GpuInfo, model: CardModel, number: int, place: Place, profile: str, load: Load
) -> Slice:
    total = int(model.memory_bytes * place.share)
    return Slice(
        uuid=slice_uuid(gpu, place),
        profile=profile,
        gpu_instance=number,
        placement_start=place.start,
        placement_size=place.size,
        memory_used_bytes=min(load.memory_bytes, total),
        memory_total_bytes=total,
        sm_active_percent=round(100 * load.sm, 1),
        tensor_active_percent=round(100 * load.tensor, 1),
        dram_active_percent=round(100 * load.dram, 1),
        processes=load.processes,
    )
