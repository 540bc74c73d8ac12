"""The GPU kernels of the wind tunnel, in Warp: one source for CUDA and for a CPU.

One copy of the lattice, streamed in place by the esoteric pull (Lehmann 2022, "Esoteric Pull and
Esoteric Push", doi 10.3390/computation10060092): in each step a cell reads 19 slots and writes its
19 results into the same slots, and no other cell touches these in that step. Of each pair of
opposite populations one slot is the cell's own and one belongs to the neighbour at c_(2k+1); even
and odd steps trade the two rows of the pair, so that what a cell leaves is where the next reader
looks. No step moves data for its own sake, and cells may go in any order.

Layout: row i of slots begins at i × cells; in it, cell (x, y, z) is (z × ny + y) × nx + x. After
a step of parity p (0 even, 1 odd) the population that a cell sent along c_(2k+1) lies in row
2k + 1 + p of the neighbour there, and the opposite one in row 2k + 2 - p of the cell itself.

Arithmetic is in single precision. A slot is a float32, or an IEEE half of the deviation times
2^15: the values of a flow, 1e-9 to 1, then all lie where a half has its full 11 bits.
"""

# No future annotations: Warp reads the storage's type from those of the kernels made here.
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import warp as wp
from collisions import COLLISIONS
from lattice import CX, CY, CZ, WALL, Populations
from native import flag_at, quotient, read_half, read_single, write_half, write_single

OPTIONS = {"enable_backward": False, "max_unroll": 32, "fast_math": False}

wp.set_module_options(OPTIONS)


@dataclass(frozen=True)
class Storage:
    """What a slot holds, what a deviation is multiplied with to go there, and the way to it."""

    slot: Any
    scale: float
    read: Any
    write: Any


STORAGES = {
    "fp32": Storage(wp.float32, 1.0, read_single, write_single),
    "fp16": Storage(wp.float16, 32768.0, read_half, write_half),
}


def bytes_per_cell(storage: str) -> int:
    """In memory: 19 slots and a flag, 77 for fp32, 39 for fp16."""
    return 19 * wp.types.type_size_in_bytes(STORAGES[storage].slot) + 1


def bytes_per_update(storage: str) -> int:
    """19 slots read, the same written, and one flag read: 153 for fp32, 77 for fp16."""
    return 2 * bytes_per_cell(storage) - 1


@wp.struct
class Grid:
    """`layers` are those in memory; the last one's neighbour above is the first.

    `cells_again` is `cells`. A compiler that cannot know this computes the addresses of the 19
    slots again for writing, and does not hold 38 registers with them through the collision: 56
    registers a thread in place of 80 on compute capability 9.0.
    """

    nx: int
    ny: int
    layers: int
    cells: int
    cells_again: int


def grid_of(nx: int, ny: int, layers: int) -> Any:
    grid = Grid()
    grid.nx, grid.ny, grid.layers = nx, ny, layers
    grid.cells = grid.cells_again = nx * ny * layers
    return grid


@wp.struct
class Place:
    """A cell, and the parts of its neighbours' indices: in the row, of the row, of the layer."""

    cell: int
    west: int
    x: int
    east: int
    south: int
    y: int
    north: int
    z: int
    up: int


@wp.func
def located(cell: int, grid: Grid) -> Place:
    """Where `cell` is. Division is dear on a GPU: two, and no remainders."""
    row = quotient(cell, grid.nx)
    z = quotient(row, grid.ny)
    x = cell - row * grid.nx
    y = row - z * grid.ny
    layer = grid.nx * grid.ny
    place = Place()
    place.cell = cell
    place.x = x
    place.y = y * grid.nx
    place.z = z * layer
    place.west = wp.where(x == 0, grid.nx - 1, x - 1)
    place.east = wp.where(x == grid.nx - 1, 0, x + 1)
    place.south = wp.where(y == 0, (grid.ny - 1) * grid.nx, place.y - grid.nx)
    place.north = wp.where(y == grid.ny - 1, 0, place.y + grid.nx)
    place.up = wp.where(z == grid.layers - 1, 0, place.z + layer)
    return place


@wp.func
def neighbour(place: Place, cx: int, cy: int, cz: int) -> int:
    """The cell at (cx, cy, cz) from here, of the nine that a cell shares slots with."""
    x = place.x
    if cx > 0:
        x = place.east
    if cx < 0:
        x = place.west
    y = place.y
    if cy > 0:
        y = place.north
    if cy < 0:
        y = place.south
    z = place.z
    if cz > 0:
        z = place.up
    return x + y + z


