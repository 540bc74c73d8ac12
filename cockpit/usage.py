"""The ledger's lines summed up: by job, plugin, day, month, GPU or user, and against the whole box."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from cockpit.model import LedgerEntry

By = Literal["job", "plugin", "day", "month", "gpu", "user"]
WAYS: tuple[By, ...] = ("job", "plugin", "day", "month", "gpu", "user")
SLICES = "slices"
"""Stands for the GPU of a job that had slices only."""


@dataclass(frozen=True)
class Usage:
    """What some jobs used together. None where it could be told of none of them."""

    key: str
    jobs: int = 0
    gpu_seconds: float = 0.0
    slice_seconds: float = 0.0
    energy_j: float | None = None
    cost: float | None = None
    co2_g: float | None = None
    mean_w: float | None = None
    """Of one GPU in the hands of a job, where its energy is known."""
    without_energy: int = 0
    """Jobs whose energy is not in the sum."""


@dataclass(frozen=True)
class BoxUsage:
    """The jobs beside the whole box; None all over for a time in which nobody watched it."""

    gpu_count: int
    gpu_seconds: float | None = None
    """What all GPUs had to give in that time."""
    idle_seconds: float | None = None
    """Of that, what no job took."""
    idle_percent: float | None = None
    energy_j: float | None = None
    """What all GPUs drew, by their counters."""
    unaccounted_j: float | None = None
    """Of that, what is in no job's account: idling, other people, jobs whose energy is not known."""
    watched_since_s: float | None = None
    """When the energy counters were first read, if that was within the time."""


@dataclass(frozen=True)
class _Part:
    """A share of a job."""

    key: str
    entry: LedgerEntry
    share: float
    gpu: str | None = None


def summed(
    entries: Iterable[LedgerEntry],
    since_s: float,
    until_s: float,
    by: By,
    name_gpu: Callable[[str], str] = str,
) -> list[Usage]:
    """One Usage a key, what used most first, or in order of time. A job that reaches beyond the span,
    or over midnight, is divided by time."""
    found: dict[str, list[_Part]] = {}
    for entry in entries:
        for part in _parts(entry, since_s, until_s, by):
            found.setdefault(part.key, []).append(part)
    rows = [_sum(name_gpu(key) if by == "gpu" else key, parts) for key, parts in found.items()]
    if by in ("day", "month"):
        return sorted(rows, key=lambda row: row.key)
    if by == "gpu":
        return sorted(rows, key=lambda row: (not row.key.isdecimal(), row.key.zfill(4)))
    return sorted(rows, key=lambda row: (-row.gpu_seconds, -(row.energy_j or 0.0), row.key))


def total(entries: Iterable[LedgerEntry], since_s: float, until_s: float) -> Usage:
    """All of them together."""
    parts = [
        replace(part, key="total")
        for entry in entries
        for part in _parts(entry, since_s, until_s, "job")
    ]
    return _sum("total", parts)


def beside_the_box(
    jobs: Usage,
    gpu_count: int,
    days: Sequence[Mapping[str, Any]],
    since_s: float,
    until_s: float,
) -> BoxUsage:
    """`days` are those of `Box.energy`: whole days, as the span must be."""
    if not days:
        return BoxUsage(gpu_count)
    first_s = time.mktime(time.strptime(min(str(day["day"]) for day in days), "%Y-%m-%d"))
    watched_since_s = max(since_s, first_s)
    all_s = gpu_count * max(0.0, until_s - watched_since_s)
    idle_s = max(0.0, all_s - jobs.gpu_seconds)
    energy_j = sum(float(day["energy_j"]) for day in days)
    return BoxUsage(
        gpu_count,
        all_s,
        idle_s,
        100.0 * idle_s / all_s if all_s else None,
        energy_j,
        max(0.0, energy_j - (jobs.energy_j or 0.0)),
        watched_since_s if watched_since_s > since_s else None,
    )


def _parts(entry: LedgerEntry, since_s: float, until_s: float, by: By) -> Iterator[_Part]:
    if by in ("day", "month"):
        for key, start_s, end_s in _calendar(since_s, until_s, by):
            if share := _share(entry, start_s, end_s):
                yield _Part(key, entry, share)
        return
    share = _share(entry, since_s, until_s)
    if not share:
        return
    if by == "gpu":
        for uuid in entry.gpus or (SLICES,):
            yield _Part(uuid, entry, share, uuid)
        return
    keys = {"job": entry.job, "plugin": entry.plugin or f"({entry.name})", "user": entry.user}
    yield _Part(keys[by], entry, share)


