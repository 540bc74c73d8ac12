"""The D3Q19 lattice: its velocities, the kinds of cells, and the moments of a cell.

Qian, d'Humières, Lallemand 1992, doi 10.1209/0295-5075/17/6/001. Lattice units: a cell and a step
are 1, the density at rest is 1, the square of the speed of sound is 1/3. Everywhere populations
are their deviations f_i - w_i from the fluid at rest, which keeps the digits that a short number
has for the flow itself (Skordos 1993, doi 10.1103/PhysRevE.48.4823).
"""

from __future__ import annotations

import warp as wp

_FORWARD = [
    (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (-1, 1, 0), (1, 0, 1), (-1, 0, 1), (0, 1, 1), (0, -1, 1),
]  # fmt: skip
_VELOCITIES = [(0, 0, 0)] + [velocity for c in _FORWARD for velocity in (c, (-c[0], -c[1], -c[2]))]
CX, CY, CZ = ([velocity[axis] for velocity in _VELOCITIES] for axis in range(3))
"""The velocities c_i by their parts. 2k + 1 and 2k + 2 are opposite, and the first of a pair never
points to a lower z: the slabs of `slabs.py` lean on that."""

WEIGHTS = [1 / 3] + [1 / 18] * 6 + [1 / 36] * 12
OPPOSITE = [0] + [i + 1 if i % 2 else i - 1 for i in range(1, 19)]

FLUID = wp.constant(wp.uint8(0))
WALL = wp.constant(wp.uint8(2))
"""At rest; the flow sticks to it. This kind and all above it hold no fluid."""
OBSTACLE = wp.constant(wp.uint8(3))
"""A wall whose drag and lift are measured."""
STREAM = wp.constant(wp.uint8(4))
"""The free stream along x with the given speed: the inflow, and the air around the tunnel."""
OUTLET = wp.constant(wp.uint8(5))
"""The end of the flow along x: keeps the pressure of the fluid at rest, and lets none back in."""
LID = wp.constant(wp.uint8(6))
"""A wall that slides along x with the given speed."""

Populations = wp.types.vector(length=19, dtype=wp.float32)

wp.set_module_options({"enable_backward": False, "max_unroll": 32, "fast_math": False})


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
def equilibrium(rho: float, u: wp.vec3, velocity: wp.vec3, weight: float) -> float:
    """One population of the second-order equilibrium, less its weight; `rho` is less 1."""
    cu = 3.0 * wp.dot(velocity, u)
    return weight * (rho + (1.0 + rho) * (cu + 0.5 * cu * cu - 1.5 * wp.dot(u, u)))
