"""What is asked of a GPU at one moment, whoever asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cockpit.model import Process


@dataclass(frozen=True)
class Load:
    """Shares are 0 to 1 of what the card can do at full clocks; traffic is in bytes a second."""

    busy: float = 0.0
    """Share of the time in which any kernel runs."""
    sm: float = 0.0
    occupancy: float = 0.0
    tensor: float = 0.0
    dram: float = 0.0
    pcie_rx: float = 0.0
    pcie_tx: float = 0.0
    nvlink_rx: float = 0.0
    nvlink_tx: float = 0.0
    memory_bytes: int = 0
    processes: tuple[Process, ...] = ()


NOTHING = Load()


def part(load: Load, share: float) -> Load:
    """What a load on a slice, which is `share` of the GPU, is to the whole GPU."""
    return replace(
        load,
        busy=share * load.busy,
        sm=share * load.sm,
        occupancy=share * load.occupancy,
        tensor=share * load.tensor,
        dram=share * load.dram,
    )


def together(loads: Sequence[Load]) -> Load:
    """Several loads on one GPU: they share what there is."""
    if len(loads) < 2:
        return loads[0] if loads else NOTHING
    return Load(
        busy=min(1.0, sum(load.busy for load in loads)),
        sm=min(1.0, sum(load.sm for load in loads)),
        occupancy=min(1.0, sum(load.occupancy for load in loads)),
        tensor=min(1.0, sum(load.tensor for load in loads)),
        dram=min(1.0, sum(load.dram for load in loads)),
        pcie_rx=sum(load.pcie_rx for load in loads),
        pcie_tx=sum(load.pcie_tx for load in loads),
        nvlink_rx=sum(load.nvlink_rx for load in loads),
        nvlink_tx=sum(load.nvlink_tx for load in loads),
        memory_bytes=sum(load.memory_bytes for load in loads),
        processes=tuple(process for load in loads for process in load.processes),
    )
