"""What the person chose, with every 0 that means "what suits" replaced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

METHODS = ("lora", "qlora", "full", "dpo")
LEARNING_RATES = {"lora": 2e-4, "qlora": 2e-4, "full": 1e-5, "dpo": 5e-6}
"""What `learning_rate` 0 means. The adapters' are ten to twenty times that of all weights."""
EVALUATIONS = 10
"""In a run, if nobody said how often."""
SAVE_S = 300.0
"""From one checkpoint to the next, if nobody said how many steps."""


@dataclass(frozen=True)
class Recipe:
    """How to train: what must be the same for two runs to have the same loss curve."""

    method: str
    steps: int
    batch: int
    micro_batch: int
    learning_rate: float
    warmup_steps: int
    weight_decay: float
    clip: float
    beta: float
    seed: int
    rank: int
    alpha: float
    dropout: float
    targets: str
    dora: bool
    rslora: bool
    sequence: int

    @property
    def has_adapter(self) -> bool:
        """Whether an adapter is trained, and the model's own weights stay as they are."""
        return self.method != "full" and self.rank > 0

    @property
    def prefers(self) -> bool:
        return self.method == "dpo"


def check(chosen: Mapping[str, Any]) -> None:
    """Raises ValueError, in words for the person, for what does not go together."""
    method = chosen["method"]
    if method not in METHODS:
        raise ValueError(f"{method!r} is no method: choose one of {', '.join(METHODS)}.")
    if chosen["rank"] == 0 and method in ("lora", "qlora"):
        raise ValueError(
            f"An adapter of rank 0 can learn nothing: choose --rank 8 or more with {method}, or"
            " --method full to train all weights."
        )
    if chosen["plain"] and method == "dpo":
        raise ValueError("--plain is for prompt and completion, which --method dpo does not learn.")
    if chosen["batch"] < 1 or chosen["micro_batch"] < 0:
        raise ValueError("A batch has at least one example.")


def recipe_of(chosen: Mapping[str, Any], steps_per_epoch: int) -> Recipe:
    """The whole recipe, for data of so many steps per epoch."""
    steps = chosen["steps"] or max(1, round(chosen["epochs"] * steps_per_epoch))
    return Recipe(
        method=chosen["method"],
        steps=steps,
        batch=chosen["batch"],
        micro_batch=min(chosen["micro_batch"] or chosen["batch"], chosen["batch"]),
        learning_rate=chosen["learning_rate"] or LEARNING_RATES[chosen["method"]],
        warmup_steps=round(chosen["warmup"] / 100.0 * steps),
        weight_decay=chosen["weight_decay"],
        clip=chosen["clip"],
        beta=chosen["beta"],
        seed=chosen["seed"],
        rank=0 if chosen["method"] == "full" else chosen["rank"],
        alpha=chosen["alpha"] or 2.0 * chosen["rank"],
        dropout=chosen["dropout"],
        targets=chosen["targets"],
        dora=chosen["dora"],
        rslora=chosen["rslora"],
        sequence=chosen["sequence"],
    )
