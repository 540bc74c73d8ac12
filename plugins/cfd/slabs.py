"""The lattice in slabs along z, one or more on each device, that step together.

A cell shares slots only with cells above it (`lattice.CX`), so a slab has one layer of its upper
neighbour in memory, and after a step exactly five populations cross each face in each direction:
the neighbour gets the rows that this slab sent into that layer, and gives those that it sent down.
Each is a contiguous piece of one row, copied as it lies, with nothing packed.

One process drives all slabs: a GPU's kernels and copies are only queued, and device-to-device
copies need neither a message library nor a rank. The order on GPUs: the first and the last layer
of every slab, then the copies on streams of their own while the inner layers go on. On a CPU each
slab is a thread, since Warp lets go of Python's lock while a kernel runs.

The arithmetic of a cell does not know the slabs: any number of them gives the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import warp as wp
from boundaries import obstacle_forces, send_back
from kernels import STORAGES, grid_of, step_kernels
from lattice import CX, CY, CZ, OBSTACLE, WALL

CROSSING = [k for k in range(9) if CZ[2 * k + 1] == 1]
"""The pairs of populations that cross from layer to layer."""

SLAB_CELLS = (2**31 - 1) // 19
"""Slots are counted in 32-bit integers, which is faster; more cells are more slabs."""


class Slab:
    """`flags` is layers + 2 × ny × nx: its own layers, and the one below and above them.

    With `shared`, the layer above belongs to another slab; else the slab is periodic by itself.
    """

    def __init__(
        self,
        flags: Any,
        shared: bool,
        stream: Any,
        omega: float,
        device: str,
        storage: str,
        collision: str,
    ) -> None:
        self.layers, self.ny, self.nx = flags.shape[0] - 2, flags.shape[1], flags.shape[2]
        self.device = wp.get_device(device)
        self.grid = grid_of(self.nx, self.ny, self.layers + shared)
        slot, self.scale = STORAGES[storage].slot, STORAGES[storage].scale
        self.flags = wp.array(flags.ravel(), dtype=wp.uint8, device=device)
        self.slots = wp.zeros(19 * self.grid.cells, dtype=slot, device=device)
        self.fluid_cells = int((flags[1:-1] < WALL).sum())
        self._stream = wp.array(stream, dtype=wp.float32, device=device)
        edges = edge_cells(flags)
        self._edges = wp.array(edges, dtype=wp.int32, device=device)
        shore = edges[_beside_obstacle(flags, edges)]
        self._shore = wp.array(shore, dtype=wp.int32, device=device)
        self._forces = wp.zeros(len(shore), dtype=wp.vec3, device=device)
        kernels = step_kernels(storage, collision)
        self._all = [self._recorded(kernel, omega, 0, self.layers) for kernel in kernels]
        self._rim, self._inner = self._all, [[], []]
        if self.layers > 2:
            last = self.layers - 1
            self._rim = [
                self._recorded(kernel, omega, 0, 1)
                + self._recorded(kernel, omega, last, self.layers)
                for kernel in kernels
            ]
            self._inner = [self._recorded(kernel, omega, 1, last) for kernel in kernels]
        self._ends = [self._recorded_end(parity) for parity in (0, 1)]

    def _recorded(self, kernel: Any, omega: float, first: int, end: int) -> list[Any]:
        layer = self.ny * self.nx
        inputs = [self.slots, self.flags, self.grid, first * layer, omega]
        count = (end - first) * layer
        return [wp.launch(kernel, count, inputs, device=self.device, record_cmd=True)]

    def _recorded_end(self, parity: int) -> list[Any]:
        if len(self._edges) == 0:
            return []
        inputs = [
            self.slots, self.scale, self.flags, self._stream, self._edges, self.grid, parity,
        ]  # fmt: skip
        count = len(self._edges)
        return [wp.launch(send_back, count, inputs, device=self.device, record_cmd=True)]

    def collide(self, parity: int) -> None:
        """Stream and collide all layers."""
        for launch in self._all[parity]:
            launch.launch()

    def collide_rim(self, parity: int) -> None:
        """What the neighbours wait for: the first and the last layer, or all if there is no use."""
        for launch in self._rim[parity]:
            launch.launch()

    def collide_inner(self, parity: int) -> None:
        """What `collide_rim` left."""
        for launch in self._inner[parity]:
            launch.launch()

    def end_step(self, parity: int) -> None:
        """Let the edges send back. Comes last: a neighbour's copies may have hit their slots."""
        for launch in self._ends[parity]:
            launch.launch()

    def forces(self, parity: int) -> Any:
        """The force on the obstacle of each cell beside it, cells × 3."""
        count = len(self._shore)
        if count:
            inputs = [
                self.slots, self.scale, self.flags, self._shore, self._forces, self.grid, parity,
            ]  # fmt: skip
            wp.launch(obstacle_forces, count, inputs, device=self.device)
        return self._forces.numpy().reshape(count, 3)


def crossings(lower: Slab, parity: int) -> Iterator[tuple[int, int, int]]:
    """For each population that crosses the face above `lower` after a step of `parity`: its row
    upwards, its row downwards, and the cells of a layer."""
    for k in CROSSING:
        yield 2 * k + 1 + parity, 2 * k + 2 - parity, lower.ny * lower.nx


