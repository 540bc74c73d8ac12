"""AdamW for all weights, or Muon for the matrices inside and AdamW for the rest."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

BETAS = (0.9, 0.95)
BYTES = {"adamw": 16, "muon": 12}
"""For each parameter: weight, gradient, and the averages of these, in float32."""


class Optimizers:
    """One or two of PyTorch's, stepped as one.

    Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon) is PyTorch's own; its steps are
    scaled to the length of AdamW's (Liu et al. 2025, arXiv 2502.16982), so that one learning rate
    serves both.
    """

    def __init__(
        self, model: nn.Module, kind: str, learning_rate: float, weight_decay: float, fused: bool
    ) -> None:
        self._peak = learning_rate
        inside = [
            each
            for name, each in model.named_parameters()
            if each.dim() == 2 and "embed_tokens" not in name
        ]
        matrices = {id(each) for each in inside} if kind == "muon" else set()
        others = [each for each in model.parameters() if id(each) not in matrices]
        decayed = [each for each in others if each.dim() > 1]
        kept = [each for each in others if each.dim() < 2]
        groups = [{"params": decayed}, {"params": kept, "weight_decay": 0.0}]
        self._all: list[Any] = [
            torch.optim.AdamW(
                groups, lr=learning_rate, betas=BETAS, weight_decay=weight_decay, fused=fused
            )
        ]
        if matrices:
            self._all.append(
                torch.optim.Muon(
                    inside,
                    lr=learning_rate,
                    weight_decay=weight_decay,
                    momentum=0.95,
                    nesterov=True,
                    adjust_lr_fn="match_rms_adamw",
                )
            )

    def step(self, share: float) -> float:
        """With `share` of the highest learning rate. Returns the rate; the gradients are gone."""
        for each in self._all:
            for group in each.param_groups:
                group["lr"] = share * self._peak
            each.step()
            each.zero_grad(set_to_none=True)
        return share * self._peak

    def state(self) -> list[Any]:
        return [each.state_dict() for each in self._all]

    def restore(self, state: list[Any]) -> None:
        for each, saved in zip(self._all, state, strict=True):
            each.load_state_dict(saved)
