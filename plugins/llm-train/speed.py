"""How well the device is used: MFU, and tokens for each joule; or the reason that there is none."""

from __future__ import annotations

from typing import Any

PEAKS = {
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "H100": 989e12,
    "H200": 989e12,
    "A100": 312e12,
}
"""Dense bfloat16 products a second, of NVIDIA's data sheets; the first name that fits counts."""
COLUMNS = ("figure", "value", "unit", "why none")


class Speed:
    """Of all GPUs of the job; the first rank has one."""

    def __init__(self, device: str, count: int, flops_per_token: float) -> None:
        self._count, self._flops_per_token = count, flops_per_token
        self._handles: list[Any] = []
        self._nvml: Any = None
        self._energy_j: float | None = None
        self._peak: float | None = None
        self.why_no_mfu = self.why_no_energy = ""
        if device == "cpu":
            self.why_no_mfu = "a CPU has no figure of its peak to compare with"
            self.why_no_energy = "it runs without a GPU, and only GPUs count their energy"
            return
        import torch

        name = torch.cuda.get_device_name(device)
        # A slice is named after its card, and has a part of its peak.
        if "MIG" not in name:
            self._peak = next((peak for part, peak in PEAKS.items() if part in name), None)
        if self._peak is None:
            self.why_no_mfu = f"the peak of a {name} is not known here"
        self._find_counters(torch)

    def begin(self) -> None:
        """Count energy from now on."""
        self._energy_j = self._joules()

    def metrics(self, tokens: float, seconds: float) -> dict[str, float]:
        """Of some steps since `begin`; only figures that there are."""
        told = {"tokens_per_s": tokens / seconds}
        if self._peak:
            flops = self._flops_per_token * tokens
            told["mfu"] = 100.0 * flops / seconds / (self._peak * self._count)
        now = self._joules()
        if now is not None and self._energy_j is not None and now > self._energy_j:
            told["tokens_per_s_per_w"] = tokens / (now - self._energy_j)
        return told

    def rows(self, told: dict[str, float]) -> list[tuple[str, float | None, str, str]]:
        """For the table; a figure that is not there is None, with the reason."""
        return [
            ("tokens", told["tokens_per_s"], "tokens/s", ""),
            ("MFU", told.get("mfu"), "%", self.why_no_mfu),
            ("efficiency", told.get("tokens_per_s_per_w"), "tokens/s/W", self.why_no_energy),
        ]

    def _find_counters(self, torch: Any) -> None:
        try:
            import pynvml
        except ImportError:
            self.why_no_energy = "nvidia-ml-py is not installed here"
            return
        self._nvml = pynvml
        try:
            pynvml.nvmlInit()
            for index in range(self._count):
                uuid = f"GPU-{torch.cuda.get_device_properties(index).uuid}"
                self._handles.append(pynvml.nvmlDeviceGetHandleByUUID(uuid))
        except pynvml.NVMLError as error:
            self._handles = []
            self.why_no_energy = (
                f"the GPU is not found by NVML (a MIG slice has no counter): {error}"
            )

    def _joules(self) -> float | None:
        if not self._handles:
            return None
        try:
            read = self._nvml.nvmlDeviceGetTotalEnergyConsumption
            return float(sum(read(each) for each in self._handles)) / 1000.0
        except self._nvml.NVMLError as error:
            self.why_no_energy = f"the energy counter cannot be read: {error}"
            return None
