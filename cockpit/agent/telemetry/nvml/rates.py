"""Bytes per second from counters, for GPUs that do not measure them themselves."""

from __future__ import annotations

from collections.abc import Sequence

from cockpit.agent.telemetry.nvml.fields import Value

KIB = 1 << 10


class CounterRates:
    """The rates of several counters; `read` them with the time of each pass."""

    def __init__(self, names: Sequence[str], factors: Sequence[int]) -> None:
        self.names = tuple(names)
        self.rates: dict[str, float] = {}
        """Bytes per second of each counter that could be read twice."""
        self._factors = tuple(factors)
        self._before: Sequence[Value] = ()
        self._before_s = 0.0

    def read(self, counters: Sequence[Value], now_s: float) -> None:
        """`counters` in the order of the names, in their own unit; None where not readable."""
        passed_s = now_s - self._before_s
        rates: dict[str, float] = {}
        if self._before and passed_s > 0:
            for name, factor, old, new in zip(
                self.names, self._factors, self._before, counters, strict=True
            ):
                # A counter that went back has begun anew: the driver was reloaded.
                if old is not None and new is not None and new >= old:
                    rates[name] = (new - old) * factor / passed_s
        self.rates = rates
        self._before, self._before_s = tuple(counters), now_s
