"""A Llama, its weights named as in Hugging Face's format."""

from __future__ import annotations

import math

import torch
from operations import add_rms_norm, linear_cross_entropy, rope, swiglu
from sizes import Shape
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

EPS = 1e-5
THETA = 10_000.0
"""Of the slowest turn of RoPE, as in the paper: enough for rows of some thousand tokens."""
DEVIATION = 0.02
"""Of the first weights (Radford et al. 2019); what is added to the residual begins smaller."""


class Norm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, residual: Tensor, added: Tensor) -> tuple[Tensor, Tensor]:
        return add_rms_norm(residual, added, self.weight, EPS)


class Attention(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        keys = shape.kv_heads * shape.head
        self.q_proj = nn.Linear(shape.width, shape.width, bias=False)
        self.k_proj = nn.Linear(shape.width, keys, bias=False)
        self.v_proj = nn.Linear(shape.width, keys, bias=False)
        self.o_proj = nn.Linear(shape.width, shape.width, bias=False)

    def forward(self, given: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        def heads(each: Tensor) -> Tensor:
            return each.unflatten(-1, (-1, self.shape.head)).transpose(1, 2)

        query, key, value = (heads(each(given)) for each in (self.q_proj, self.k_proj, self.v_proj))
        query, key = rope(query, key, cosine, sine)
        mixed = functional.scaled_dot_product_attention(
            query, key, value, is_causal=True, enable_gqa=self.shape.heads != self.shape.kv_heads
        )
        return self.o_proj(mixed.transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(shape.width, shape.inner, bias=False)
        self.up_proj = nn.Linear(shape.width, shape.inner, bias=False)
        self.down_proj = nn.Linear(shape.inner, shape.width, bias=False)

    def forward(self, given: Tensor) -> Tensor:
        return self.down_proj(swiglu(self.gate_proj(given), self.up_proj(given)))


class Layer(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.self_attn = Attention(shape)
        self.mlp = Mlp(shape)
        self.input_layernorm = Norm(shape.width)
        self.post_attention_layernorm = Norm(shape.width)

    def forward(
        self, residual: Tensor, added: Tensor, cosine: Tensor, sine: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The residual and what the layer before adds to it; returns the same of this layer."""
        residual, normed = self.input_layernorm(residual, added)
        residual, normed = self.post_attention_layernorm(
            residual, self.self_attn(normed, cosine, sine)
        )
        return residual, self.mlp(normed)


class Llama(nn.Module):
    """Its embedding is the head too. `recompute` keeps only the borders of layers for backward."""

    def __init__(self, shape: Shape, recompute: bool = False) -> None:
        super().__init__()
        self.shape, self.recompute = shape, recompute
        self.model = nn.ModuleDict(
            {
                "embed_tokens": nn.Embedding(shape.vocabulary, shape.width),
                "layers": nn.ModuleList(Layer(shape) for _ in range(shape.layers)),
                "norm": Norm(shape.width),
            }
        )
        angles = torch.outer(
            torch.arange(shape.sequence).float(),
            THETA ** (-torch.arange(0, shape.head, 2).float() / shape.head),
        )
        angles = torch.cat((angles, angles), dim=-1)
        self.register_buffer("cosine", angles.cos(), persistent=False)
        self.register_buffer("sine", angles.sin(), persistent=False)
        self._begin()

    def forward(self, ids: Tensor, targets: Tensor) -> Tensor:
        """The summed loss of predicting `targets` from `ids`, both [rows, tokens]."""
        hidden = self.hidden(ids).flatten(0, 1)
        return linear_cross_entropy(hidden, self.embedding, targets.flatten())

    def logits(self, ids: Tensor) -> Tensor:
        """[rows, tokens] to [rows, tokens, vocabulary]."""
        return functional.linear(self.hidden(ids), self.embedding)

    def hidden(self, ids: Tensor) -> Tensor:
        """[rows, tokens] to [rows, tokens, width], normalized for the head."""
        residual = self.model["embed_tokens"](ids)
        added = torch.zeros_like(residual)
        cosine, sine = self.cosine[: ids.shape[1]], self.sine[: ids.shape[1]]
        for layer in self.model["layers"]:
            if self.recompute and self.training:
                residual, added = checkpoint(
                    layer, residual, added, cosine, sine, use_reentrant=False
                )
            else:
                residual, added = layer(residual, added, cosine, sine)
        hidden: Tensor = self.model["norm"](residual, added)[1]
        return hidden

    @property
    def embedding(self) -> Tensor:
        weight: Tensor = self.model["embed_tokens"].weight
        return weight

    def _begin(self) -> None:
        """The first weights; a residual gets two additions from each layer."""
        for name, weight in self.named_parameters():
            if weight.dim() < 2:
                continue
            adds = name.endswith(("o_proj.weight", "down_proj.weight"))
            nn.init.normal_(
                weight, std=DEVIATION / math.sqrt(2 * self.shape.layers) if adds else DEVIATION
            )
