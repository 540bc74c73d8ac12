"""The shape of a model: by a name, or by its depth alone."""

from __future__ import annotations

from dataclasses import dataclass

HEAD = 64
"""Width of an attention head, if only the depth is chosen."""


@dataclass(frozen=True)
class Shape:
    """Of a Llama (Touvron et al. 2023, arXiv 2302.13971) with grouped queries (2305.13245)."""

    layers: int
    width: int
    heads: int
    kv_heads: int
    inner: int
    """Width inside of an MLP."""
    vocabulary: int = 0
    sequence: int = 0
    """Longest text, in tokens."""

    @property
    def head(self) -> int:
        return self.width // self.heads

    @property
    def parameters_of_layers(self) -> int:
        """Of all matrices between the embedding and the head."""
        attention = 2 * self.width * self.head * (self.heads + self.kv_heads)
        return self.layers * (attention + 3 * self.width * self.inner)

    @property
    def parameters(self) -> int:
        """All of them. The embedding is the head too, so it counts once."""
        norms = (2 * self.layers + 1) * self.width
        return self.parameters_of_layers + self.vocabulary * self.width + norms

    @property
    def flops_per_token(self) -> float:
        """Operations to learn one token, forward and backward: six for each weight of a product,
        and attention over the whole row, as MFU is defined (Chowdhery et al. 2022, arXiv
        2204.02311, appendix B). What is computed twice does not count."""
        products = self.parameters_of_layers + self.vocabulary * self.width
        return 6.0 * products + 12.0 * self.layers * self.width * self.sequence


SIZES = {
    "pocket": Shape(6, 256, 4, 2, 704),
    "100m": Shape(12, 768, 12, 4, 2048),
    "300m": Shape(24, 1024, 16, 8, 2816),
    "1b": Shape(16, 2048, 32, 8, 8192),
    "3b": Shape(28, 3072, 24, 8, 8192),
}
"""The last two have the layers of Llama 3.2's."""


def of_depth(layers: int) -> Shape:
    """One dial: a model of `layers` layers is 64 times as wide, with a head for each of them.

    Queries are not grouped: how they could be depends on the divisors of the depth, and a deeper
    model would sometimes be smaller.
    """
    width = HEAD * layers
    inner = -(-8 * width // 3 // 64) * 64
    return Shape(layers, width, layers, layers, inner)
