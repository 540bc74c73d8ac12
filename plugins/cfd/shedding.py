"""The frequency at which vortices leave an obstacle, from its lift."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

SAMPLES_PER_CYCLE = 30
"""About so many samples of the lift are taken while a vortex pair is shed."""
EXPECTED = 0.2
"""A Strouhal number like most bluff bodies': only for how often the lift is looked at."""
CYCLES = 6
"""So many cycles must be in sight before a frequency is told."""
KEPT = 4096
"""Samples, of which the latest are looked at."""
AGREE = 0.03
"""Both halves of what is in sight must give the same frequency up to this share."""
CONCENTRATION = 0.5
"""Share of the lift's variation that must lie at the frequency and its neighbours."""


@dataclass(frozen=True)
class Shed:
    """What the lift tells once vortices leave regularly."""

    strouhal: float
    """Frequency × length / speed of the stream."""
    cycles: float
    """How many of them it was found from."""
    drag: float
    """Mean over these."""
    lift_amplitude: float
    """√2 times the root mean square of the lift's swing."""


class Shedding:
    """Evenly spaced samples of drag and lift, and the frequency in them.

    The method: the later half of the samples, less their mean, under a Hann window; the greatest
    peak of their periodogram, interpolated by a parabola through the logarithms of three points
    (Gasior, Gonzalez 2004, doi 10.1063/1.1831158). It is told only when there are enough cycles,
    when most of the variation lies in the peak, and when both halves agree.
    """

    def __init__(self, length: float, speed: float, every: int | None = None) -> None:
        self.length, self.speed = length, speed
        self.every = every or max(1, round(length / (EXPECTED * speed * SAMPLES_PER_CYCLE)))
        """Steps from one sample to the next."""
        self._samples: list[tuple[float, float]] = []

    @property
    def samples(self) -> Any:
        """Drag and lift so far, n × 2."""
        return np.array(self._samples, dtype=np.float64).reshape(-1, 2)

    def restore(self, samples: Any) -> None:
        """Go on from the samples of an earlier run."""
        self._samples = [(float(drag), float(lift)) for drag, lift in samples][-KEPT:]

    def add(self, drag: float, lift: float) -> None:
        """The next sample, `every` steps after the last one."""
        self._samples.append((drag, lift))
        del self._samples[:-KEPT]

    def found(self) -> Shed | None:
        """The frequency, or None while it is not established."""
        recent = self.samples[len(self._samples) // 2 :]
        if len(recent) < 2 * CYCLES * 4 or not np.isfinite(recent).all():
            return None
        lift = recent[:, 1]
        frequency, share = peak(lift)
        cycles = frequency * len(lift)
        if cycles < CYCLES or share < CONCENTRATION:
            return None
        middle = len(lift) // 2
        halves = [peak(lift[:middle])[0], peak(lift[middle:])[0]]
        if max(abs(half / frequency - 1) for half in halves) > AGREE:
            return None
        return Shed(
            strouhal=frequency / self.every * self.length / self.speed,
            cycles=cycles,
            drag=float(recent[:, 0].mean()),
            lift_amplitude=float(np.sqrt(2) * lift.std()),
        )


def peak(signal: Any) -> tuple[float, float]:
    """The strongest frequency in `signal`, in cycles per sample, and its share of the variation."""
    swing = (signal - signal.mean()) * np.hanning(len(signal))
    power = np.abs(np.fft.rfft(swing)) ** 2
    power[0] = 0.0
    total = power.sum()
    top = int(power.argmax())
    if total <= 0.0 or not 1 < top < len(power) - 1:
        return 0.0, 0.0
    left, middle, right = np.log(np.maximum(power[top - 1 : top + 2], total * 1e-30))
    shift = 0.5 * (left - right) / (left - 2 * middle + right)
    # A Hann window spreads a pure tone over two bins to either side.
    share = power[max(1, top - 2) : top + 3].sum() / total
    return float((top + shift) / len(signal)), float(share)
