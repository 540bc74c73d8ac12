"""The operations that a fused kernel may take the place of, in plain PyTorch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

LOGITS_AT_ONCE = 1 << 27
"""Of more, a part is made at a time and made again backward, so that no memory holds them all."""


def linear_cross_entropy(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """The summed cross-entropy of logits `hidden @ weight.T` (nats, float32).

    hidden [rows, width], weight [vocabulary, width], targets [rows] of token ids.
    """
    rows = max(1, LOGITS_AT_ONCE // weight.shape[0])
    if len(hidden) <= rows:
        return _summed_loss(hidden, weight, targets)
    parts = zip(hidden.split(rows), targets.split(rows), strict=True)
    losses = [
        checkpoint(_summed_loss, part, weight, goal, use_reentrant=False) for part, goal in parts
    ]
    return torch.stack(losses).sum()


def add_rms_norm(
    residual: Tensor, added: Tensor, weight: Tensor, eps: float
) -> tuple[Tensor, Tensor]:
    """The sum of both [..., width], and it normalized to a root mean square of `weight` [width]
    (Zhang, Sennrich 2019, arXiv 1910.07467)."""
    total = residual + added
    return total, functional.rms_norm(total.float(), weight.shape, weight, eps)


def swiglu(gate: Tensor, up: Tensor) -> Tensor:
    """silu(gate) · up, of the same shape (Shazeer 2020, arXiv 2002.05202)."""
    return functional.silu(gate) * up


def rope(query: Tensor, key: Tensor, cosine: Tensor, sine: Tensor) -> tuple[Tensor, Tensor]:
    """Both turned by their places (Su et al. 2021, arXiv 2104.09864), the halves of a head as pairs.

    query [batch, heads, places, head], key [batch, kv heads, places, head], cosine and sine
    [places, head]. Returns their own dtypes.
    """
    return _turned(query, cosine, sine), _turned(key, cosine, sine)


def _turned(each: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    first, second = each.chunk(2, dim=-1)
    return (each * cosine + torch.cat((-second, first), dim=-1) * sine).to(each.dtype)


def _summed_loss(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    return functional.cross_entropy(
        functional.linear(hidden, weight).float(), targets, reduction="sum"
    )
