"""Two jobs beside each other: what was asked differently, and what came of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from cockpit.model import Job
from cockpit.tui import phrases
from cockpit.tui.job.facts import mass
from cockpit.tui.widgets.scale import short
from cockpit.tui.widgets.table import Column, Row, Span

Parameters = Mapping[str, Any]


def columns(one: Job, other: Job) -> tuple[Column, ...]:
    """The name of each figure, the two jobs, and how the other differs."""
    return (
        Column("", 16, flex=True),
        Column(f"━ #{one.id} {one.name}", 13, right=True),
        Column(f"┅ #{other.id} {other.name}", 13, right=True),
        Column("", 8, right=True),
    )


def compare_rows(
    one: Job,
    other: Job,
    parameters: tuple[Parameters, Parameters],
    indices: dict[str, int],
    now_s: float,
    currency: str,
) -> list[Row]:
    """State, what differs in the parameters, then time, energy and the last of each metric."""
    jobs = (one, other)
    rows = [
        _words("state", [job.state for job in jobs]),
        _words("plugin", [job.plugin or phrases.NONE for job in jobs]),
        _words("on", [phrases.gpu_numbers((*j.gpus, *j.slices), indices) for j in jobs]),
        _title("Parameters that differ"),
        *_parameters(parameters),
        _title("Time and energy"),
        _figures("ran for", [phrases.elapsed(job, now_s) for job in jobs], phrases.length),
        _figures("GPU time", [job.gpu_seconds for job in jobs], phrases.length),
        _figures("energy", [job.energy_j for job in jobs], phrases.energy),
        _figures("cost", [job.cost for job in jobs], lambda v: f"{v:.2f} {currency}".strip()),
        _figures("CO2", [job.co2_g for job in jobs], mass),
        _figures("mean power", [job.power_mean_w for job in jobs], phrases.power),
        _figures("peak power", [job.power_peak_w for job in jobs], phrases.power),
        _figures("peak memory", [job.memory_peak_bytes for job in jobs], phrases.gib),
        _title("Last of each metric"),
    ]
    names = list(dict.fromkeys([*one.metrics, *other.metrics]))
    rows += [
        _figures(name, [job.metrics.get(name) for job in jobs], lambda v: f"{v:.6g}")
        for name in names
    ]
    if not names:
        rows.append(Row("", (("  neither has told any", "muted"), "", "", "")))
    return rows


def _parameters(parameters: tuple[Parameters, Parameters]) -> list[Row]:
    one, other = parameters
    names = [
        name for name in dict.fromkeys([*one, *other]) if one.get(name, ...) != other.get(name, ...)
    ]
    if not names:
        return [Row("", (("  none does", "muted"), "", "", ""))]
    return [
        _words(name, [str(each.get(name, phrases.NONE)) for each in parameters]) for name in names
    ]


def _title(text: str) -> Row:
    return Row("", ((text, "text bold"), "", "", ""))


def _words(name: str, pair: Sequence[str]) -> Row:
    ink = "text" if pair[0] != pair[1] else "muted"
    return Row("", ((f"  {name}", "muted"), (pair[0], ink), (pair[1], ink), ""))


def _figures(name: str, pair: Sequence[float | None], words: Any) -> Row:
    shown: list[Span] = [
        (phrases.NONE, "muted") if value is None else (words(value), "text") for value in pair
    ]
    return Row("", ((f"  {name}", "muted"), *shown, (_difference(*pair), "muted")))


def _difference(one: float | None, other: float | None) -> str:
    """By how much the other is more or less: in percent, or as a factor where that says more."""
    if one is None or other is None or not math.isfinite(one) or not math.isfinite(other):
        return ""
    if one == other:
        return "same"
    if one <= 0 or other < 0:
        return f"{'+' if other > one else '−'}{short(abs(other - one))}"
    ratio = other / one
    return f"×{ratio:.3g}" if ratio >= 2 else f"{(ratio - 1) * 100:+.1f} %".replace("-", "−")
