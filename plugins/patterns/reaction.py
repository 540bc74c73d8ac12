"""The Gray-Scott reaction: a food u and a product v, which spread and react as u + 2 v → 3 v.

    u' = 0.16 ∇²u − u v² + feed (1 − u)
    v' = 0.08 ∇²v + u v² − (feed + kill) v

Pearson, Complex patterns in a simple system, Science 261 (1993), doi:10.1126/science.261.5118.189;
the rates of spreading are per step and cell, half of what is stable in two dimensions.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SPREAD_FOOD, SPREAD_PRODUCT = 0.16, 0.08
BYTES_PER_CELL = 16
"""Of a step, at least: two fields of four bytes, each read and written once."""
FLOPS_PER_CELL = 23

Field = NDArray[np.float32]


class Dish:
    """A square dish whose opposite edges touch; every field has shape (size, size)."""

    def __init__(self, size: int, feed: float, kill: float, seed: int) -> None:
        self.feed, self.kill = feed, kill
        self.steps = 0
        self.food: Field = np.ones((size, size), np.float32)
        self.product: Field = np.zeros((size, size), np.float32)
        random = np.random.default_rng(seed)
        side = max(4, min(20, size // 8))
        for _ in range(12):
            y, x = random.integers(0, size - side, 2)
            self.food[y : y + side, x : x + side] = 0.5
            self.product[y : y + side, x : x + side] = 0.25
        self.product += random.uniform(0, 0.02, (size, size)).astype(np.float32)
        self._make_room()

    def _make_room(self) -> None:
        self._around = np.empty_like(self.food)
        self._reacted = np.empty_like(self.food)

    def step(self, count: int = 1) -> None:
        """Take `count` steps, in place."""
        food, product, reacted = self.food, self.product, self._reacted
        for _ in range(count):
            np.multiply(product, product, out=reacted)
            reacted *= food
            self._advance(food, SPREAD_FOOD, self.feed)
            food += self.feed
            food -= reacted
            self._advance(product, SPREAD_PRODUCT, self.feed + self.kill)
            product += reacted
        self.steps += count

    def _advance(self, field: Field, rate: float, loss: float) -> None:
        """Spread `field` by `rate` times its five-point Laplacian, and take `loss` of it away."""
        around = self._around
        np.add(field[:-2], field[2:], out=around[1:-1])
        np.add(field[-1], field[1], out=around[0])
        np.add(field[-2], field[0], out=around[-1])
        around[:, 1:-1] += field[:, :-2]
        around[:, 1:-1] += field[:, 2:]
        around[:, 0] += field[:, -1] + field[:, 1]
        around[:, -1] += field[:, -2] + field[:, 0]
        around *= rate
        field *= 1 - 4 * rate - loss
        field += around

    def covered_percent(self) -> float:
        """The share of cells in which there is product."""
        return float(np.mean(self.product > 0.1)) * 100

    def save(self, path: Path) -> None:
        """Write everything to go on from, at once."""
        draft = path.with_suffix(".draft.npz")
        np.savez(draft, food=self.food, product=self.product, steps=self.steps)
        draft.replace(path)

    def load(self, path: Path) -> None:
        """Go on from what `save` wrote. Raises OSError or ValueError if it is no such file."""
        with np.load(path, allow_pickle=False) as saved:
            food, product = saved["food"], saved["product"]
            if food.shape != product.shape or food.ndim != 2 or food.shape[0] != food.shape[1]:
                raise ValueError("its fields are no square")
            self.food, self.product = food.astype(np.float32), product.astype(np.float32)
            self.steps = int(saved["steps"])
        self._make_room()
