"""A level as it is told: its figures, its energy, and who limits it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from energy import Energy
from figures import Figures, Spread
from watch import Observed

CLIENT_BUSY_PERCENT = 85.0
MACHINE_BUSY_PERCENT = 95.0
LAG_SHARE = 0.5
GROWS = 1.1
KEPT_UP = 0.95
UNSTEADY = 0.2
OTHERS_SHARE, OTHERS_TOKENS = 0.05, 8.0

Cell = str | int | float | None
SUMMARY = (
    "load", "req/s", "out tok/s", "all tok/s", "goodput req/s", "good %", "failed", "J/token",
    "W", "limited by",
)  # fmt: skip
LATENCY = (
    "load", "requests", "TTFT p50 ms", "TTFT p90", "TTFT p99", "ITL p50 ms", "ITL p90", "ITL p99",
    "whole p50 ms", "whole p90", "whole p99", "tokens in", "tokens out",
)  # fmt: skip


@dataclass(frozen=True)
class Level:
    """One level with everything that is known of it."""

    figures: Figures
    observed: Observed | None
    energy: Energy
    limit: str = "—"
    """Who limits it, in words."""
    held_back: int = 0

    @property
    def joules_per_token(self) -> float | None:
        tokens = self.figures.output_tokens_per_s * self.figures.window_s
        return self.energy.joules / tokens if self.energy.joules is not None and tokens else None

    @property
    def power_w(self) -> float | None:
        joules = self.energy.joules
        return None if joules is None else joules / self.figures.window_s

    def document(self) -> dict[str, Any]:
        """For the saved result."""
        return {
            **asdict(self.figures),
            "failed": self.figures.failed,
            "good_percent": self.figures.good_percent,
            "energy_j": self.energy.joules,
            "energy_reason": self.energy.reason or None,
            "joules_per_token": self.joules_per_token,
            "power_w": self.power_w,
            "limit": self.limit,
            "held_back": self.held_back,
            "client_cpu_percent": self.observed and self.observed.client_cpu_percent,
            "client_lag_p99_s": self.observed and self.observed.lag_p99_s,
            "machine_cpu_percent": self.observed and self.observed.machine_cpu_percent,
        }


def load_of(figures: Figures) -> str:
    """`8 at once`, `2.5 req/s`."""
    return f"{figures.level:g} " + ("at once" if figures.loop == "closed" else "req/s")


def claimed(observed: Observed, figures: Figures) -> Energy:
    """The window's energy, unless the server made tokens for others too."""
    ours = figures.output_tokens_per_s * figures.window_s
    served = observed.served_tokens
    if observed.energy.joules is not None and served is not None:
        spare = OTHERS_SHARE * served + OTHERS_TOKENS * max(1.0, figures.level)
        if served - ours > spare:
            told = f"the server made {served:.0f} tokens in the window, {ours:.0f} of them for us"
            return Energy(None, told)
    return observed.energy


def limit_of(figures: Figures, observed: Observed, before: Figures | None) -> str:
    """Who limits this level, as far as can be told: the client's own CPU is looked at first."""
    if (observed.client_cpu_percent or 0.0) > CLIENT_BUSY_PERCENT:
        return f"this client: {observed.client_cpu_percent:.0f} % of a core"
    lag_s, gap_s = observed.lag_p99_s or 0.0, figures.itl.p50_s
    if gap_s is not None and lag_s > max(0.002, LAG_SHARE * gap_s):
        busy = observed.machine_cpu_percent or 0.0
        whose = "the machine is full" if busy > MACHINE_BUSY_PERCENT else "this client"
        return f"{whose}: its clock is {1000 * lag_s:.1f} ms late"
    if figures.loop == "open":
        asked = figures.level
        return "the rate" if figures.requests_per_s >= KEPT_UP * asked else "the server"
    if before is None or before.loop != "closed" or before.level >= figures.level:
        return "—"
    grown = figures.output_tokens_per_s >= GROWS * before.output_tokens_per_s
    return "the requests at once" if grown else "the server"


def remarks(levels: Sequence[Level], asked_tokens: int) -> list[str]:
    """What a reader must know of the levels before believing them."""
    told = []
    for level in levels:
        found, where = level.figures, load_of(level.figures)
        if found.answered and found.answered < 100:
            told.append(f"{where}: {found.answered} answers, so p99 is close to the slowest one")
        if found.halves is not None and abs(found.halves - 1.0) > UNSTEADY:
            told.append(
                f"{where}: not steady, the later half had {found.halves:.2f} times the tokens of"
                " the first; choose a longer --window-s or --warmup-s"
            )
        made = found.output_tokens_mean
        if made is not None and abs(made - asked_tokens) > 0.02 * asked_tokens:
            told.append(f"{where}: answers had {made:.1f} tokens, asked for were {asked_tokens}")
        busy = level.observed and level.observed.machine_cpu_percent
        if busy and busy > MACHINE_BUSY_PERCENT:
            told.append(
                f"{where}: all cores of this machine were {busy:.0f} % busy; where the server runs"
                " on them too, client and server slowed each other"
            )
        if level.held_back:
            told.append(f"{where}: {level.held_back} requests were not sent, too many were open")
    return told


def summary_row(level: Level) -> list[Cell]:
    found = level.figures
    return [
        load_of(found),
        _round(found.requests_per_s),
        _round(found.output_tokens_per_s),
        _round(found.total_tokens_per_s),
        _round(found.goodput_per_s),
        _round(found.good_percent),
        found.failed,
        _round(level.joules_per_token),
        _round(level.power_w),
        level.limit,
    ]


def latency_row(level: Level) -> list[Cell]:
    found = level.figures
    times = [*_ms(found.ttft), *_ms(found.itl), *_ms(found.e2e)]
    lengths = [_round(found.prompt_tokens_mean), _round(found.output_tokens_mean)]
    return [load_of(found), found.requests, *times, *lengths]


def metrics_of(level: Level) -> tuple[int, dict[str, float | None]]:
    """The step of a chart and what is drawn there: a closed loop over the requests at once, an
    open one over the requests per minute, under names of its own."""
    found = level.figures
    values = {
        "output_tokens_per_s": found.output_tokens_per_s,
        "goodput_per_s": found.goodput_per_s,
        "ttft_p50_ms": _ms(found.ttft)[0],
        "ttft_p99_ms": _ms(found.ttft)[2],
        "itl_p50_ms": _ms(found.itl)[0],
        "itl_p99_ms": _ms(found.itl)[2],
        "joules_per_token": level.joules_per_token,
    }
    if found.loop == "closed":
        return round(found.level), values
    return round(60 * found.level), {f"open_{name}": value for name, value in values.items()}


def _ms(spread: Spread) -> list[float | None]:
    return [
        None if seconds is None else _round(1000.0 * seconds)
        for seconds in (spread.p50_s, spread.p90_s, spread.p99_s)
    ]


def _round(value: float | None) -> float | None:
    """To four digits: no figure here is more exact than that."""
    return None if value is None else float(f"{value:.4g}")
