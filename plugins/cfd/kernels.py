"""The GPU kernels of the wind tunnel, in Warp: one source for CUDA and for a CPU.

A lattice-Boltzmann method on the D3Q19 lattice with the BGK collision and two copies of the
lattice (Qian, d'Humières, Lallemand 1992, doi 10.1209/0295-5075/17/6/001). Populations are stored
as their deviation f_i - w_i from the fluid at rest, which keeps the digits that single precision
has for the flow itself (Skordos 1993, doi 10.1103/PhysRevE.48.4823).

Layout: population i of cell (x, y, z) lies at (i × nz × ny × nx) + (z × ny + y) × nx + x. Lattice
units: a cell and a step are 1, the density at rest is 1, the square of the speed of sound is 1/3.
"""

from __future__ import annotations

import warp as wp

# The velocities c_i by their parts; 2k + 1 and 2k + 2 are opposite.
CX = [0, 1, -1, 0, 0, 0, 0, 1, -1, 1, -1, 0, 0, 1, -1, 1, -1, 0, 0]
CY = [0, 0, 0, 1, -1, 0, 0, 1, -1, 0, 0, 1, -1, -1, 1, 0, 0, 1, -1]
CZ = [0, 0, 0, 0, 0, 1, -1, 0, 0, 1, -1, 1, -1, 0, 0, -1, 1, -1, 1]
WEIGHTS = [1 / 3] + [1 / 18] * 6 + [1 / 36] * 12
OPPOSITE = [0] + [i + 1 if i % 2 else i - 1 for i in range(1, 19)]

FLUID = wp.constant(wp.uint8(0))
"""All 18 neighbours are fluid."""
EDGE = wp.constant(wp.uint8(1))
"""Fluid with a neighbour that is not."""
WALL = wp.constant(wp.uint8(2))
"""At rest; the flow sticks to it."""
OBSTACLE = wp.constant(wp.uint8(3))
"""A wall whose drag and lift are measured."""
STREAM = wp.constant(wp.uint8(4))
"""The free stream along x with the given speed: the inflow, and the air around the tunnel."""
OUTLET = wp.constant(wp.uint8(5))
"""Keeps the pressure of the fluid at rest."""

BYTES_PER_UPDATE = 2 * 19 * 4 + 1
"""Each population is read once and written once, and one flag is read."""

Populations = wp.types.vector(length=19, dtype=wp.float32)

wp.set_module_options({"enable_backward": False, "max_unroll": 32, "fast_math": False})


@wp.func
def wrapped(place: int, size: int) -> int:
    """`place` on a periodic axis, at most one cell outside."""
    if place < 0:
        return size - 1
    if place >= size:
        return 0
    return place


@wp.func
def density(f: Populations) -> float:
    """The density less 1."""
    total = wp.float32(0.0)
    for i in range(19):
        total += f[i]
    return total


@wp.func
def momentum(f: Populations) -> wp.vec3:
    """Density times velocity; the weights cancel, so deviations do."""
    total = wp.vec3(0.0, 0.0, 0.0)
    for k in range(9):
        difference = f[2 * k + 1] - f[2 * k + 2]
        if wp.static(CX[2 * k + 1] != 0):
            total[0] += wp.static(float(CX[2 * k + 1])) * difference
        if wp.static(CY[2 * k + 1] != 0):
            total[1] += wp.static(float(CY[2 * k + 1])) * difference
        if wp.static(CZ[2 * k + 1] != 0):
            total[2] += wp.static(float(CZ[2 * k + 1])) * difference
    return total


@wp.func
def gathered(populations: wp.array(dtype=wp.float32), cell: int, cells: int) -> Populations:
    """The populations that lie in one cell."""
    f = Populations()
    for i in range(19):
        f[i] = populations[i * cells + cell]
    return f


