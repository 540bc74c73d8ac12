"""What was chosen, checked, and made into a recipe."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from schedule import Schedule
from sizes import SIZES, Shape, of_depth

LEARNING_RATES = {"muon": 2e-3, "adamw": 1e-3}
EVALUATIONS = 10
"""In a run, if nobody said how often."""
SAVE_S = 300.0
"""From one checkpoint to the next, if nobody said how many steps."""


@dataclass(frozen=True)
class Recipe:
    """How to train: what must be the same for two runs to have the same loss curve."""

    shape: Shape
    schedule: Schedule
    batch: int
    """Rows of one step, on all GPUs together."""
    micro_batch: int
    optimizer: str
    learning_rate: float
    weight_decay: float
    clip: float
    seed: int

    @property
    def steps(self) -> int:
        return self.schedule.steps

    def as_values(self) -> dict[str, Any]:
        """By the names of the options, for a checkpoint."""
        values = dataclasses.asdict(self)
        shape, schedule = values.pop("shape"), values.pop("schedule")
        return {**shape, **schedule, **values}


def check(chosen: Mapping[str, Any]) -> None:
    """Raises ValueError, in words for the person, for what cannot be."""
    for name, known in (
        ("size", tuple(SIZES)),
        ("optimizer", ("muon", "adamw")),
        ("schedule", ("wsd", "cosine")),
        ("precision", ("auto", "bf16", "fp32")),
    ):
        if chosen[name] not in known:
            raise ValueError(f"{chosen[name]!r} is no {name}: choose one of {', '.join(known)}.")
    if chosen["batch"] < 1 or chosen["steps"] < 1 or chosen["sequence"] < 2:
        raise ValueError("There must be at least one step, of one row, of two tokens.")
    if chosen["warmup"] + chosen["cooldown"] > 100 and chosen["schedule"] == "wsd":
        raise ValueError("--warmup and --cooldown are more than 100 % together.")


def shape_of(chosen: Mapping[str, Any], vocabulary: int) -> Shape:
    shape = of_depth(chosen["depth"]) if chosen["depth"] else SIZES[chosen["size"]]
    return dataclasses.replace(shape, vocabulary=vocabulary, sequence=chosen["sequence"])


def recipe_of(chosen: Mapping[str, Any], vocabulary: int, ranks: int) -> Recipe:
    """Raises ValueError if the batch cannot be shared out among the processes."""
    batch, steps = chosen["batch"], chosen["steps"]
    if batch % ranks:
        raise ValueError(
            f"A batch of {batch} rows cannot be shared out among {ranks} processes: choose --batch"
            f" {-(-batch // ranks) * ranks}."
        )
    schedule = Schedule(
        chosen["schedule"],
        steps,
        round(chosen["warmup"] / 100.0 * steps),
        round(chosen["cooldown"] / 100.0 * steps),
        chosen["final_rate"] / 100.0,
    )
    return Recipe(
        shape_of(chosen, vocabulary),
        schedule,
        batch,
        min(chosen["micro_batch"] or batch, batch),
        chosen["optimizer"],
        chosen["learning_rate"] or LEARNING_RATES[chosen["optimizer"]],
        chosen["weight_decay"],
        chosen["clip"],
        chosen["seed"],
    )
