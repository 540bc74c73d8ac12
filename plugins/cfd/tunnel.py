"""The wind tunnel: an obstacle in a free stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import lattice
import numpy as np
from flow import Flow
from slabs import SLAB_CELLS

SPEED = 0.08
"""Of the stream, in cells per step: a Mach number of 0.14."""
TAU_MINIMUM = 0.51
"""Below this relaxation time the BGK collision soon becomes unstable around an obstacle."""
HEIGHT_MINIMUM = 20
ROWS_PER_DIAMETER = 5
LENGTH_PER_HEIGHT = 3
FRAME_WIDTH, FRAME_HEIGHT = 320, 160


@dataclass(frozen=True)
class Tunnel:
    """A tunnel of `height` rows, three times as long, and `depth` cells deep (periodic).

    Raises ValueError, in words for the person, if this flow cannot be computed well.
    """

    height: int
    depth: int
    reynolds: float
    obstacle: str = "cylinder"

    def __post_init__(self) -> None:
        if self.height < HEIGHT_MINIMUM or self.depth < 1:
            raise ValueError(
                f"A tunnel is {HEIGHT_MINIMUM} rows high and one cell deep at least,"
                f" not {self.height} and {self.depth}."
            )
        if self.obstacle == "sphere" and self.depth < self.height // 2:
            raise ValueError(
                f"A sphere needs room on all sides: a depth of {self.height // 2} cells or more,"
                f" not {self.depth}."
            )
        cells = self.length * self.height * self.depth
        if cells > SLAB_CELLS:
            raise ValueError(
                f"{self.length} × {self.height} × {self.depth} is {cells:,} cells, more than the"
                f" {SLAB_CELLS:,} possible. Choose a smaller height or depth."
            )
        if self.tau < TAU_MINIMUM:
            finest = SPEED * self.diameter * 3 / (TAU_MINIMUM - 0.5)
            raise ValueError(
                f"At Reynolds {self.reynolds:g} the eddies are finer than {self.height} rows can"
                f" hold. Choose a Reynolds number up to {finest:.0f}, or a height of"
                f" {int(np.ceil(self.height * self.reynolds / finest))} or more."
            )

    @property
    def length(self) -> int:
        """Cells along the stream."""
        return LENGTH_PER_HEIGHT * self.height

    @property
    def diameter(self) -> float:
        """Of the obstacle, in cells."""
        return self.height / ROWS_PER_DIAMETER

    @property
    def viscosity(self) -> float:
        """In lattice units, from the Reynolds number of the diameter."""
        return SPEED * self.diameter / self.reynolds

    @property
    def tau(self) -> float:
        """The relaxation time, in steps."""
        return 3.0 * self.viscosity + 0.5

    @property
    def settled_steps(self) -> int:
        """Steps in which the stream passes three diameters. Before, the forces are those of a flow
        that was started at once, many times what they become."""
        return round(3.0 * self.diameter / SPEED)

    @property
    def block(self) -> int:
        """Cells per side of one point of the live fields."""
        return int(max(np.ceil(self.length / FRAME_WIDTH), np.ceil(self.height / FRAME_HEIGHT)))

    def flags(self) -> Any:
        """What each cell is, depth × height × length."""
        z, y, x = np.ogrid[: self.depth, : self.height, : self.length]
        squares = (x - self.length / 4) ** 2 + (y - (self.height - 1) / 2) ** 2
        if self.obstacle == "sphere":
            squares = squares + (z - (self.depth - 1) / 2) ** 2
        shape = (self.depth, self.height, self.length)
        inside = np.broadcast_to(squares < (self.diameter / 2) ** 2, shape)
        flags = np.where(inside, lattice.OBSTACLE, lattice.FLUID).astype(np.uint8)
        flags[:, :, -1] = lattice.OUTLET
        flags[:, [0, -1], :] = lattice.STREAM
        flags[:, :, 0] = lattice.STREAM
        return flags

    def flow(self, device: str = "cpu", ripple: float = 0.05) -> Flow:
        """The fluid, moving with the stream everywhere.

        `ripple`, a share of its speed, lets it waver across the stream: real air is never quite
        even, and without that the vortices would wait for rounding errors.
        """
        shape = (self.depth, self.height, self.length)
        velocity = np.zeros((3, *shape), dtype=np.float32)
        velocity[0] = SPEED
        velocity[1] = ripple * SPEED * np.sin(2 * np.pi * np.arange(self.length) / self.height)
        return Flow(self.flags(), self.viscosity, stream=SPEED, velocity=velocity, device=device)

    def coefficients(self, force: Any) -> tuple[float, float]:
        """Drag and lift: the force over the stagnation pressure on the obstacle's face."""
        face = self.diameter * self.depth
        if self.obstacle == "sphere":
            face = np.pi * self.diameter**2 / 4
        scale = 0.5 * SPEED**2 * face
        return float(force[0] / scale), float(force[1] / scale)


def fields(velocity: Any, block: int) -> tuple[Any, Any]:
    """Speed and vorticity of a slice (rows × columns × 3), as shares of the stream's speed.

    Vorticity (dv/dx - du/dy, times 1 / stream speed) is per cell. NaN stays where there is no
    fluid, and beside it in the vorticity. The top row comes first.
    """
    u, v = velocity[:, :, 0] / SPEED, velocity[:, :, 1] / SPEED
    vorticity = (np.gradient(v, axis=1) - np.gradient(u, axis=0)) / block
    return np.hypot(u, v)[::-1], vorticity[::-1]
