"""The learning rate of each step."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """A straight warm-up, then half a cosine (Loshchilov, Hutter 2016, arXiv 1608.03983), or flat
    and at last straight down (warm-up, stable, decay: Hu et al. 2024, arXiv 2404.06395)."""

    kind: str
    """cosine or wsd."""
    steps: int
    warmup_steps: int
    cooldown_steps: int
    """Of wsd."""
    final: float
    """Where it ends, as a share of the highest."""

    def share(self, step: int) -> float:
        """Of the highest learning rate, for the step after `step`."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        if self.kind == "wsd":
            begin = max(self.warmup_steps, self.steps - self.cooldown_steps)
            falls = max(0.0, (step - begin) / max(1, self.steps - begin))
            return 1.0 - (1.0 - self.final) * falls
        gone = (step - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
        return self.final + (1.0 - self.final) * 0.5 * (1.0 + math.cos(math.pi * gone))
