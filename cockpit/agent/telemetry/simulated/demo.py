"""Made-up tenants for a demonstration: a box that lives without anybody working on it.

Every load is a smooth function of the clock and the seed, so that the same moment always looks the
same. The processes cannot exist, and say that they are a demo.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from cockpit.agent.telemetry.simulated.cards import GIB
from cockpit.agent.telemetry.simulated.load import Load
from cockpit.agent.telemetry.simulated.slices import PLACES, Place
from cockpit.model import Process

FIRST_PID = 5_000_000
"""Above 4,194,304, the most that Linux allows for `/proc/sys/kernel/pid_max`."""
Shape = Callable[[float, float], Load]
"""What a tenant asks for at a time (Unix seconds), given its phase (0 to 1)."""


@dataclass(frozen=True)
class Tenant:
    """One process on one GPU, or on one slice of it."""

    gpu_index: int
    shape: Shape
    phase: float
    process: Process
    place: Place | None = None

    def load(self, now_s: float) -> Load:
        return replace(
            self.shape(now_s, self.phase),
            processes=(self.process,),
            memory_bytes=self.process.memory_used_bytes or 0,
        )


def sliced_gpu(gpu_count: int) -> int | None:
    """The last but one GPU shows slices; a box of one or two has none to spare."""
    return gpu_count - 2 if gpu_count > 2 else None


def tenants(gpu_count: int, seed: int) -> tuple[Tenant, ...]:
    """As many as fit, in order: a training, a serving pair, a simulation, an idle holder, slices."""
    sliced = sliced_gpu(gpu_count)
    whole = [index for index in range(gpu_count - 1) if index != sliced]
    wanted = [
        *[("llm-train --demo", _training, 71.4)] * 4,
        *[("llm-serve --demo", _serving, 68.2)] * 2,
        ("wind-tunnel --demo", _simulation, 22.3),
        ("notebook --demo", _holding, 31.0),
    ]
    found = [
        _tenant(number, index, command, shape, gib, seed)
        for number, (index, (command, shape, gib)) in enumerate(zip(whole, wanted, strict=False))
    ]
    if sliced is not None:
        on_slices = (
            ("vision --demo", _vision, 21.5),
            ("embeddings --demo", _serving, 9.2),
            ("notebook --demo", _holding, 3.1),
        )
        for place, (command, shape, gib) in zip(PLACES, on_slices, strict=True):
            found.append(_tenant(len(found), sliced, command, shape, gib, seed, place))
    return tuple(found)


def _tenant(
    number: int,
    index: int,
    command: str,
    shape: Shape,
    gib: float,
    seed: int,
    place: Place | None = None,
) -> Tenant:
    process = Process(
        FIRST_PID + 17 * number,
        user="demo",
        command=command,
        memory_used_bytes=int(gib * GIB),
    )
    # The cards of one tenant move together; each tenant has its own time.
    phase = random.Random(f"{seed} {command}").random()
    return Tenant(index, shape, phase, process, place)


def _wave(now_s: float, period_s: float, phase: float) -> float:
    """0 to 1 to 0 in a period."""
    return 0.5 - 0.5 * math.cos(math.tau * (now_s / period_s + phase))


def _swell(now_s: float, phase: float, periods_s: Sequence[float]) -> float:
    """Several waves over each other, 0 to 1: it does not visibly repeat."""
    waves = (_wave(now_s, period, phase * (number + 1)) for number, period in enumerate(periods_s))
    return sum(waves) / len(periods_s)


def _training(now_s: float, phase: float) -> Load:
    """At the cap, but for a checkpoint every eleven minutes."""
    pause = max(0.0, 1.0 - abs((now_s + 660 * phase) % 660 - 330) / 12)
    share = 1.0 - 0.85 * pause
    breath = 0.06 * _swell(now_s, phase, (47, 71))
    return Load(
        busy=share,
        sm=0.97 * share,
        occupancy=0.41 * share,
        tensor=(0.66 + breath) * share,
        dram=(0.58 + breath) * share,
        pcie_rx=1.6e9 + 2.0e9 * pause,
        pcie_tx=0.8e9 + 9.0e9 * pause,
        nvlink_rx=92e9 * share,
        nvlink_tx=92e9 * share,
    )


def _serving(now_s: float, phase: float) -> Load:
    """Requests come in bursts; between them it only holds its model."""
    demand = _swell(now_s, phase, (37, 90, 241))
    share = min(1.0, max(0.0, (demand - 0.25) * 1.9))
    return Load(
        busy=min(1.0, 1.3 * share),
        sm=0.50 * share,
        occupancy=0.28 * share,
        tensor=0.18 * share,
        dram=0.55 * share,
        pcie_rx=0.5e9 * share,
        pcie_tx=0.3e9 * share,
        nvlink_rx=24e9 * share,
        nvlink_tx=24e9 * share,
    )


def _simulation(now_s: float, phase: float) -> Load:
    """Bound by memory; it hardly touches a tensor core."""
    breath = _swell(now_s, phase, (29, 133))
    return Load(
        busy=0.99,
        sm=0.95,
        occupancy=0.63,
        tensor=0.02,
        dram=0.84 + 0.09 * breath,
        pcie_rx=0.2e9,
        pcie_tx=0.2e9 + 2.5e9 * max(0.0, _wave(now_s, 60, phase) - 0.9),
    )


def _vision(now_s: float, phase: float) -> Load:
    share = 0.55 + 0.4 * _swell(now_s, phase, (53, 170))
    return Load(
        busy=share, sm=0.8 * share, occupancy=0.4 * share, tensor=0.4 * share, dram=0.5 * share,
        pcie_rx=1.9e9 * share, pcie_tx=0.4e9 * share,
    )  # fmt: skip


def _holding(now_s: float, phase: float) -> Load:
    return Load()