def push_up(lower: Slab, upper: Slab, parity: int, stream: Any = None) -> None:
    """Give `upper` what `lower` sent into its first layer."""
    for row, _, count in crossings(lower, parity):
        source = row * lower.grid.cells + lower.layers * count
        wp.copy(upper.slots, lower.slots, row * upper.grid.cells, source, count, stream)


def push_down(lower: Slab, upper: Slab, parity: int, stream: Any = None) -> None:
    """Give `lower` what `upper` sent down from its first layer."""
    for _, row, count in crossings(lower, parity):
        target = row * lower.grid.cells + lower.layers * count
        wp.copy(lower.slots, upper.slots, target, row * upper.grid.cells, count, stream)


class Alone:
    """One slab, on any device."""

    def __init__(self, slab: Slab) -> None:
        self._slab = slab

    def step(self, parity: int) -> None:
        self._slab.collide(parity)
        self._slab.end_step(parity)

    def settle(self, parity: int) -> None:
        """Finish a state that was set from outside, as if by a step of `parity`."""
        self._slab.end_step(parity)


class Threads:
    """Slabs on a CPU, a thread each."""

    def __init__(self, slabs: Sequence[Slab]) -> None:
        self._slabs = slabs
        self._crew = ThreadPoolExecutor(len(slabs), thread_name_prefix="slab")

    def step(self, parity: int) -> None:
        self._each(lambda slab: slab.collide(parity))
        self.settle(parity)

    def settle(self, parity: int) -> None:
        """Exchange, and finish the step."""
        for lower, upper in faces(self._slabs):
            push_up(lower, upper, parity)
            push_down(lower, upper, parity)
        self._each(lambda slab: slab.end_step(parity))

    def _each(self, act: Callable[[Slab], None]) -> None:
        for _ in self._crew.map(act, self._slabs):
            pass


class Devices:
    """Slabs on GPUs, the exchange beside the work on the inner layers."""

    def __init__(self, slabs: Sequence[Slab]) -> None:
        self._slabs = slabs
        self._streams = [(wp.Stream(slab.device), wp.Stream(slab.device)) for slab in slabs]
        self._rims = [wp.Event(slab.device) for slab in slabs]
        for lower, upper in faces(slabs):
            _open_between(lower.device, upper.device)

    def step(self, parity: int) -> None:
        for slab in self._slabs:
            slab.collide_rim(parity)
        self.settle(parity)

    def settle(self, parity: int) -> None:
        """Exchange while the inner layers go on, and finish the step.

        A face's copies wait for the rims on both sides: the reader's rim has used the slots of
        the step before. A slab ends its step when all copies from it and to it are done.
        """
        for slab, rim in zip(self._slabs, self._rims, strict=True):
            slab.device.stream.record_event(rim)
        for slab in self._slabs:
            slab.collide_inner(parity)
        last = len(self._slabs)
        for n, (lower, upper) in enumerate(faces(self._slabs)):
            above = (n + 1) % last
            for stream, push in (
                (self._streams[n][0], push_up),
                (self._streams[above][1], push_down),
            ):
                stream.wait_event(self._rims[n])
                stream.wait_event(self._rims[above])
                push(lower, upper, parity, stream)
                done = stream.record_event()
                lower.device.stream.wait_event(done)
                upper.device.stream.wait_event(done)
        for slab in self._slabs:
            slab.end_step(parity)


def marching(slabs: Sequence[Slab]) -> Alone | Threads | Devices:
    """How these slabs step together. ValueError if they are on a CPU and on GPUs."""
    if len(slabs) == 1:
        return Alone(slabs[0])
    kinds = {slab.device.is_cuda for slab in slabs}
    if len(kinds) > 1:
        raise ValueError("The slabs of a flow lie on GPUs or on the CPU, not on both.")
    return Devices(slabs) if kinds.pop() else Threads(slabs)


def faces(slabs: Sequence[Slab]) -> Iterator[tuple[Slab, Slab]]:
    """Each slab and the one above it; above the last is the first."""
    for n, slab in enumerate(slabs):
        yield slab, slabs[(n + 1) % len(slabs)]


def edge_cells(flags: Any) -> Any:
    """The fluid cells with a neighbour that is not, counted from the first own layer.

    `flags` has the layers below and above; x and y are periodic.
    """
    dry = flags >= WALL
    touched = np.zeros_like(dry[1:-1])
    for i in range(1, 19):
        layers = dry[1 + CZ[i] : len(dry) - 1 + CZ[i]]
        touched |= np.roll(layers, (-CY[i], -CX[i]), axis=(1, 2))
    return np.flatnonzero(touched & ~dry[1:-1]).astype(np.int32)


def _beside_obstacle(flags: Any, edges: Any) -> Any:
    """Which of the cells `edges` have an obstacle beside them."""
    z, y, x = np.unravel_index(edges, (flags.shape[0] - 2, *flags.shape[1:]))
    beside = np.zeros(len(edges), dtype=bool)
    for i in range(1, 19):
        there = (z + 1 + CZ[i], (y + CY[i]) % flags.shape[1], (x + CX[i]) % flags.shape[2])
        beside |= flags[there] == OBSTACLE
    return beside


def _open_between(one: Any, other: Any) -> None:
    """Let two GPUs copy to each other directly where their link can; else copies go by the host."""
    if one == other:
        return
    for target, peer in ((one, other), (other, one)):
        if wp.is_peer_access_supported(target, peer):
            wp.set_peer_access_enabled(target, peer, True)
        if wp.is_mempool_access_supported(target, peer):
            wp.set_mempool_access_enabled(target, peer, True)
