"""Kernels that set a flow's state and read it: between steps, never in one."""

# No future annotations: Warp reads types from them.
from typing import Any

import warp as wp
from kernels import Grid, located, send, sent
from lattice import CX, CY, CZ, WALL, WEIGHTS, Populations, density, equilibrium, momentum

wp.set_module_options({"enable_backward": False, "max_unroll": 32, "fast_math": False})


@wp.kernel
def start_at_equilibrium(
    slots: wp.array(dtype=Any),
    scale: float,
    deviation: wp.array(dtype=wp.float32),
    velocity: wp.array(dtype=wp.vec3),
    grid: Grid,
    first: int,
):
    """The state at the start, from each cell's density less 1 and its velocity.

    It looks like the end of an odd step, since the first one is even.
    """
    n = wp.tid()
    f = Populations()
    for i in range(19):
        c = wp.vec3(wp.static(float(CX[i])), wp.static(float(CY[i])), wp.static(float(CZ[i])))
        f[i] = equilibrium(deviation[n], velocity[n], c, wp.static(WEIGHTS[i]))
    send(slots, scale, located(first + n, grid), grid, 1, f)


@wp.kernel
def restore_populations(
    slots: wp.array(dtype=Any),
    scale: float,
    populations: wp.array(dtype=wp.float32, ndim=2),
    grid: Grid,
    first: int,
    parity: int,
):
    """The state after a step of `parity` that sent `populations` (19 × cells from `first`)."""
    n = wp.tid()
    f = Populations()
    for i in range(19):
        f[i] = populations[i, n]
    send(slots, scale, located(first + n, grid), grid, parity, f)


@wp.kernel
def read_populations(
    slots: wp.array(dtype=Any),
    scale: float,
    flags: wp.array(dtype=wp.uint8),
    populations: wp.array(dtype=wp.float32, ndim=2),
    grid: Grid,
    first: int,
    parity: int,
):
    """What each cell sent in the last step; 0 where there is no fluid."""
    n = wp.tid()
    f = Populations()
    if flags[first + n + grid.nx * grid.ny] < WALL:
        f = sent(slots, scale, located(first + n, grid), grid, parity)
    for i in range(19):
        populations[i, n] = f[i]


@wp.kernel
def read_moments(
    slots: wp.array(dtype=Any),
    scale: float,
    flags: wp.array(dtype=wp.uint8),
    moments: wp.array(dtype=wp.vec4, ndim=2),
    grid: Grid,
    first: int,
    row: int,
    column: int,
    parity: int,
):
    """Density and velocity of rows × columns cells from `first`; NaN where there is no fluid.

    Cells lie `row` apart from one row to the next and `column` within it.
    """
    r, c = wp.tid()
    n = first + r * row + c * column
    if flags[n + grid.nx * grid.ny] >= WALL:
        moments[r, c] = wp.vec4(wp.nan, wp.nan, wp.nan, wp.nan)
        return
    f = sent(slots, scale, located(n, grid), grid, parity)
    mass = 1.0 + density(f)
    u = momentum(f) / mass
    moments[r, c] = wp.vec4(mass, u[0], u[1], u[2])


KERNELS = (start_at_equilibrium, restore_populations, read_populations, read_moments)
