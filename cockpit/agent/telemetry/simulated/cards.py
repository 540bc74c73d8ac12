"""The three H100 cards that can be simulated, and the box that they are built into."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from cockpit.model import BoxInfo, GpuInfo
from cockpit.settings import AgentSettings, SimulateSettings

MIB = 1 << 20
GIB = 1 << 30
_CPUS_PER_SOCKET = 32


@dataclass(frozen=True)
class CardModel:
    """What NVML says of one kind of card, and the few figures that its physics needs."""

    name: str
    memory_bytes: int
    power_limit_w: float
    power_limit_min_w: float
    idle_power_w: tuple[float, float]
    """From the best to the worst card of a batch."""
    inlet_c: tuple[float, float]
    """Air in front of the card: each one has its own place in the stream."""
    heat_slow_c_per_w: tuple[float, float]
    """The part of the thermal resistance that acts with a time constant."""
    sm_clock_max_mhz: int
    memory_clock_mhz: int
    nvlinks: int
    """Links that are wired: to the other card of a pair, or to the switches."""
    switched: bool
    """NVLink goes through switches, from every GPU to every other."""
    slice_profiles: tuple[str, str, str]
    """MIG profiles of half, a quarter and an eighth of the memory."""


CARDS: Mapping[str, CardModel] = {
    "pcie": CardModel(
        name="NVIDIA H100 PCIe",
        memory_bytes=81559 * MIB,
        power_limit_w=350.0,
        power_limit_min_w=200.0,
        idle_power_w=(46.0, 53.0),
        inlet_c=(25.0, 35.0),
        heat_slow_c_per_w=(0.020, 0.040),
        sm_clock_max_mhz=1755,
        memory_clock_mhz=1593,
        nvlinks=12,
        switched=False,
        slice_profiles=("3g.40gb", "2g.20gb", "1g.10gb"),
    ),
    "sxm": CardModel(
        name="NVIDIA H100 80GB HBM3",
        memory_bytes=81559 * MIB,
        power_limit_w=700.0,
        power_limit_min_w=200.0,
        idle_power_w=(66.0, 72.0),
        inlet_c=(20.0, 24.0),
        heat_slow_c_per_w=(0.020, 0.027),
        sm_clock_max_mhz=1980,
        memory_clock_mhz=2619,
        nvlinks=18,
        switched=True,
        slice_profiles=("3g.40gb", "2g.20gb", "1g.10gb"),
    ),
    "nvl": CardModel(
        name="NVIDIA H100 NVL",
        memory_bytes=95830 * MIB,
        power_limit_w=400.0,
        power_limit_min_w=200.0,
        idle_power_w=(56.0, 64.0),
        inlet_c=(24.0, 32.0),
        heat_slow_c_per_w=(0.020, 0.036),
        sm_clock_max_mhz=1785,
        memory_clock_mhz=2619,
        nvlinks=12,
        switched=False,
        slice_profiles=("3g.47gb", "2g.24gb", "1g.12gb"),
    ),
}


def nvlink_peers(model: CardModel, index: int, count: int) -> tuple[int, ...]:
    """The GPUs that this one reaches over NVLink: all behind a switch, else the other of its pair."""
    if model.switched:
        return tuple(other for other in range(count) if other != index)
    other = index ^ 1
    return (other,) if other < count else ()


def simulated_box(settings: AgentSettings) -> BoxInfo:
    """The box as its driver would describe it; the same for the same settings."""
    simulate = settings.simulate
    model = CARDS[simulate.kind]
    count = simulate.gpu_count
    return BoxInfo(
        name="",
        source="simulated",
        driver_version="590.48.01",
        cuda_version="13.1",
        nvml_version="590.48",
        gpu_count=count,
        gpus=tuple(_gpu_info(simulate, index) for index in range(count)),
        topology=tuple(
            tuple(_path(model, one, other, count) for other in range(count)) for one in range(count)
        ),
        revision=1,
    )


def _gpu_info(simulate: SimulateSettings, index: int) -> GpuInfo:
    model = CARDS[simulate.kind]
    count = simulate.gpu_count
    chance = random.Random(f"{simulate.kind} {simulate.seed} {index} identity")
    socket_index = _socket(index, count)
    peers = nvlink_peers(model, index, count)
    return GpuInfo(
        index=index,
        uuid=f"GPU-{identity(chance)}",
        name=model.name,
        pci_bus_id=f"{index // 20:08X}:{0x17 + 0x0B * (index % 20):02X}:00.0",
        serial=str(chance.randrange(1_650_000_000_000, 1_659_999_999_999)),
        vbios_version="96.00.99.00.01",
        architecture="Hopper",
        compute_capability="9.0",
        memory_total_bytes=model.memory_bytes,
        power_limit_default_w=model.power_limit_w,
        power_limit_min_w=model.power_limit_min_w,
        power_limit_max_w=model.power_limit_w,
        sm_clock_max_mhz=model.sm_clock_max_mhz,
        memory_clock_max_mhz=model.memory_clock_mhz,
        pcie_generation_max=5,
        pcie_width_max=16,
        temperature_slowdown_c=89.0,
        temperature_shutdown_c=95.0,
        temperature_memory_max_c=95.0,
        numa_node=socket_index,
        cpu_affinity=_cpus(socket_index),
        nvlink_count=model.nvlinks if peers else 0,
        nvlink_peers=peers,
    )


def identity(chance: random.Random) -> str:
    """What follows `GPU-` or `MIG-` in a UUID."""
    digits = f"{chance.getrandbits(128):032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _socket(index: int, count: int) -> int:
    """Two sockets; the second gets the smaller half, and no NVLink pair is split between them."""
    return int(index >= (count + 3) // 4 * 2)


def _cpus(socket_index: int) -> str:
    """The socket's cores and their hyper-threads, which Linux numbers after all the cores."""
    first = socket_index * _CPUS_PER_SOCKET
    second = first + 2 * _CPUS_PER_SOCKET
    return f"{first}-{first + _CPUS_PER_SOCKET - 1},{second}-{second + _CPUS_PER_SOCKET - 1}"


def _path(model: CardModel, one: int, other: int, count: int) -> str:
    if one == other:
        return "X"
    if other in nvlink_peers(model, one, count):
        return f"NV{model.nvlinks}"
    if _socket(one, count) != _socket(other, count):
        return "SYS"
    # Four slots share a PCIe switch.
    return "PIX" if one // 4 == other // 4 else "NODE"
