"""Everything else about a job: what was asked for, where it went and why, and what it used."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from cockpit.model import Job
from cockpit.tui import phrases
from cockpit.tui.job.facts import mass
from cockpit.tui.widgets.table import Column, Row

COLUMNS: tuple[Column, ...] = (Column("", 22), Column("", 30, flex=True))


def about_rows(
    job: Job,
    indices: dict[str, int],
    now_s: float,
    currency: str,
    parameters: Mapping[str, Any] | None,
) -> list[Row]:
    """Name and value of each; what the job has none of is left out, what is not known is —."""
    return [
        *_part("Where", _where(job, indices)),
        *_part("Serves", _serves(job, now_s)),
        *_part("Asked for", _asked(job)),
        *_part("Parameters", {name: str(value) for name, value in (parameters or {}).items()}),
        *_part("When", _when(job, now_s)),
        *_part("Used", _used(job, currency)),
        *_part("Kept", _kept(job)),
    ]


def _part(title: str, lines: Mapping[str, str]) -> list[Row]:
    if not lines:
        return []
    rows = [Row("", ((title, "text bold"), ("", "")))]
    rows += [
        Row(f"{title}/{name}", ((f"  {name}", "muted"), (value, "text")))
        for name, value in lines.items()
    ]
    return rows


def _where(job: Job, indices: dict[str, int]) -> dict[str, str]:
    return {
        "box": job.box or phrases.NONE,
        "GPUs": phrases.gpu_numbers((*job.gpus, *job.slices), indices)
        if job.gpus or job.slices or job.started_s is None
        else "none",
        **({"slices": ", ".join(job.slices)} if job.slices else {}),
        **({"why here": job.placement} if job.placement else {}),
        **({"reason": job.reason} if job.reason else {}),
    }


def _serves(job: Job, now_s: float) -> dict[str, str]:
    service = job.service
    if service is None:
        return {}
    where = f"127.0.0.1:{service.port} of its box" if service.port else phrases.NONE
    return {
        "state": service.state + (f": {service.detail}" if service.detail else ""),
        **({"since": phrases.clock(service.since_s, now_s)} if service.since_s else {}),
        "protocol": service.protocol,
        "port": where,
        **({"models": ", ".join(service.models)} if service.models else {}),
    }


def _asked(job: Job) -> dict[str, str]:
    lines = {"plugin": job.plugin or phrases.NONE, "command": shlex.join(job.command)}
    if job.after:
        lines["after"] = ", ".join(f"#{each}" for each in job.after)
    if job.array is not None:
        lines["array"] = f"#{job.array.id}, index {job.array.index}, {job.array.size} jobs in all"
    if job.retries or job.attempt > 1:
        lines["attempt"] = f"{job.attempt} of {job.retries + 1}"
    if job.priority:
        lines["priority"] = str(job.priority)
    if job.shared:
        lines["shared"] = "others may be on its GPUs too"
    if job.gpu_memory_bytes is not None:
        lines["GPU memory"] = f"{phrases.gib(job.gpu_memory_bytes)} on each"
    if job.time_limit_s is not None:
        lines["time limit"] = phrases.length(job.time_limit_s)
    if job.secrets:
        lines["secrets"] = f"{', '.join(job.secrets)}: only their names are kept"
    if job.requeued_from is not None:
        lines["again"] = f"#{job.requeued_from}, run once more"
    return lines


def _when(job: Job, now_s: float) -> dict[str, str]:
    return {
        "submitted": phrases.clock(job.submitted_s, now_s),
        "started": phrases.clock(job.started_s, now_s),
        "ended": phrases.clock(job.ended_s, now_s),
        "ran for": phrases.length(phrases.elapsed(job, now_s)),
        **({"exit code": str(job.exit_code)} if job.exit_code is not None else {}),
    }


def _used(job: Job, currency: str) -> dict[str, str]:
    def told(name: str, words: str | None) -> str:
        if words is not None:
            return words
        why = job.errors.get(name)
        return f"{phrases.NONE}  {why}" if why else phrases.NONE

    def watts(value: float | None) -> str | None:
        return None if value is None else phrases.power(value)

    energy = None if job.energy_j is None else phrases.energy(job.energy_j)
    cost = None if job.cost is None else f"{job.cost:.2f} {currency}".strip()
    peak = job.memory_peak_bytes
    return {
        "GPU time": told(
            "gpu_seconds", None if job.gpu_seconds is None else phrases.length(job.gpu_seconds)
        ),
        "energy": told("energy_j", energy),
        "cost": told("cost", cost),
        "CO2": told("co2_g", None if job.co2_g is None else mass(job.co2_g)),
        "mean power": told("power_mean_w", watts(job.power_mean_w)),
        "peak power": told("power_peak_w", watts(job.power_peak_w)),
        "peak memory": told("memory_peak_bytes", None if peak is None else phrases.gib(peak)),
    }


def _kept(job: Job) -> dict[str, str]:
    return {
        "directory": job.directory or phrases.NONE,
        "log": phrases.size(job.log_bytes),
        **({"checkpoint": job.checkpoint} if job.checkpoint else {}),
        **{f"output {name}": output.path for name, output in job.outputs.items()},
        **{f"picture {name}": path for name, path in job.images.items()},
    }
