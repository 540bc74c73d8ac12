"""What the edges of the fluid send back, and the force on an obstacle.

Edge cells are a list, so that the kernel of a step knows nothing of them. After each step every
edge cell writes into the slots that it will read next from the side of a neighbour without fluid.
Such a neighbour computes nothing, so both slots of that link are the edge cell's own, and no cell
waits for another.
"""

# No future annotations: Warp reads types from them.
from typing import Any

import warp as wp
from kernels import Grid, Place, located, neighbour, sent
from lattice import (
    CX,
    CY,
    CZ,
    LID,
    OBSTACLE,
    OUTLET,
    STREAM,
    WALL,
    WEIGHTS,
    density,
    equilibrium,
    momentum,
)
from native import quotient

wp.set_module_options({"enable_backward": False, "max_unroll": 32, "fast_math": False})


@wp.func
def kind_at(
    flags: wp.array(dtype=wp.uint8), place: Place, grid: Grid, cx: int, cy: int, cz: int
) -> wp.uint8:
    """The neighbour's kind. `flags` has a layer more than the grid above and below."""
    return flags[neighbour(place, cx, cy, 0) + (1 + cz) * grid.nx * grid.ny]


@wp.func
def row_at(place: Place, grid: Grid, cy: int) -> int:
    """The y of the neighbour."""
    return quotient(neighbour(place, 0, cy, 0) - place.z, grid.nx)


@wp.func
def returned(
    kind: wp.uint8,
    out: float,
    back: float,
    velocity: wp.vec3,
    weight: float,
    rho: float,
    u: wp.vec3,
    speed: float,
) -> float:
    """What comes back along `velocity` from a neighbour of `kind` for what went `out` to it.

    `back` is what this cell itself sent along `velocity`; `rho` (less 1) and `u` are this cell's,
    `speed` is that of the stream or the lid, along x.

    Walls: half-way bounce-back, with the momentum of one that slides (Ladd 1994,
    doi 10.1017/S0022112094001771). The free stream sends its equilibrium and takes whatever
    arrives, so that sound leaves and is not thrown back. The outlet sends the equilibrium of this
    cell's velocity at the pressure at rest, with this cell's own non-equilibrium (Guo, Zheng, Shi
    2002, doi 10.1088/1009-1963/11/4/310). Where a vortex turns this cell's velocity back into the
    tunnel, that along x counts as none: what came in through a given pressure would bring energy
    without bound (Dong, Karniadakis, Chryssostomidis 2014, doi 10.1016/j.jcp.2013.12.042).
    """
    if kind == STREAM:
        return equilibrium(0.0, wp.vec3(speed, 0.0, 0.0), velocity, weight)
    if kind == OUTLET:
        onward = wp.vec3(wp.max(u[0], 0.0), u[1], u[2])
        there = equilibrium(0.0, onward, velocity, weight)
        return back + there - equilibrium(rho, u, velocity, weight)
    if kind == LID:
        return out + 6.0 * weight * speed * velocity[0]
    return out


@wp.kernel
def send_back(
    slots: wp.array(dtype=Any),
    scale: float,
    flags: wp.array(dtype=wp.uint8),
    stream: wp.array(dtype=wp.float32),
    edges: wp.array(dtype=wp.int32),
    grid: Grid,
    parity: int,
):
    """Finish a step of `parity` at the cells `edges`."""
    place = located(edges[wp.tid()], grid)
    f = sent(slots, scale, place, grid, parity)
    rho = density(f)
    u = momentum(f) / (1.0 + rho)
    for k in range(9):
        cx = wp.static(CX[2 * k + 1])
        cy = wp.static(CY[2 * k + 1])
        cz = wp.static(CZ[2 * k + 1])
        c = wp.vec3(float(cx), float(cy), float(cz))
        weight = wp.static(WEIGHTS[2 * k + 1])
        ahead = kind_at(flags, place, grid, cx, cy, cz)
        behind = kind_at(flags, place, grid, -cx, -cy, -cz)
        if ahead >= WALL:
            speed = stream[row_at(place, grid, cy)]
            value = returned(ahead, f[2 * k + 1], f[2 * k + 2], -c, weight, rho, u, speed)
            there = neighbour(place, cx, cy, cz)
            slots[(2 * k + 2 - parity) * grid.cells + there] = slots.dtype(value * scale)
        if behind >= WALL:
            speed = stream[row_at(place, grid, -cy)]
            value = returned(behind, f[2 * k + 2], f[2 * k + 1], c, weight, rho, u, speed)
            slots[(2 * k + 1 + parity) * grid.cells + place.cell] = slots.dtype(value * scale)


@wp.kernel
def obstacle_forces(
    slots: wp.array(dtype=Any),
    scale: float,
    flags: wp.array(dtype=wp.uint8),
    edges: wp.array(dtype=wp.int32),
    forces: wp.array(dtype=wp.vec3),
    grid: Grid,
    parity: int,
):
    """The momentum that each cell of `edges` gives to the obstacle in one step.

    Momentum exchange: a population that bounces back leaves twice its momentum (Ladd 1994). The
    pressure at rest, which deviations leave out, cancels around a closed obstacle.
    """
    edge = wp.tid()
    place = located(edges[edge], grid)
    f = sent(slots, scale, place, grid, parity)
    force = wp.vec3(0.0, 0.0, 0.0)
    for k in range(9):
        cx = wp.static(CX[2 * k + 1])
        cy = wp.static(CY[2 * k + 1])
        cz = wp.static(CZ[2 * k + 1])
        c = wp.vec3(float(cx), float(cy), float(cz))
        if kind_at(flags, place, grid, cx, cy, cz) == OBSTACLE:
            force += 2.0 * f[2 * k + 1] * c
        if kind_at(flags, place, grid, -cx, -cy, -cz) == OBSTACLE:
            force -= 2.0 * f[2 * k + 2] * c
    forces[edge] = force


KERNELS = (send_back, obstacle_forces)
