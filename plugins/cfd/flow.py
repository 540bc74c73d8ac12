"""A flow on the lattice: its state, its steps, and what can be read from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import boundaries
import numpy as np
import readings
import warp as wp
from collisions import COLLISIONS
from kernels import STORAGES, bytes_per_update, step_kernels
from slabs import SLAB_CELLS, Slab, marching

CHUNK_CELLS = 1 << 22
"""Cells whose state is set or read at once, so that a large flow needs little beside itself."""


class Flow:
    """`flags` (nz × ny × nx, of `lattice.FLUID` and so on) with a fluid of `viscosity` in it.

    All axes are periodic; walls, inflow and outlet are cells with a flag. `stream` is the speed
    along x of the cells marked STREAM or LID, one value for each y. `velocity` (3 × nz × ny × nx)
    and `density` (nz × ny × nx), or what broadcasts to these, are the state at the start, by
    default at rest. Lattice units.

    `device` is one of Warp's, or several ("cuda:0", "cuda:1"; "cpu", "cpu" for two threads): the
    flow is cut along z into a slab or more for each, and the result is the same bits for any
    number. `storage` is fp32 or fp16, `collision` is bgk or regularized.

    Raises ValueError if there are fewer layers than devices, if a single layer is too large to
    count, or for a storage or collision that is not there.
    """

    def __init__(
        self,
        flags: Any,
        viscosity: float,
        stream: Any = None,
        velocity: Any = None,
        density: Any = None,
        device: str | Sequence[str] = "cpu",
        storage: str = "fp32",
        collision: str = "bgk",
    ) -> None:
        if storage not in STORAGES or collision not in COLLISIONS:
            raise ValueError(
                f"Storage {storage!r} with collision {collision!r} is not there: choose of"
                f" {', '.join(STORAGES)} and of {', '.join(COLLISIONS)}."
            )
        self.nz, self.ny, self.nx = flags.shape
        self.cells = flags.size
        self.tau = 3.0 * viscosity + 0.5
        self.storage, self.collision = storage, collision
        self.steps = 0
        devices = [device] if isinstance(device, str) else list(device)
        prepare(storage, collision, devices)
        places = cut(self.nz, self.ny * self.nx, devices)
        speed = np.broadcast_to(0.0 if stream is None else stream, self.ny)
        self._slabs, self._firsts, first = [], [], 0
        for place, layers in places:
            around = np.arange(first - 1, first + layers + 1) % self.nz
            own = flags[around].astype(np.uint8)
            self._slabs.append(
                Slab(own, len(places) > 1, speed, 1.0 / self.tau, place, storage, collision)
            )
            self._firsts.append(first)
            first += layers
        self._march = marching(self._slabs)
        self.fluid_cells = sum(slab.fluid_cells for slab in self._slabs)
        self._start(1.0 if density is None else density, 0.0 if velocity is None else velocity)

    @property
    def devices(self) -> list[str]:
        """The device of each slab, from the lowest."""
        return [str(slab.device) for slab in self._slabs]

    @property
    def bytes_per_step(self) -> int:
        """What one step must move: each fluid cell's populations in and out, and every flag."""
        return self.fluid_cells * (bytes_per_update(self.storage) - 1) + self.cells

    def step(self, count: int = 1) -> None:
        """Go on by `count` steps. On CUDA this returns before they are done."""
        for _ in range(count):
            self._march.step(self.steps % 2)
            self.steps += 1

    def synchronize(self) -> None:
        """Wait until all devices have done what they were told."""
        for slab in self._slabs:
            wp.synchronize_device(slab.device)

    def force(self) -> Any:
        """The force on the obstacle, three numbers along x, y and z."""
        forces = np.concatenate([slab.forces(self._parity) for slab in self._slabs])
        return forces.astype(np.float64).sum(axis=0)

    def moments(self, first: int = 0, end: int | None = None) -> tuple[Any, Any]:
        """Density (layers × ny × nx) and velocity (3 × layers × ny × nx) of the layers from
        `first` to before `end`, as float32. NaN where there is no fluid."""
        layer_cells = self.ny * self.nx
        parts = [
            self._moments(slab, layer * layer_cells, (count, layer_cells), (layer_cells, 1))
            for slab, layer, count in self._chunks(first, end)
        ]
        whole = np.concatenate(parts, axis=1).reshape(4, -1, self.ny, self.nx)
        return whole[0], whole[1:]

    def plane(self, name: str, place: int) -> tuple[Any, Any]:
        """Density (rows × columns) and velocity (3 × rows × columns) of the plane `name` (xy, xz
        or yz) at the cell `place`, as float32: x along the columns (z for yz), y along the rows (z
        for xz). NaN where there is no fluid."""
        if name == "xy":
            density, velocity = self.moments(place, place + 1)
            return density[0], velocity[:, 0]
        first, columns, step = (
            (place * self.nx, self.nx, 1) if name == "xz" else (place, self.ny, self.nx)
        )
        strides = (self.ny * self.nx, step)
        parts = [
            self._moments(slab, first, (slab.layers, columns), strides) for slab in self._slabs
        ]
        whole = np.concatenate(parts, axis=1)
        if name == "yz":
            whole = whole.transpose(0, 2, 1)
        return whole[0], whole[1:]

    def populations(self, first: int = 0, end: int | None = None) -> Any:
        """The deviations f_i - w_i that each cell of these layers sent in the last step, as
        float32, 19 × layers × ny × nx: the whole state. 0 where there is no fluid."""
        parts = []
        for slab, layer, count in self._chunks(first, end):
            cells = count * self.ny * self.nx
            f = wp.empty((19, cells), dtype=wp.float32, device=slab.device)
            self._read(readings.read_populations, slab, layer, cells, f)
            parts.append(f.numpy().reshape(19, count, self.ny, self.nx))
        return np.concatenate(parts, axis=1)

    def restore(self, populations: Any, steps: int) -> None:
        """Go back to `populations` (19 × nz × ny × nx; a memory map will do) after `steps` steps.

        The flow then goes on bit for bit as the one that they were read from did, on any number
        of slabs.
        """
        self.steps = steps
        first = 0
        for slab, layer, count in self._chunks(0, None):
            part = np.ascontiguousarray(populations[:, first : first + count], dtype=np.float32)
            f = wp.array(part.reshape(19, -1), dtype=wp.float32, device=slab.device)
            place = layer * self.ny * self.nx
            inputs = [slab.slots, slab.scale, f, slab.grid, place, self._parity]
            wp.launch(readings.restore_populations, f.shape[1], inputs, device=slab.device)
            first += count
        self._march.settle(self._parity)

    @property
    def _parity(self) -> int:
        """Of the last step; the start looks like the end of an odd one."""
        return (self.steps + 1) % 2

    def _moments(
        self, slab: Slab, first: int, shape: tuple[int, int], strides: tuple[int, int]
    ) -> Any:
        """Density and velocity of a slab's rows × columns cells, 4 × rows × columns."""
        moments = wp.empty(shape, dtype=wp.vec4, device=slab.device)
        inputs = [slab.slots, slab.scale, slab.flags, moments, slab.grid, first, *strides]
        wp.launch(readings.read_moments, shape, [*inputs, self._parity], device=slab.device)
        return np.moveaxis(moments.numpy(), -1, 0)

    def _read(self, kernel: Any, slab: Slab, layer: int, cells: int, target: Any) -> None:
        place = layer * self.ny * self.nx
        inputs = [slab.slots, slab.scale, slab.flags, target, slab.grid, place, self._parity]
        wp.launch(kernel, cells, inputs, device=slab.device)

    def _chunks(self, first: int, end: int | None) -> Iterator[tuple[Slab, int, int]]:
        """The layers from `first` to before `end` in order: a slab, its layer, how many."""
        end = self.nz if end is None else end
        most = max(1, CHUNK_CELLS // (self.ny * self.nx))
        for slab, base in zip(self._slabs, self._firsts, strict=True):
            place, last = max(first, base), min(end, base + slab.layers)
            while place < last:
                count = min(most, last - place)
                yield slab, place - base, count
                place += count

    def _start(self, density: Any, velocity: Any) -> None:
        shape = (self.nz, self.ny, self.nx)
        density = np.broadcast_to(density, shape)
        velocity = np.broadcast_to(velocity, (3, *shape))
        first = 0
        for slab, layer, count in self._chunks(0, None):
            chunk = slice(first, first + count)
            rows = np.moveaxis(velocity[:, chunk], 0, -1).reshape(-1, 3)
            inputs = [
                slab.slots,
                slab.scale,
                wp.array((density[chunk] - 1.0).ravel(), dtype=wp.float32, device=slab.device),
                wp.array(rows, dtype=wp.vec3, device=slab.device),
                slab.grid,
                layer * self.ny * self.nx,
            ]
            wp.launch(readings.start_at_equilibrium, len(rows), inputs, device=slab.device)
            first += count
        self._march.settle(self._parity)


def prepare(storage: str, collision: str, devices: Sequence[str]) -> None:
    """Compile what a flow of this kind launches: seconds at the first time on a machine, else
    none. `Flow` does this too."""
    slots = {"slots": wp.array(dtype=STORAGES[storage].slot)}
    for kernel in (*boundaries.KERNELS, *readings.KERNELS):
        wp.overload(kernel, slots)
    modules = (boundaries, readings, step_kernels(storage, collision)[0].module)
    for device in dict.fromkeys(str(device) for device in devices):
        for module in modules:
            wp.load_module(module, device=device)


def cut(layers: int, layer_cells: int, devices: Sequence[str]) -> list[tuple[str, int]]:
    """The slabs from the lowest: their device, and their layers, as even as can be.

    A device gets as many slabs as it needs to count its cells. ValueError in words if there is no
    way.
    """
    if not 0 < len(devices) <= layers:
        raise ValueError(
            f"{layers} layers cannot be shared by {len(devices)} devices: each needs one at least."
        )
    # One layer of its neighbour comes on top of a slab's own.
    most = SLAB_CELLS // layer_cells - 1
    if most < 1:
        raise ValueError(
            f"A layer of {layer_cells:,} cells is more than the {SLAB_CELLS // 2:,} possible."
        )
    slabs = []
    for device, share in zip(devices, _even(layers, len(devices)), strict=True):
        slabs += [(device, count) for count in _even(share, -(-share // most))]
    return slabs


def _even(total: int, parts: int) -> list[int]:
    return [total // parts + (n < total % parts) for n in range(parts)]