def _share(entry: LedgerEntry, since_s: float, until_s: float) -> float:
    """How much of a job's time lies in the span; 1 for one that took no time and ended in it."""
    whole_s = sum(run.ended_s - run.started_s for run in entry.runs)
    if whole_s <= 0:
        return float(any(since_s <= run.started_s < until_s for run in entry.runs))
    inside_s = sum(
        max(0.0, min(run.ended_s, until_s) - max(run.started_s, since_s)) for run in entry.runs
    )
    return inside_s / whole_s


def _sum(key: str, parts: Sequence[_Part]) -> Usage:
    energies = [_energy(part) for part in parts]
    known = [
        (part, energy)
        for part, energy in zip(parts, energies, strict=True)
        if energy is not None and _gpu_seconds(part)
    ]
    seconds = sum(_gpu_seconds(part) for part, _ in known)
    return Usage(
        key,
        jobs=len({(part.entry.job, part.entry.submitted_s) for part in parts}),
        gpu_seconds=sum(map(_gpu_seconds, parts)),
        slice_seconds=sum(map(_slice_seconds, parts)),
        energy_j=_added(energies),
        cost=_added([_of_energy(part, part.entry.cost) for part in parts]),
        co2_g=_added([_of_energy(part, part.entry.co2_g) for part in parts]),
        mean_w=sum(energy for _, energy in known) / seconds if seconds else None,
        without_energy=sum(
            part.entry.energy_j is None and bool(part.entry.gpus or part.entry.slices)
            for part in parts
        ),
    )


def _gpu_seconds(part: _Part) -> float:
    seconds = part.entry.gpu_seconds * part.share
    return seconds if part.gpu is None else seconds / max(1, len(part.entry.gpus))


def _slice_seconds(part: _Part) -> float:
    runs_s = sum(run.ended_s - run.started_s for run in part.entry.runs)
    return len(part.entry.slices) * runs_s * part.share


def _energy(part: _Part) -> float | None:
    entry = part.entry
    if part.gpu is None or entry.energy_j is None:
        return None if entry.energy_j is None else entry.energy_j * part.share
    return entry.gpu_energy_j.get(part.gpu, 0.0) * part.share


def _of_energy(part: _Part, value: float | None) -> float | None:
    """What goes with energy, divided as the energy is."""
    energy_j = _energy(part)
    if value is None or energy_j is None:
        return None
    return value * energy_j / part.entry.energy_j if part.entry.energy_j else 0.0


def _added(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _calendar(since_s: float, until_s: float, by: By) -> Iterator[tuple[str, float, float]]:
    """The local days or months of a span, each with its beginning and end within it."""
    pattern = "%Y-%m-%d" if by == "day" else "%Y-%m"
    start_s = since_s
    while start_s < until_s:
        end_s = min(until_s, next_day(start_s) if by == "day" else next_month(start_s))
        yield time.strftime(pattern, time.localtime(start_s)), start_s, end_s
        start_s = end_s


def day_of(time_s: float) -> float:
    """The local midnight before a time."""
    local = time.localtime(time_s)
    return time.mktime((local.tm_year, local.tm_mon, local.tm_mday, 0, 0, 0, 0, 0, -1))


def next_day(time_s: float) -> float:
    """The local midnight after a time; a day has 23 or 25 hours when the clocks change."""
    local = time.localtime(time_s)
    return time.mktime((local.tm_year, local.tm_mon, local.tm_mday + 1, 0, 0, 0, 0, 0, -1))


def month_of(time_s: float) -> float:
    """The beginning of the local month."""
    local = time.localtime(time_s)
    return time.mktime((local.tm_year, local.tm_mon, 1, 0, 0, 0, 0, 0, -1))


def next_month(time_s: float) -> float:
    """The beginning of the local month after."""
    local = time.localtime(time_s)
    return time.mktime((local.tm_year, local.tm_mon + 1, 1, 0, 0, 0, 0, 0, -1))
