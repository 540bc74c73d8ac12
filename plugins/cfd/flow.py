"""A flow on the lattice: its arrays, its steps, and what can be read from it."""

from __future__ import annotations

from typing import Any

import kernels
import numpy as np
import warp as wp

MAX_CELLS = (2**31 - 1) // 19
"""Populations are counted in 32-bit integers."""


class Flow:
    """`flags` (nz × ny × nx, of `kernels.FLUID` and so on) with a fluid of `viscosity` in it.

    All axes are periodic; walls, inflow and outlet are cells with a flag. `stream` is the speed
    along x of the cells marked STREAM, one value for each y. `velocity` (3 × nz × ny × nx) and
    `density` (nz × ny × nx) are the state at the start, by default at rest. Lattice units.

    Raises ValueError if there are more cells than 32-bit integers can count.
    """

    def __init__(
        self,
        flags: Any,
        viscosity: float,
        stream: Any = None,
        velocity: Any = None,
        density: Any = None,
        device: str = "cpu",
    ) -> None:
        self.nz, self.ny, self.nx = flags.shape
        self.cells = flags.size
        if self.cells > MAX_CELLS:
            raise ValueError(f"{self.cells:,} cells are more than the {MAX_CELLS:,} possible")
        self.device = device
        self.tau = 3.0 * viscosity + 0.5
        flags = _with_edges(flags)
        fluid = flags < kernels.WALL
        self.fluid_cells = int(fluid.sum())
        self.steps = 0
        self._flags = wp.array(flags.ravel(), dtype=wp.uint8, device=device)
        speed = np.zeros(self.ny) if stream is None else np.broadcast_to(stream, self.ny)
        self._stream = wp.array(speed, dtype=wp.float32, device=device)
        self._source = wp.empty(19 * self.cells, dtype=wp.float32, device=device)
        self._target = wp.zeros(19 * self.cells, dtype=wp.float32, device=device)
        shape = (self.nz, self.ny, self.nx)
        self._start(
            np.ones(shape) if density is None else density,
            np.zeros((3, *shape)) if velocity is None else velocity * fluid,
        )
        edges = np.flatnonzero(_touches(flags, kernels.OBSTACLE) & fluid)
        self._edges = wp.array(edges, dtype=wp.int32, device=device)
        self._forces = wp.zeros(len(edges), dtype=wp.vec3, device=device)

    @property
    def bytes_per_step(self) -> int:
        """What one step must move: each fluid cell's populations in and out, and every flag."""
        return self.fluid_cells * (kernels.BYTES_PER_UPDATE - 1) + self.cells

    def step(self, count: int = 1) -> None:
        """Go on by `count` steps. On CUDA this returns before they are done."""
        shape = (self.nz, self.ny, self.nx)
        for _ in range(count):
            wp.launch(
                kernels.stream_collide,
                dim=shape,
                inputs=[
                    self._source,
                    self._target,
                    self._flags,
                    self._stream,
                    self.nx,
                    self.ny,
                    self.nz,
                    1.0 / self.tau,
                ],
                device=self.device,
            )
            self._source, self._target = self._target, self._source
        self.steps += count

    def force(self) -> Any:
        """The force on the obstacle, three numbers along x, y and z."""
        if len(self._edges) == 0:
            return np.zeros(3)
        wp.launch(
            kernels.obstacle_forces,
            dim=len(self._edges),
            inputs=[
                self._source,
                self._flags,
                self._edges,
                self._forces,
                self.nx,
                self.ny,
                self.nz,
            ],
            device=self.device,
        )
        return self._forces.numpy().astype(np.float64).sum(axis=0)

    def slice(self, z: int, block: int = 1) -> Any:
        """The velocity at `z`, (ny // block) × (nx // block) × 3, each the mean of a block.

        NaN where there is no fluid.
        """
        shape = (self.ny // block, self.nx // block)
        velocity = wp.empty(shape, dtype=wp.vec3, device=self.device)
        wp.launch(
            kernels.slice_velocity,
            dim=shape,
            inputs=[self._source, self._flags, velocity, self.nx, self.ny, self.nz, z, block],
            device=self.device,
        )
        return velocity.numpy()

    def populations(self) -> Any:
        """The deviations f_i - w_i as they are, 19 × nz × ny × nx."""
        return self._source.numpy().reshape(19, self.nz, self.ny, self.nx)

    def _start(self, density: Any, velocity: Any) -> None:
        rows = np.moveaxis(velocity, 0, -1).reshape(-1, 3)
        wp.launch(
            kernels.start_at_equilibrium,
            dim=self.cells,
            inputs=[
                self._source,
                wp.array((density - 1.0).ravel(), dtype=wp.float32, device=self.device),
                wp.array(rows, dtype=wp.vec3, device=self.device),
                self.cells,
            ],
            device=self.device,
        )


def _with_edges(flags: Any) -> Any:
    """`flags`, with every fluid cell that touches something else marked as an edge."""
    marked = flags.astype(np.uint8)
    marked[(flags < kernels.WALL) & _touches(flags, None)] = kernels.EDGE
    return marked


def _touches(flags: Any, kind: Any) -> Any:
    """Where one of the 18 neighbours is of `kind`, or for None anything but fluid."""
    found = flags >= kernels.WALL if kind is None else flags == kind
    touched = np.zeros(flags.shape, dtype=bool)
    for i in range(1, 19):
        shift = (kernels.CZ[i], kernels.CY[i], kernels.CX[i])
        touched |= np.roll(found, shift, axis=(0, 1, 2))
    return touched
