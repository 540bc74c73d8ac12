"""The figures of one GPU while they are gathered: what could be read, and why the rest could not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from cockpit.agent.telemetry.nvml.library import ReadError, check, error_name
from cockpit.agent.telemetry.source import METRICS

_EMPTY: Mapping[str, Any] = {
    "throttle_reasons": (),
    "throttle_times_s": {},
    "processes": (),
    "nvlinks": (),
    "slices": (),
}
"""What a figure that is a collection holds while it is not readable."""


class Figures:
    """`values` and `errors` are what a Gpu is made from."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {**dict.fromkeys(METRICS), **_EMPTY}
        self.errors: dict[str, str] = {}

    def note(self, metric: str, reason: str | None) -> None:
        """Say why a figure is not readable, or that it is (None)."""
        # The mapping is in the hands of readers of older passes, so it is replaced, not changed.
        if reason is not None:
            if self.errors.get(metric) != reason:
                self.errors = {**self.errors, metric: reason}
        elif metric in self.errors:
            self.errors = {name: text for name, text in self.errors.items() if name != metric}

    def failed(self, metrics: Sequence[str], code: int) -> None:
        """A call for these figures was refused. Raises DriverGoneError and GpuLostError."""
        with suppress(ReadError):
            check(code)
        for metric in metrics:
            self.values[metric] = _EMPTY.get(metric)
            self.note(metric, error_name(code))

    def readable(self, metrics: Sequence[str]) -> None:
        """A call for these figures was answered."""
        if self.errors:
            for metric in metrics:
                self.note(metric, None)
