"""What else is measured during a window: this client's own CPU and delay, the machine, the energy."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from energy import Energy, Meter
from figures import percentile

LAG_INTERVAL_S = 0.02


@dataclass(frozen=True)
class Observed:
    """During one window."""

    client_cpu_percent: float | None
    """Of one core: a client runs in one thread, so that at 100 it is what limits."""
    lag_p99_s: float | None
    """How late the client's own clock ticks were: its times are no more exact than that."""
    machine_cpu_percent: float | None
    """Of all cores of the machine that the client runs on."""
    energy: Energy
    served_tokens: float | None = None
    """Tokens that the server says it has made in that time, for whomever."""


class Watch:
    """Begin and end of a window; `served` asks the server how many tokens it has made so far."""

    def __init__(self, meter: Meter, served: Callable[[], Awaitable[float | None]]) -> None:
        self._meter, self._served = meter, served
        self._lags: list[float] = []
        self._ticker: asyncio.Task[None] | None = None

    def nothing(self) -> Observed:
        """Of a window in which nothing was to be measured."""
        return Observed(None, None, None, Energy(None, "nothing was answered"))

    async def begin(self) -> None:
        self._tokens = await self._served()
        self._lags = []
        self._ticker = asyncio.create_task(self._tick())
        self._machine = _machine_s()
        self._begun_s, self._cpu_s = time.monotonic(), time.process_time()
        self._meter.begin()

    async def end(self) -> Observed:
        energy = self._meter.end()
        passed_s = time.monotonic() - self._begun_s
        cpu_percent = 100.0 * (time.process_time() - self._cpu_s) / passed_s
        machine = _busy_percent(self._machine, _machine_s())
        tokens = await self._served()
        if self._ticker is not None:
            self._ticker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticker
        lag_s = percentile(sorted(self._lags), 99) if self._lags else None
        served = None if tokens is None or self._tokens is None else tokens - self._tokens
        return Observed(cpu_percent, lag_s, machine, energy, served)

    async def _tick(self) -> None:
        while True:
            due_s = time.monotonic() + LAG_INTERVAL_S
            await asyncio.sleep(LAG_INTERVAL_S)
            self._lags.append(max(0.0, time.monotonic() - due_s))
            self._meter.look()


def _machine_s() -> tuple[float, float] | None:
    """Idle and all ticks of the machine's cores so far; None where /proc does not tell."""
    try:
        ticks = [float(each) for each in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    except (OSError, ValueError):
        return None
    return ticks[3] + ticks[4], sum(ticks)


def _busy_percent(
    before: tuple[float, float] | None, after: tuple[float, float] | None
) -> float | None:
    if before is None or after is None or after[1] <= before[1]:
        return None
    return 100.0 * (1.0 - (after[0] - before[0]) / (after[1] - before[1]))
