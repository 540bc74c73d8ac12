"""One GPU under a HealthMonitor, with its readings and its clock in hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cockpit.agent.health import HealthMonitor
from cockpit.agent.telemetry.source import Sample
from cockpit.model import BoxInfo, Event, Gpu, GpuInfo, NvLink
from cockpit.settings import Thresholds

START_S = 1_800_000_000.0
WELL = Gpu(
    index=3,
    uuid="GPU-3",
    name="NVIDIA H100 PCIe",
    power_w=210.0,
    power_limit_w=350.0,
    temperature_c=55.0,
    memory_temperature_c=64.0,
    thermal_margin_c=31.0,
    utilization_percent=80.0,
    memory_used_bytes=4 << 20,
    memory_total_bytes=80 << 30,
    sm_clock_mhz=1755,
    throttle_reasons=("power_cap",),
    pcie_generation=5,
    pcie_width=16,
    ecc_corrected=0,
    ecc_uncorrected=0,
    remap_pending=False,
    remap_failed=False,
    recovery_action="none",
    nvlinks=tuple(NvLink(link, True, 2) for link in range(4)),
)
INFO = GpuInfo(3, "GPU-3", "NVIDIA H100 PCIe", pcie_generation_max=5, pcie_width_max=16)


class Patient:
    """`see` lets the clock go on and shows the monitor the GPU with these readings changed."""

    def __init__(self, budget_w: float | None = None, **thresholds: Any) -> None:
        self.monitor = HealthMonitor(Thresholds(**thresholds))
        self.box = BoxInfo("box", "nvml", "590", 1, gpus=(INFO,), power_budget_w=budget_w)
        self.now_s = START_S
        self.events: list[Event] = []
        self.said: tuple[Event, ...] = ()

    def see(self, after_s: float = 1.0, events: tuple[Event, ...] = (), **readings: Any) -> Gpu:
        """The judged GPU; `said` holds the events of this moment, `events` all of them."""
        self.now_s += after_s
        sample = Sample(self.now_s, (replace(WELL, **readings),), events)
        gpus, self.said = self.monitor.apply(self.box, sample)
        self.events.extend(self.said)
        return gpus[0]

    def see_for(self, seconds: int, **readings: Any) -> Gpu:
        """As `see`, once a second for that long."""
        gpu = self.see(**readings)
        for _ in range(seconds - 1):
            gpu = self.see(**readings)
        return gpu


def codes(gpu: Gpu) -> list[str]:
    """The codes of its reasons, in order."""
    return [reason.code for reason in gpu.reasons]
