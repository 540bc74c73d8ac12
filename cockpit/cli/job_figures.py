"""What a job used, as words: energy, cost, CO2, power and memory, or why one of them is not known."""

from __future__ import annotations

from cockpit.cli.text import DASH, GIB, duration, figure
from cockpit.model import BoxInfo, Job

LONG_HEAD = ("GPU TIME", "ENERGY WH", "COST", "CO2 G", "MEAN W", "PEAK W", "MEMORY GiB")


def used(job: Job, info: BoxInfo | None) -> dict[str, str]:
    """The lines of `cockpit job ID`, by their names."""
    if job.started_s is None:
        return {}
    currency = f" {info.currency}" if info else ""
    energy_wh = None if job.energy_j is None else job.energy_j / 3600
    rows = {
        "GPU time": DASH if job.gpu_seconds is None else duration(job.gpu_seconds),
        "Energy": _or_why(job, "energy_j", f"{figure(energy_wh, 1)} Wh"),
        "Mean power": _or_why(job, "power_mean_w", f"{figure(job.power_mean_w)} W"),
        "Peak power": _or_why(job, "power_peak_w", f"{figure(job.power_peak_w)} W"),
        "GPU memory": _or_why(
            job, "memory_peak_bytes", f"{_gib(job.memory_peak_bytes)} GiB at most"
        ),
    }
    if job.cost is not None:
        rows["Cost"] = f"{job.cost:.2f}{currency}"
    if job.co2_g is not None:
        rows["CO2"] = f"{job.co2_g:.0f} g"
    return rows


def long_row(job: Job) -> tuple[str, ...]:
    """The cells under LONG_HEAD."""
    return (
        DASH if job.gpu_seconds is None else duration(job.gpu_seconds),
        figure(None if job.energy_j is None else job.energy_j / 3600, 1),
        figure(job.cost, 2),
        figure(job.co2_g),
        figure(job.power_mean_w),
        figure(job.power_peak_w),
        _gib(job.memory_peak_bytes),
    )


def _or_why(job: Job, name: str, text: str) -> str:
    if getattr(job, name) is not None:
        return text
    why = job.errors.get(name)
    return f"{DASH} ({why})" if why else DASH


def _gib(size: int | None) -> str:
    return figure(None if size is None else size / GIB, 1)
