"""The wind tunnel: an obstacle in a free stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import lattice
import numpy as np
from flow import Flow
from shapes import SMALLEST, Cylinder, Room, Solid

SPEED = 0.08
"""Of the stream, in cells per step: a Mach number of 0.14."""
BGK_TAU_MINIMUM = 0.51
"""Below this relaxation time the BGK collision soon becomes unstable around an obstacle."""
HEIGHT_MINIMUM = 20
LENGTHS = 15
"""The tunnel is so many lengths of its obstacle long, and two to three times its height."""
SIGHT_BEFORE, SIGHT_AFTER, SIGHT_ACROSS = 3.75, 11.25, 2.5
"""Lengths of the obstacle that the live pictures show at most, from its middle."""


@dataclass(frozen=True)
class Tunnel:
    """A tunnel of `height` rows and `depth` cells into the screen with an obstacle in it.

    Around an obstacle that fills the depth the tunnel is periodic in depth, so that a depth of one
    makes a flow in two dimensions; else there is free stream on all sides. `collision` and
    `storage` are those of `Flow`.
    """

    height: int
    depth: int
    reynolds: float
    obstacle: Any = field(default_factory=Cylinder)
    collision: str = "bgk"
    storage: str = "fp32"

    def check(self) -> None:
        """Raise ValueError, in words for the person, if this flow cannot be computed well."""
        if self.height < HEIGHT_MINIMUM or self.depth < 1:
            raise ValueError(
                f"A tunnel is {HEIGHT_MINIMUM} rows high and one cell deep at least,"
                f" not {self.height} and {self.depth}."
            )
        if self.size < SMALLEST:
            raise ValueError(
                f"The {self.obstacle.title} would be {self.size:.1f} cells in size, too few for a"
                f" shape. Choose a height of {int(np.ceil(SMALLEST / self.obstacle.size))} or more,"
                " or a larger size."
            )
        if self.collision == "bgk" and self.tau < BGK_TAU_MINIMUM:
            finest = SPEED * self.size * 3 / (BGK_TAU_MINIMUM - 0.5)
            raise ValueError(
                f"At Reynolds {self.reynolds:g} the eddies are finer than {self.height} rows can"
                " hold with the collision bgk. Choose the collision regularized, a Reynolds number"
                f" up to {finest:.0f}, or a height of"
                f" {int(np.ceil(self.height * self.reynolds / finest))} or more."
            )

    @property
    def cells(self) -> int:
        return self.length * self.height * self.depth

    @property
    def size(self) -> float:
        """The obstacle's length in the Reynolds number, in cells."""
        return float(self.obstacle.size * self.height)

    @property
    def length(self) -> int:
        return round(self.height * min(3.0, max(2.0, LENGTHS * self.obstacle.size)))

    @property
    def viscosity(self) -> float:
        """In lattice units, from the Reynolds number."""
        return SPEED * self.size / self.reynolds

    @property
    def tau(self) -> float:
        """The relaxation time, in steps."""
        return 3.0 * self.viscosity + 0.5

    @property
    def settled_steps(self) -> int:
        """Steps in which the stream passes three lengths. Before, the forces are those of a flow
        that was started at once, many times what they become."""
        return round(3.0 * self.size / SPEED)

    @property
    def room(self) -> Room:
        return Room(self.height, self.length, self.depth)

    @cached_property
    def solid(self) -> Solid:
        """The obstacle's cells. Raises ValueError if they do not fit in here."""
        solid: Solid = self.obstacle.solid(self.room)
        return solid

    @property
    def blockage(self) -> float:
        """The share of the tunnel's cross-section that the obstacle takes."""
        return self.solid.face / (self.height * self.depth)

    @property
    def sight(self) -> tuple[slice, slice, slice]:
        """What is worth a look, along x, y and z: around the obstacle, without the tunnel's sides.

        Around an obstacle of a fifth of the height, that is all.
        """
        z, y, x = self.room.middle
        deep = slice(0, self.depth) if self.obstacle.fills_depth else self._around(z, self.depth)
        before, after = SIGHT_BEFORE * self.size, SIGHT_AFTER * self.size
        long = slice(max(1, round(x - before)), min(self.length - 1, round(x + after)))
        return long, self._around(y, self.height), deep

    def _around(self, middle: float, cells: int) -> slice:
        reach = SIGHT_ACROSS * self.size
        return slice(max(1, round(middle - reach)), min(cells - 1, round(middle + reach)))

    def flags(self) -> Any:
        """What each cell is, depth × height × length."""
        flags = np.full((self.depth, self.height, self.length), lattice.FLUID, dtype=np.uint8)
        box = tuple(
            slice(start, start + extent)
            for start, extent in zip(self.solid.corner, self.solid.cells.shape, strict=True)
        )
        flags[box][self.solid.cells] = lattice.OBSTACLE
        flags[:, :, -1] = lattice.OUTLET
        flags[:, [0, -1], :] = lattice.STREAM
        if not self.obstacle.fills_depth:
            flags[[0, -1]] = lattice.STREAM
        flags[:, :, 0] = lattice.STREAM
        return flags

    def flow(self, device: str | Sequence[str] = "cpu", ripple: float = 0.05) -> Flow:
        """The fluid, moving with the stream everywhere, on the devices of `Flow`.

        `ripple`, a share of its speed, lets it waver across the stream: real air is never quite
        even, and without that the vortices would wait for rounding errors.
        """
        velocity = np.zeros((3, 1, 1, self.length), dtype=np.float32)
        velocity[0] = SPEED
        wave = 2 * np.pi / (5 * self.size)
        velocity[1] = ripple * SPEED * np.sin(wave * np.arange(self.length))
        return Flow(
            self.flags(),
            self.viscosity,
            stream=SPEED,
            velocity=velocity,
            device=device,
            storage=self.storage,
            collision=self.collision,
        )

    def coefficients(self, force: Any) -> tuple[float, float, float]:
        """Drag, lift and side force over the stagnation pressure times the obstacle's area."""
        scale = 0.5 * SPEED**2 * self.solid.area
        return float(force[0] / scale), float(force[1] / scale), float(force[2] / scale)
