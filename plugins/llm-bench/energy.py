"""Energy of the target's GPUs during a window, by their own counters; or why there is none.

It is claimed only where it is the target's alone: every process on these GPUs must be the target's
job. Everything else is None with a reason, never 0.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

LOOK_INTERVAL_S = 1.0
Where = Literal["gpu", "cpu", "slice", "simulated", "unknown"]


@dataclass(frozen=True)
class Energy:
    """Joules of a window, or the reason that there are none."""

    joules: float | None
    reason: str = ""


@dataclass(frozen=True)
class Gpu:
    """What a result must say of a GPU to be understood later."""

    uuid: str
    name: str
    power_limit_w: float | None = None


@dataclass
class Meter:
    """Counters of some GPUs; with a `reason` it never reads any."""

    where: Where
    """What the target runs on."""
    reason: str = ""
    gpus: tuple[Gpu, ...] = ()
    job: str = ""
    """Whose GPUs: a process of any other on them ends the claim."""
    _nvml: Any = None
    _handles: Sequence[Any] = ()
    _begun: float | None = None
    _shared: str = ""
    _looked_s: float = field(default=0.0)

    def begin(self) -> None:
        self._shared, self._looked_s = "", 0.0
        self.look()
        self._begun = self._joules()

    def look(self) -> None:
        """See who is on the GPUs; now and then during a window."""
        if self.reason or self._shared or time.monotonic() - self._looked_s < LOOK_INTERVAL_S:
            return
        self._looked_s = time.monotonic()
        self._shared = self._others()

    def end(self) -> Energy:
        if self.reason:
            return Energy(None, self.reason)
        now = self._joules()
        self._looked_s = 0.0
        self.look()
        if self._shared:
            return Energy(None, self._shared)
        if now is None or self._begun is None:
            return Energy(None, "a GPU did not tell its energy counter")
        if now < self._begun:
            return Energy(None, "an energy counter was started anew in between")
        return Energy(now - self._begun)

    def _joules(self) -> float | None:
        if self.reason:
            return None
        try:
            counters = [self._nvml.nvmlDeviceGetTotalEnergyConsumption(h) for h in self._handles]
        except self._nvml.NVMLError:
            return None
        return sum(counters) / 1000.0

    def _others(self) -> str:
        """Who else is on the GPUs, in words; empty if nobody is."""
        for gpu, handle in zip(self.gpus, self._handles, strict=True):
            try:
                running = [
                    *self._nvml.nvmlDeviceGetComputeRunningProcesses(handle),
                    *self._nvml.nvmlDeviceGetGraphicsRunningProcesses(handle),
                ]
            except self._nvml.NVMLError as error:
                return f"who is on {gpu.name} could not be read: {error}"
            for process in running:
                if not _is_of(process.pid, self.job):
                    return (
                        f"{gpu.name} is shared with process {process.pid}, of another job or none"
                    )
        return ""


def foreign() -> Meter:
    """Of an endpoint somewhere else."""
    return Meter("unknown", "the endpoint is no job of this box")


def meter_of(directory: Path) -> Meter:
    """The meter of the job in `directory`, with the reason if its energy cannot be told."""
    start = _read(directory / "start.json") or {}
    gpus, slices = start.get("gpus") or (), start.get("slices") or ()
    if slices:
        return Meter("slice", "a MIG slice has no energy counter of its own")
    if not gpus:
        return Meter("cpu", "the service runs without a GPU")
    request = (_read(directory / "spec.json") or {}).get("request") or {}
    if request.get("shared"):
        return Meter("gpu", "the service shares its GPUs with other jobs")
    try:
        import pynvml

        pynvml.nvmlInit()
    except ImportError:
        return Meter("unknown", "nvidia-ml-py is not in this environment")
    except Exception as error:
        told = f"no NVIDIA driver answers, so the job's GPUs are SIMULATED: {error}"
        return Meter("simulated", told)
    found, handles = [], []
    for uuid in gpus:
        try:
            handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)
            name = pynvml.nvmlDeviceGetName(handle)
        except pynvml.NVMLError as error:
            return Meter("simulated", f"SIMULATED: {uuid} is no GPU of this driver: {error}")
        limit_w = None
        with contextlib.suppress(pynvml.NVMLError):
            limit_w = pynvml.nvmlDeviceGetPowerManagementLimit(handle) / 1000.0
        found.append(Gpu(uuid, name if isinstance(name, str) else name.decode(), limit_w))
        handles.append(handle)
    return Meter("gpu", "", tuple(found), directory.name, pynvml, handles)


def _is_of(pid: int, job: str) -> bool:
    try:
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
    return f"COCKPIT_JOB_ID={job}".encode() in variables


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
