"""What a job took from the box: one line of the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Run:
    """A stretch of time in which a job had its devices."""

    started_s: float
    ended_s: float


@dataclass(frozen=True)
class LedgerEntry:
    """What one job used, over all of its attempts."""

    job: str
    name: str
    plugin: str | None
    user: str
    state: str
    submitted_s: float
    runs: tuple[Run, ...] = ()
    """None of a job that never started."""
    gpus: tuple[str, ...] = ()
    slices: tuple[str, ...] = ()
    gpu_seconds: float = 0.0
    """Whole GPUs times seconds."""
    energy_j: float | None = None
    gpu_energy_j: Mapping[str, float] = field(default_factory=dict)
    cost: float | None = None
    co2_g: float | None = None
    reason: str = ""
    """Why there is no energy."""
