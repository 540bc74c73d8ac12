"""What does not change while the driver stays loaded: read once per GPU."""

from __future__ import annotations

import ctypes
import os
from typing import Any

import pynvml

from cockpit.agent.telemetry.nvml.library import Library, optional
from cockpit.model import GpuInfo

_ARCHITECTURES: dict[int, str] = {
    pynvml.NVML_DEVICE_ARCH_KEPLER: "Kepler",
    pynvml.NVML_DEVICE_ARCH_MAXWELL: "Maxwell",
    pynvml.NVML_DEVICE_ARCH_PASCAL: "Pascal",
    pynvml.NVML_DEVICE_ARCH_VOLTA: "Volta",
    pynvml.NVML_DEVICE_ARCH_TURING: "Turing",
    pynvml.NVML_DEVICE_ARCH_AMPERE: "Ampere",
    pynvml.NVML_DEVICE_ARCH_ADA: "Ada",
    pynvml.NVML_DEVICE_ARCH_HOPPER: "Hopper",
    pynvml.NVML_DEVICE_ARCH_BLACKWELL: "Blackwell",
}
_LINK_COUNT_FIELD = 91


def pci_bus_id(library: Library, handle: Any) -> str:
    """`00000000:17:00.0`. Raises as `Library.call` does."""
    info = pynvml.nvmlPciInfo_t()
    library.call("nvmlDeviceGetPciInfo_v3", handle, ctypes.byref(info))
    return str(info.busId)


def gpu_info(library: Library, handle: Any, index: int, uuid: str) -> GpuInfo:
    """The facts of one GPU; what it cannot tell is None. Raises DriverGoneError and GpuLostError."""

    def number(name: str, *arguments: Any, kind: Any = ctypes.c_uint) -> int | None:
        value: int | None = optional(library.number, name, handle, *arguments, kind=kind)
        return value

    def watts(name: str) -> float | None:
        milliwatts = number(name)
        return None if milliwatts is None else milliwatts / 1000

    def text(name: str) -> str | None:
        value: str | None = optional(library.text, name, handle)
        return value

    def pair(name: str) -> tuple[int, int] | tuple[None, None]:
        value: tuple[int, int] | None = optional(library.numbers, name, handle)
        return (None, None) if value is None else value

    def threshold(which: int) -> float | None:
        return number("nvmlDeviceGetTemperatureThreshold", which)

    limits = pair("nvmlDeviceGetPowerManagementLimitConstraints")
    capability = pair("nvmlDeviceGetCudaComputeCapability")
    architecture = number("nvmlDeviceGetArchitecture")
    return GpuInfo(
        index=index,
        uuid=uuid,
        name=text("nvmlDeviceGetName") or "NVIDIA GPU",
        pci_bus_id=optional(pci_bus_id, library, handle) or "",
        serial=text("nvmlDeviceGetSerial"),
        vbios_version=text("nvmlDeviceGetVbiosVersion"),
        architecture=None if architecture is None else _ARCHITECTURES.get(architecture),
        compute_capability=None if capability[0] is None else f"{capability[0]}.{capability[1]}",
        memory_total_bytes=_memory_total(library, handle),
        power_limit_default_w=watts("nvmlDeviceGetPowerManagementDefaultLimit"),
        power_limit_min_w=None if limits[0] is None else limits[0] / 1000,
        power_limit_max_w=None if limits[1] is None else limits[1] / 1000,
        sm_clock_max_mhz=number("nvmlDeviceGetMaxClockInfo", pynvml.NVML_CLOCK_SM),
        memory_clock_max_mhz=number("nvmlDeviceGetMaxClockInfo", pynvml.NVML_CLOCK_MEM),
        pcie_generation_max=number("nvmlDeviceGetMaxPcieLinkGeneration"),
        pcie_width_max=number("nvmlDeviceGetMaxPcieLinkWidth"),
        temperature_slowdown_c=threshold(pynvml.NVML_TEMPERATURE_THRESHOLD_SLOWDOWN),
        temperature_shutdown_c=threshold(pynvml.NVML_TEMPERATURE_THRESHOLD_SHUTDOWN),
        temperature_memory_max_c=threshold(pynvml.NVML_TEMPERATURE_THRESHOLD_MEM_MAX),
        numa_node=number("nvmlDeviceGetNumaNodeId", kind=ctypes.c_int),
        cpu_affinity=optional(_cpu_affinity, library, handle),
        nvlink_count=optional(_link_count, library, handle),
    )


def _memory_total(library: Library, handle: Any) -> int | None:
    memory = pynvml.c_nvmlMemory_v2_t()
    memory.version = pynvml.nvmlMemory_v2
    pointer = ctypes.byref(memory)
    optional(library.call, "nvmlDeviceGetMemoryInfo_v2", handle, pointer)
    return int(memory.total) or None


def _link_count(library: Library, handle: Any) -> int | None:
    entry = pynvml.c_nvmlFieldValue_t()
    entry.fieldId = _LINK_COUNT_FIELD
    library.call("nvmlDeviceGetFieldValues", handle, 1, ctypes.byref(entry))
    return None if entry.nvmlReturn else int(entry.value.uiVal)


def _cpu_affinity(library: Library, handle: Any) -> str:
    """The CPUs near the GPU in Linux list form."""
    words = (ctypes.c_ulong * ((os.cpu_count() or 64) // 64 + 1))()
    library.call("nvmlDeviceGetCpuAffinity", handle, len(words), ctypes.byref(words))
    mask = sum(word << (64 * position) for position, word in enumerate(words))
    return cpu_list(mask)


def cpu_list(mask: int) -> str:
    """`0-31,64-95` for a mask with those bits set."""
    cpus = [cpu for cpu in range(mask.bit_length()) if mask >> cpu & 1]
    runs: list[list[int]] = []
    for cpu in cpus:
        if runs and cpu == runs[-1][1] + 1:
            runs[-1][1] = cpu
        else:
            runs.append([cpu, cpu])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
