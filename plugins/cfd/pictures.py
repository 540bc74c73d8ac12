"""Planes through the flow, as the live fields show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

FRAME_WIDTH, FRAME_HEIGHT = 320, 160
"""Points of a live field at most."""

FIELDS = ("vorticity", "pressure", "swirl")
"""What can be shown beside the speed."""

ACROSS = {"xy": 2, "xz": 1, "yz": 0}
"""The part of a velocity (x, y, z) that points out of each plane."""
INSIDE = {"xy": (0, 1), "xz": (0, 2), "yz": (2, 1)}
"""The parts along a plane's columns and up its rows."""


@dataclass(frozen=True)
class Plane:
    """A plane of the tunnel: `name` xy, xz or yz, `share` of the way along the axis across it.

    Its pictures have x along the columns (z for yz), and y up the rows (z for xz).
    """

    name: str = "xy"
    share: float = 0.5

    def __post_init__(self) -> None:
        if self.name not in ACROSS:
            raise ValueError(f"{self.name!r} is no plane: choose xy, xz or yz.")
        if not 0.0 <= self.share <= 1.0:
            raise ValueError(f"A plane lies from 0 to 100 % along, not at {100 * self.share:g} %.")

    def place(self, sizes: tuple[int, int, int]) -> int:
        """The cell across in a lattice of nx × ny × nz; 0.5 is the middle."""
        size = sizes[ACROSS[self.name]]
        return min(size - 1, int(self.share * size))

    def block(self, sizes: Sequence[int]) -> int:
        """Cells per side of one point of a picture of nx × ny × nz cells."""
        columns, rows = (sizes[part] for part in INSIDE[self.name])
        return int(max(np.ceil(columns / FRAME_WIDTH), np.ceil(rows / FRAME_HEIGHT), 1))

    def moments(self, flow: Any, block: int = 1, sight: Any = (slice(None),) * 3) -> Any:
        """Velocity and density less 1 of a `Flow` in this plane, each the mean of a block.

        (rows // block) × (columns // block) × 4, the bottom row first, of what `sight` (slices
        along x, y, z) takes. NaN where half of a block or more is not fluid.
        """
        density, velocity = flow.plane(self.name, self.place((flow.nx, flow.ny, flow.nz)))
        columns, rows = (sight[part] for part in INSIDE[self.name])
        whole = np.concatenate([velocity, density[None] - 1.0])
        return _means(whole[:, rows, columns], block)


@dataclass(frozen=True, eq=False)
class Pictures:
    """What one look at a plane shows: rows × columns, the top row first, NaN where no fluid is.

    Lengths are in cells, speeds in shares of the stream's.
    """

    speed: Any
    vorticity: Any
    """Around the axis out of the plane; above 0 turns from the columns' direction to the rows'."""
    pressure: Any
    """The pressure coefficient: over the pressure at rest, in stagnation pressures."""
    swirl: Any
    """The Q-criterion of the flow within the plane: above 0 where it turns more than it strains
    (Hunt, Wray, Moin 1988). In squares of stream speed per cell."""

    @property
    def fastest(self) -> float:
        """The greatest speed in sight; 0 if no fluid is."""
        known = self.speed[~np.isnan(self.speed)]
        return float(known.max()) if known.size else 0.0


def pictures(moments: Any, plane: Plane, speed: float, block: int) -> Pictures:
    """The pictures of `moments` (rows × columns × 4: velocity and density less 1, bottom row first).

    `speed` is the stream's, `block` the cells per side of a point.
    """
    along, up = INSIDE[plane.name]
    velocity = moments[:, :, :3].astype(np.float64) / speed
    u, v = velocity[:, :, along], velocity[:, :, up]
    du_dy, du_dx = _slopes(u, block)
    dv_dy, dv_dx = _slopes(v, block)
    return Pictures(
        speed=np.sqrt((velocity**2).sum(axis=2))[::-1],
        vorticity=(dv_dx - du_dy)[::-1],
        pressure=(moments[:, :, 3] / 3.0 / (0.5 * speed**2))[::-1],
        swirl=(-0.5 * (du_dx**2 + dv_dy**2 + 2.0 * du_dy * dv_dx))[::-1],
    )


def _means(values: Any, block: int) -> Any:
    """The means of block × block points of `values` (4 × rows × columns), parts last."""
    if block == 1:
        return np.moveaxis(values, 0, -1)
    rows, columns = values.shape[1] // block, values.shape[2] // block
    whole = values[:, : rows * block, : columns * block].astype(np.float64)
    blocks = whole.reshape(4, rows, block, columns, block)
    known = np.isfinite(blocks)
    count = known.sum(axis=(2, 4))
    total = np.where(known, blocks, 0.0).sum(axis=(2, 4))
    return np.moveaxis(total / np.where(2 * count > block * block, count, np.nan), 0, -1)


def _slopes(values: Any, block: int) -> tuple[Any, Any]:
    """The derivatives up the rows and along the columns; 0 across a plane one cell thick."""
    return tuple(  # type: ignore[return-value]
        np.gradient(values, axis=axis) / block if values.shape[axis] > 1 else np.zeros_like(values)
        for axis in (0, 1)
    )
