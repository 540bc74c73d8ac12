"""What the model writes by now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from model import Llama

TEMPERATURE = 0.8
BEST = 50
"""Tokens among which the dice choose."""


@torch.no_grad()
def go_on(
    model: Llama,
    given: Sequence[int],
    count: int,
    end: int,
    seed: int,
    autocast: Callable[[], Any],
) -> list[int]:
    """`given` tokens and at most `count` more. Its dice are its own: training is not disturbed."""
    device = model.embedding.device
    dice = torch.Generator().manual_seed(seed)
    ids = list(given)
    model.eval()
    for _ in range(count):
        window = torch.tensor([ids[-model.shape.sequence :]], device=device)
        with autocast():
            logits = model.logits(window)[0, -1]
        best, which = logits.float().cpu().topk(min(BEST, len(logits)))
        drawn = torch.multinomial((best / TEMPERATURE).softmax(0), 1, generator=dice)
        ids.append(int(which[drawn]))
        if ids[-1] == end:
            break
    model.train()
    return ids