@functools.cache
def step_kernels(storage: str, collision: str) -> tuple[wp.Kernel, wp.Kernel]:
    """The even and the odd step: stream and collide, one thread a cell, from cell `first` on.

    `flags` has one layer more than the grid below its first; `omega` is 1 / relaxation time. The
    pair is a module of its own, stream_collide_STORAGE_COLLISION, so that a job compiles only what
    it runs.
    """
    return _step_kernel(storage, collision, 0), _step_kernel(storage, collision, 1)


def _step_kernel(storage: str, collision: str, parity: int) -> wp.Kernel:
    kept = STORAGES[storage]
    slot, scale, read, write = kept.slot, kept.scale, kept.read, kept.write
    collide: Callable[..., Any] = COLLISIONS[collision]

    def stream_collide(
        slots: wp.array(dtype=slot),
        flags: wp.array(dtype=wp.uint8),
        grid: Grid,
        first: int,
        omega: float,
    ):
        cell = first + wp.tid()
        if flag_at(flags, cell + grid.nx * grid.ny) >= WALL:
            return
        place = located(cell, grid)
        f = Populations()
        f[0] = wp.float32(wp.static(read)(slots, cell)) * wp.static(1.0 / scale)
        for k in range(9):
            there = neighbour(
                place, wp.static(CX[2 * k + 1]), wp.static(CY[2 * k + 1]), wp.static(CZ[2 * k + 1])
            )
            own = wp.static(2 * k + 2 - parity) * grid.cells + cell
            shared = wp.static(2 * k + 1 + parity) * grid.cells + there
            f[2 * k + 1] = wp.float32(wp.static(read)(slots, own)) * wp.static(1.0 / scale)
            f[2 * k + 2] = wp.float32(wp.static(read)(slots, shared)) * wp.static(1.0 / scale)
        f = wp.static(collide)(f, omega)
        wp.static(write)(slots, cell, slot(f[0] * wp.static(scale)))
        for k in range(9):
            there = neighbour(
                place, wp.static(CX[2 * k + 1]), wp.static(CY[2 * k + 1]), wp.static(CZ[2 * k + 1])
            )
            own = wp.static(2 * k + 2 - parity) * grid.cells_again + cell
            shared = wp.static(2 * k + 1 + parity) * grid.cells_again + there
            wp.static(write)(slots, shared, slot(f[2 * k + 1] * wp.static(scale)))
            wp.static(write)(slots, own, slot(f[2 * k + 2] * wp.static(scale)))

    module = wp.get_module(f"stream_collide_{storage}_{collision}")
    module.options.update(OPTIONS)
    name = f"stream_collide_{('even', 'odd')[parity]}"
    return wp.kernel(stream_collide, name=name, module=module, grid_stride=False)


@wp.func
def sent(
    slots: wp.array(dtype=Any), scale: float, place: Place, grid: Grid, parity: int
) -> Populations:
    """What a cell sent in the last step, which had `parity`."""
    f = Populations()
    f[0] = wp.float32(slots[place.cell]) / scale
    for k in range(9):
        there = neighbour(
            place, wp.static(CX[2 * k + 1]), wp.static(CY[2 * k + 1]), wp.static(CZ[2 * k + 1])
        )
        f[2 * k + 1] = wp.float32(slots[(2 * k + 1 + parity) * grid.cells + there]) / scale
        f[2 * k + 2] = wp.float32(slots[(2 * k + 2 - parity) * grid.cells + place.cell]) / scale
    return f


@wp.func
def send(
    slots: wp.array(dtype=Any), scale: float, place: Place, grid: Grid, parity: int, f: Populations
):
    """Put `f` where a step of `parity` would have."""
    slots[place.cell] = slots.dtype(f[0] * scale)
    for k in range(9):
        there = neighbour(
            place, wp.static(CX[2 * k + 1]), wp.static(CY[2 * k + 1]), wp.static(CZ[2 * k + 1])
        )
        slots[(2 * k + 1 + parity) * grid.cells + there] = slots.dtype(f[2 * k + 1] * scale)
        slots[(2 * k + 2 - parity) * grid.cells + place.cell] = slots.dtype(f[2 * k + 2] * scale)
