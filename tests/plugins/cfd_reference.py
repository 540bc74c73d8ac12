"""A lattice-Boltzmann step with two lattices in double precision, as plain as can be.

What the wind tunnel's kernels are held against: another language, another streaming, and the
collisions in their textbook form of Hermite polynomials.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

FORWARD = [
    (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (-1, 1, 0), (1, 0, 1), (-1, 0, 1), (0, 1, 1), (0, -1, 1),
]  # fmt: skip
C = np.array([(0, 0, 0), *itertools.chain(*((c, tuple(-np.array(c))) for c in FORWARD))])
W = np.array([1 / 3] + [1 / 18] * 6 + [1 / 36] * 12)
OPPOSITE = [0, *(i + 1 if i % 2 else i - 1 for i in range(1, 19))]
FLUID, WALL, OBSTACLE, STREAM, OUTLET, LID = 0, 2, 3, 4, 5, 6
SMAGORINSKY = 0.173


def moments(f: Any) -> tuple[Any, Any]:
    """Density and velocity (3 × …) of deviations (19 × …)."""
    density = 1.0 + f.sum(axis=0)
    return density, np.tensordot(C.T, f, axes=1) / density


def equilibrium(density: Any, u: Any) -> Any:
    """The second-order equilibrium less the weights, 19 × …."""
    cu = 3.0 * np.tensordot(C, u, axes=1)
    series = 1.0 + cu + 0.5 * cu**2 - 1.5 * (u**2).sum(axis=0)
    return (density * series - 1.0) * _weights(series)


def bgk(f: Any, omega: float) -> Any:
    return f + omega * (equilibrium(*moments(f)) - f)


def regularized(f: Any, omega: float) -> Any:
    """By Hermite polynomials: second order whole, of third order the six that D3Q19 holds."""
    density, u = moments(f)
    second = {(a, b): _hermite(a, b) for a in range(3) for b in range(3)}
    at_rest = {key: density * u[key[0]] * u[key[1]] for key in second}
    off = {key: np.tensordot(h, f, axes=1) - at_rest[key] for key, h in second.items()}
    strength = np.sqrt(sum(value**2 for value in off.values()))
    tau = 1.0 / omega
    tau = 0.5 * (tau + np.sqrt(tau**2 + 18 * np.sqrt(2) * SMAGORINSKY**2 * strength / density))
    keep = 1.0 - 1.0 / tau
    result = density - 1.0 + 3.0 * np.tensordot(C, density * u, axes=1)
    for key, h in second.items():
        result = result + 4.5 * _spread(h) * (at_rest[key] + keep * off[key])

    def third(a: int, b: int) -> Any:
        """The moment of the kind aab."""
        stress = 2 * u[a] * off[min(a, b), max(a, b)] + u[b] * off[a, a]
        return density * u[a] ** 2 * u[b] + keep * stress

    for a, b, c in ((0, 1, 2), (2, 0, 1), (1, 2, 0)):
        one, other = _hermite(a, a) * C[:, b], _hermite(c, c) * C[:, b]
        for sign in (1, -1):
            basis = one + sign * other
            scale = 1.0 / (W * basis**2).sum()
            result = result + scale * _spread(basis) * (third(a, b) + sign * third(c, b))
    return result * _weights(result)


def _hermite(a: int, b: int) -> Any:
    return C[:, a] * C[:, b] - (a == b) / 3


def _spread(values: Any) -> Any:
    return values[:, None, None, None]


def _weights(like: Any) -> Any:
    return W.reshape(19, *[1] * (like.ndim - 1))


COLLISIONS = {"bgk": bgk, "regularized": regularized}


def step(sent: Any, flags: Any, omega: float, speed: float, collision: str) -> Any:
    """What all cells send next after they sent `sent` (19 × nz × ny × nx). 0 where no fluid is."""
    density, u = moments(sent)
    stream = np.zeros_like(u)
    stream[0] = speed
    free = equilibrium(np.ones_like(density), stream)
    onward = np.stack([np.maximum(u[0], 0.0), u[1], u[2]])
    out = sent + equilibrium(np.ones_like(density), onward) - equilibrium(density, u)
    arriving = np.empty_like(sent)
    for i in range(19):
        shift = tuple(C[i][::-1])
        origin = np.roll(flags, shift, axis=(0, 1, 2))
        back = sent[OPPOSITE[i]]
        arriving[i] = np.select(
            [origin == STREAM, origin == OUTLET, origin == LID, origin >= WALL],
            [free[i], out[i], back + 6 * W[i] * C[i][0] * speed, back],
            np.roll(sent[i], shift, axis=(0, 1, 2)),
        )
    return COLLISIONS[collision](arriving, omega) * (flags < WALL)


def force(sent: Any, flags: Any) -> Any:
    """The momentum that the obstacle takes in one step."""
    total = np.zeros(3)
    for i in range(1, 19):
        beside = np.roll(flags, tuple(-C[i][::-1]), axis=(0, 1, 2)) == OBSTACLE
        total += 2 * C[i] * sent[i][beside & (flags < WALL)].sum()
    return total
