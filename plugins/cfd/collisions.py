"""The collisions of the wind tunnel, as functions of one cell's 19 populations."""

from __future__ import annotations

import warp as wp
from lattice import CX, CY, CZ, WEIGHTS, Populations, density, momentum
from native import reciprocal, root

SMAGORINSKY = 0.173
"""Smagorinsky's constant for isotropic turbulence: 1/π (2 / 3 C_K)^(3/4) with Kolmogorov's
constant C_K = 1.5 (Lilly 1967)."""

wp.set_module_options({"enable_backward": False, "max_unroll": 32, "fast_math": False})


@wp.func
def bgk(f: Populations, omega: float) -> Populations:
    """One relaxation of all populations towards the second-order equilibrium.

    Bhatnagar, Gross, Krook; Qian, d'Humières, Lallemand 1992, doi 10.1209/0295-5075/17/6/001.
    Unstable as `omega` nears 2.
    """
    rho = density(f)
    j = momentum(f)
    per_mass = reciprocal(1.0 + rho)
    rest = rho - 1.5 * wp.dot(j, j) * per_mass
    keep = 1.0 - omega
    f[0] = keep * f[0] + omega * wp.static(WEIGHTS[0]) * rest
    for k in range(9):
        cj = 3.0 * (
            wp.static(float(CX[2 * k + 1])) * j[0]
            + wp.static(float(CY[2 * k + 1])) * j[1]
            + wp.static(float(CZ[2 * k + 1])) * j[2]
        )
        weight = omega * wp.static(WEIGHTS[2 * k + 1])
        even = weight * (rest + 0.5 * per_mass * cj * cj)
        odd = weight * cj
        f[2 * k + 1] = keep * f[2 * k + 1] + (even + odd)
        f[2 * k + 2] = keep * f[2 * k + 2] + (even - odd)
    return f