@wp.func
def collided(f: Populations, omega: float) -> Populations:
    """One BGK relaxation towards the second-order equilibrium."""
    rho = density(f)
    u = momentum(f) / (1.0 + rho)
    squares = 1.5 * wp.dot(u, u)
    mass = 1.0 + rho
    keep = 1.0 - omega
    f[0] = keep * f[0] + omega * wp.static(WEIGHTS[0]) * (rho - mass * squares)
    for k in range(9):
        cu = 3.0 * (
            wp.static(float(CX[2 * k + 1])) * u[0]
            + wp.static(float(CY[2 * k + 1])) * u[1]
            + wp.static(float(CZ[2 * k + 1])) * u[2]
        )
        weight = omega * wp.static(WEIGHTS[2 * k + 1])
        even = weight * (rho + mass * (0.5 * cu * cu - squares))
        odd = weight * mass * cu
        f[2 * k + 1] = keep * f[2 * k + 1] + (even + odd)
        f[2 * k + 2] = keep * f[2 * k + 2] + (even - odd)
    return f


@wp.func
def equilibrium(rho: float, u: wp.vec3, velocity: wp.vec3, weight: float) -> float:
    """One population of the second-order equilibrium, less its weight; `rho` is less 1."""
    cu = 3.0 * wp.dot(velocity, u)
    return weight * (rho + (1.0 + rho) * (cu + 0.5 * cu * cu - 1.5 * wp.dot(u, u)))


@wp.func
def bounded(
    f: Populations,
    source: wp.array(dtype=wp.float32),
    flags: wp.array(dtype=wp.uint8),
    stream: wp.array(dtype=wp.float32),
    x: int,
    y: int,
    z: int,
    nx: int,
    ny: int,
    nz: int,
) -> Populations:
    """Replace what would come from outside the fluid.

    Half-way bounce-back at walls (Ladd 1994, doi 10.1017/S0022112094001771). The free stream
    sends its equilibrium and takes whatever arrives, so that sound leaves and is not thrown back.
    The outlet sends the equilibrium of this cell's velocity at the pressure at rest, with this
    cell's own non-equilibrium (Guo, Zheng, Shi 2002, doi 10.1088/1009-1963/11/4/310).
    """
    cells = nx * ny * nz
    cell = (z * ny + y) * nx + x
    here = gathered(source, cell, cells)
    rho = density(here)
    u = momentum(here) / (1.0 + rho)
    for i in range(1, 19):
        sx = wrapped(x - wp.static(CX[i]), nx)
        sy = wrapped(y - wp.static(CY[i]), ny)
        sz = wrapped(z - wp.static(CZ[i]), nz)
        velocity = wp.vec3(
            wp.static(float(CX[i])), wp.static(float(CY[i])), wp.static(float(CZ[i]))
        )
        weight = wp.static(WEIGHTS[i])
        kind = flags[(sz * ny + sy) * nx + sx]
        if kind >= WALL:
            f[i] = here[wp.static(OPPOSITE[i])]
        if kind == STREAM:
            f[i] = equilibrium(0.0, wp.vec3(stream[sy], 0.0, 0.0), velocity, weight)
        if kind == OUTLET:
            there = equilibrium(0.0, u, velocity, weight)
            f[i] = here[i] + there - equilibrium(rho, u, velocity, weight)
    return f


@wp.kernel
def start_at_equilibrium(
    populations: wp.array(dtype=wp.float32),
    deviation: wp.array(dtype=wp.float32),
    velocity: wp.array(dtype=wp.vec3),
    cells: int,
):
    """The state at the start, from each cell's density less 1 and its velocity."""
    cell = wp.tid()
    for i in range(19):
        c = wp.vec3(wp.static(float(CX[i])), wp.static(float(CY[i])), wp.static(float(CZ[i])))
        populations[i * cells + cell] = equilibrium(
            deviation[cell], velocity[cell], c, wp.static(WEIGHTS[i])
        )


@wp.kernel
def stream_collide(
    source: wp.array(dtype=wp.float32),
    target: wp.array(dtype=wp.float32),
    flags: wp.array(dtype=wp.uint8),
    stream: wp.array(dtype=wp.float32),
    nx: int,
    ny: int,
    nz: int,
    omega: float,
):
    """One step: every fluid cell pulls from its neighbours, collides and writes its own."""
    z, y, x = wp.tid()
    cells = nx * ny * nz
    cell = (z * ny + y) * nx + x
    kind = flags[cell]
    if kind >= WALL:
        return
    x_low = wrapped(x - 1, nx)
    x_high = wrapped(x + 1, nx)
    y_low = wrapped(y - 1, ny) * nx
    y_high = wrapped(y + 1, ny) * nx
    z_low = wrapped(z - 1, nz) * ny * nx
    z_high = wrapped(z + 1, nz) * ny * nx
    f = Populations()
    for i in range(19):
        sx = x
        sy = y * nx
        sz = z * ny * nx
        if wp.static(CX[i] == 1):
            sx = x_low
        if wp.static(CX[i] == -1):
            sx = x_high
        if wp.static(CY[i] == 1):
            sy = y_low
        if wp.static(CY[i] == -1):
            sy = y_high
        if wp.static(CZ[i] == 1):
            sz = z_low
        if wp.static(CZ[i] == -1):
            sz = z_high
        f[i] = source[i * cells + sx + sy + sz]
    if kind == EDGE:
        f = bounded(f, source, flags, stream, x, y, z, nx, ny, nz)
    f = collided(f, omega)
    for i in range(19):
        target[i * cells + cell] = f[i]


@wp.kernel
def obstacle_forces(
    populations: wp.array(dtype=wp.float32),
    flags: wp.array(dtype=wp.uint8),
    edges: wp.array(dtype=wp.int32),
    forces: wp.array(dtype=wp.vec3),
    nx: int,
    ny: int,
    nz: int,
):
    """The momentum that each cell of `edges` gives to the obstacle in one step.

    Momentum exchange: a population that bounces back leaves twice its momentum (Ladd 1994). The
    pressure at rest, which deviations leave out, cancels around a closed obstacle.
    """
    edge = wp.tid()
    cell = edges[edge]
    cells = nx * ny * nz
    x = cell % nx
    y = (cell // nx) % ny
    z = cell // (nx * ny)
    force = wp.vec3(0.0, 0.0, 0.0)
    for i in range(1, 19):
        sx = wrapped(x + wp.static(CX[i]), nx)
        sy = wrapped(y + wp.static(CY[i]), ny)
        sz = wrapped(z + wp.static(CZ[i]), nz)
        if flags[(sz * ny + sy) * nx + sx] == OBSTACLE:
            given = 2.0 * populations[i * cells + cell]
            force += given * wp.vec3(
                wp.static(float(CX[i])), wp.static(float(CY[i])), wp.static(float(CZ[i]))
            )
    forces[edge] = force


@wp.kernel
def slice_velocity(
    populations: wp.array(dtype=wp.float32),
    flags: wp.array(dtype=wp.uint8),
    velocity: wp.array(dtype=wp.vec3, ndim=2),
    nx: int,
    ny: int,
    nz: int,
    z: int,
    block: int,
):
    """The mean velocity of each block × block cells of the slice at `z`.

    NaN where half of a block or more is not fluid.
    """
    row, column = wp.tid()
    total = wp.vec3(0.0, 0.0, 0.0)
    fluid = wp.int32(0)
    for y in range(row * block, row * block + block):
        for x in range(column * block, column * block + block):
            cell = (z * ny + y) * nx + x
            if flags[cell] < WALL:
                f = gathered(populations, cell, nx * ny * nz)
                total += momentum(f) / (1.0 + density(f))
                fluid += 1
    if 2 * fluid > block * block:
        velocity[row, column] = total / float(fluid)
    else:
        velocity[row, column] = wp.vec3(wp.nan, wp.nan, wp.nan)