@wp.func
def regularized(f: Populations, omega: float) -> Populations:
    """Rebuild all populations from density, momentum and stress; only these relax.

    What else a cell holds is noise at small viscosities, and is dropped. The third-order moments
    follow from velocity and stress by recursion (Malaspinas 2015, arXiv 1505.06900; Coreixas,
    Wissocq, Puigt, Boussuge, Sagaut 2017, doi 10.1103/PhysRevE.96.033306), as far as D3Q19 can
    carry them: the six of the kind xxy (Jacob, Malaspinas, Sagaut 2018,
    doi 10.1080/14685248.2018.1540879). On D3Q19 their sums and differences come to the plain form
    below: -9 of both moments along an axis, +9 of each along a diagonal.

    What the lattice cannot resolve is taken as eddy viscosity from the local stress (Smagorinsky
    1963; in this form Hou, Sterling, Chen, Doolen 1996, arXiv comp-gas/9401004). It falls with the
    square of the cell's size, so that a resolved flow keeps its second order.
    """
    rho = density(f)
    per_mass = reciprocal(1.0 + rho)
    j = momentum(f)
    u = j * per_mass
    # Of each second moment: its equilibrium, and its deviation from that.
    third = rho * wp.static(1.0 / 3.0)
    exx = j[0] * u[0]
    eyy = j[1] * u[1]
    ezz = j[2] * u[2]
    exy = j[0] * u[1]
    exz = j[0] * u[2]
    eyz = j[1] * u[2]
    xx = f[1] + f[2] + f[7] + f[8] + f[9] + f[10] + f[11] + f[12] + f[13] + f[14]
    yy = f[3] + f[4] + f[7] + f[8] + f[9] + f[10] + f[15] + f[16] + f[17] + f[18]
    zz = f[5] + f[6] + f[11] + f[12] + f[13] + f[14] + f[15] + f[16] + f[17] + f[18]
    nxx = xx - third - exx
    nyy = yy - third - eyy
    nzz = zz - third - ezz
    nxy = f[7] + f[8] - f[9] - f[10] - exy
    nxz = f[11] + f[12] - f[13] - f[14] - exz
    nyz = f[15] + f[16] - f[17] - f[18] - eyz
    diagonals = nxx * nxx + nyy * nyy + nzz * nzz
    strength = root(diagonals + 2.0 * (nxy * nxy + nxz * nxz + nyz * nyz))
    tau = reciprocal(omega)
    eddies = wp.static(18.0 * 2.0**0.5 * SMAGORINSKY**2) * strength * per_mass
    keep = 1.0 - 2.0 * reciprocal(tau + root(tau * tau + eddies))
    nxx = keep * nxx
    nyy = keep * nyy
    nzz = keep * nzz
    nxy = keep * nxy
    nxz = keep * nxz
    nyz = keep * nyz
    xxy = 9.0 * (exx * u[1] + 2.0 * u[0] * nxy + u[1] * nxx)
    xyy = 9.0 * (eyy * u[0] + 2.0 * u[1] * nxy + u[0] * nyy)
    xxz = 9.0 * (exx * u[2] + 2.0 * u[0] * nxz + u[2] * nxx)
    xzz = 9.0 * (ezz * u[0] + 2.0 * u[2] * nxz + u[0] * nzz)
    yyz = 9.0 * (eyy * u[2] + 2.0 * u[1] * nyz + u[2] * nyy)
    yzz = 9.0 * (ezz * u[1] + 2.0 * u[2] * nyz + u[1] * nzz)
    pxx = 4.5 * (exx + nxx)
    pyy = 4.5 * (eyy + nyy)
    pzz = 4.5 * (ezz + nzz)
    pxy = 9.0 * (exy + nxy)
    pxz = 9.0 * (exz + nxz)
    pyz = 9.0 * (eyz + nyz)
    jx = 3.0 * j[0]
    jy = 3.0 * j[1]
    jz = 3.0 * j[2]
    rest = rho - wp.static(1.0 / 3.0) * (pxx + pyy + pzz)
    f[0] = wp.static(WEIGHTS[0]) * rest
    axis = wp.static(WEIGHTS[1])
    f[1] = axis * (rest + pxx + (jx - xyy - xzz))
    f[2] = axis * (rest + pxx - (jx - xyy - xzz))
    f[3] = axis * (rest + pyy + (jy - xxy - yzz))
    f[4] = axis * (rest + pyy - (jy - xxy - yzz))
    f[5] = axis * (rest + pzz + (jz - xxz - yyz))
    f[6] = axis * (rest + pzz - (jz - xxz - yyz))
    diagonal = wp.static(WEIGHTS[7])
    f[7] = diagonal * (rest + pxx + pyy + pxy + (jx + jy + xxy + xyy))
    f[8] = diagonal * (rest + pxx + pyy + pxy - (jx + jy + xxy + xyy))
    f[9] = diagonal * (rest + pxx + pyy - pxy + (jy - jx + xxy - xyy))
    f[10] = diagonal * (rest + pxx + pyy - pxy - (jy - jx + xxy - xyy))
    f[11] = diagonal * (rest + pxx + pzz + pxz + (jx + jz + xxz + xzz))
    f[12] = diagonal * (rest + pxx + pzz + pxz - (jx + jz + xxz + xzz))
    f[13] = diagonal * (rest + pxx + pzz - pxz + (jz - jx + xxz - xzz))
    f[14] = diagonal * (rest + pxx + pzz - pxz - (jz - jx + xxz - xzz))
    f[15] = diagonal * (rest + pyy + pzz + pyz + (jy + jz + yyz + yzz))
    f[16] = diagonal * (rest + pyy + pzz + pyz - (jy + jz + yyz + yzz))
    f[17] = diagonal * (rest + pyy + pzz - pyz + (jz - jy + yyz - yzz))
    f[18] = diagonal * (rest + pyy + pzz - pyz - (jz - jy + yyz - yzz))
    return f


COLLISIONS = {"bgk": bgk, "regularized": regularized}
