"""One GPU through its life: found, read, lost, found again."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pynvml

from cockpit.agent.telemetry.nvml.facts import gpu_info
from cockpit.agent.telemetry.nvml.figures import Figures
from cockpit.agent.telemetry.nvml.library import (
    DriverGoneError,
    GpuLostError,
    Library,
    ReadError,
    check,
    error_name,
    optional,
)
from cockpit.agent.telemetry.nvml.links import TOPOLOGY_WORDS, remote_bus_id
from cockpit.agent.telemetry.nvml.readings import Readings
from cockpit.agent.telemetry.processes import ProcessTable
from cockpit.agent.telemetry.source import METRICS
from cockpit.model import Gpu, GpuInfo, NvLink

_SELDOM_EVERY = 3
CALLS_TO_SEEK = 2
_SEEK_EVERY_S = 2.0
"""How often a lost GPU is asked whether it is back."""
_SLICES_EVERY_S = 2.0


@dataclass(frozen=True)
class Surroundings:
    """What a GPU has in common with the others of its box."""

    library: Library
    table: ProcessTable
    clock: Callable[[], float]
    """Monotonic."""
    wall: Callable[[], float]
    """Unix time."""


@dataclass(frozen=True)
class Neighbours:
    """The GPUs of a box, for one of them to find the ways to the others."""

    places: Mapping[str, int]
    """PCI bus id → index."""
    handles: Mapping[int, Any]
    """Index → handle, of those it is to find the way to."""


class Device:
    """One GPU. `take` reads it once, in the watchdog's thread; the rest is for the sampler's.

    After a pass `gpu` is the newest reading, unless the GPU is busy with a call that is stuck.
    """

    def __init__(self, shared: Surroundings, index: int, uuid: str, handle: Any | None) -> None:
        self.index, self.uuid, self.handle = index, uuid, handle
        self.info = GpuInfo(index=index, uuid=uuid, name="NVIDIA GPU")
        self.gpu = Gpu(index=index, uuid=uuid, name=self.info.name)
        self.steps, self.busy = 0, False
        self.stuck_since_s: float | None = None
        self.driver_code: int | None = None
        """What NVML said when this GPU was asked and the driver itself was gone."""
        self.lost_since_s: float | None = None
        self.todo: list[str] = []
        """Slow readings to make at the next pass."""
        self.neighbours: Neighbours | None = None
        """Set to have the ways to the other GPUs found out at the next pass, instead of a reading."""
        self.ancestors: dict[int, str] = {}
        """Index of another GPU → the way to it over PCIe, in the words of `nvidia-smi topo -m`."""
        self.link_peers: dict[int, int | None] = {}
        """NVLink → index of the GPU at its other end."""
        self.nvlinks: tuple[NvLink, ...] = ()
        """As they were when the ways to the other GPUs were found out."""
        self.news = self.surveyed = False
        """Has `info` or a way changed; and are the ways known?"""
        self.last_xid: tuple[int, float] | None = None
        self._shared = shared
        self._readings: Readings | None = None
        self._passes = index
        self._answered_s = shared.wall()
        self._sought_s = self._sliced_s = float("-inf")

    @property
    def lost(self) -> bool:
        """Has the GPU fallen off the bus?"""
        return self.lost_since_s is not None

    def take(self) -> None:
        """Read the GPU once."""
        try:
            if self.lost:
                self._seek()
            elif self._readings is None:
                self._meet()
            elif self.neighbours is not None:
                neighbours, self.neighbours = self.neighbours, None
                self._survey(neighbours)
            else:
                self._read(self._readings)
        except DriverGoneError as gone:
            self.driver_code = gone.code
        except GpuLostError as lost:
            self.lose(error_name(lost.code))

    def lose(self, reason: str) -> None:
        """The GPU does not answer any more; `reason` stands as the error of every figure."""
        if not self.lost:
            self.lost_since_s = self._answered_s
        self.gpu = self.unreadable(reason)

    def unreadable(self, reason: str) -> Gpu:
        """The GPU without any figure."""
        xid, xid_s = self.last_xid or (None, None)
        return Gpu(
            index=self.index,
            uuid=self.uuid,
            name=self.info.name,
            errors=dict.fromkeys(METRICS, reason),
            lost_since_s=self.lost_since_s,
            last_xid=xid,
            last_xid_s=xid_s,
        )

    def carry_over(self, before: Device) -> None:
        """Be the GPU that `before` was, which another driver knew."""
        self.info, self.last_xid = before.info, before.last_xid
        self.ancestors, self.link_peers = before.ancestors, before.link_peers
        self.nvlinks = before.nvlinks
        self._answered_s = before._answered_s
        self.lost_since_s = before.lost_since_s if self.handle is None else None

    def close(self) -> None:
        """Give back what the driver allocated."""
        if self._readings is not None and not self.busy:
            self._readings.close()
            self._readings = None

    def _meet(self) -> None:
        """Read everything about a GPU that is seen for the first time, or again."""
        shared = self._shared
        if self.handle is None:
            self.handle = self._find_handle()
        if self.uuid.startswith(UNKNOWN_UUID):
            self.uuid = shared.library.text("nvmlDeviceGetUUID", self.handle)
        self.info = gpu_info(shared.library, self.handle, self.index, self.uuid)
        self.news, self.surveyed = True, False
        self.steps += 1
        now_s = shared.clock()
        readings = Readings(shared.library, self.handle, self.info, shared.table, now_s)
        self._readings = readings
        self.todo = list(readings.slow)
        self._passes = 0
        self._read(readings)

    def _find_handle(self) -> Any:
        library = self._shared.library
        try:
            if self.uuid.startswith(UNKNOWN_UUID):
                return library.handle("nvmlDeviceGetHandleByIndex_v2", self.index)
            return library.handle("nvmlDeviceGetHandleByUUID", self.uuid.encode())
        except ReadError as error:
            raise GpuLostError(error.code) from None

    def _read(self, readings: Readings) -> None:
        now_s = self._shared.clock()
        readings.begin(now_s, seldom=self._passes % _SELDOM_EVERY == 0)
        self._passes += 1
        for reading in readings.fast:
            readings.run(reading)
            self.steps += 1
        for name in self.todo:
            slow = readings.slow.get(name)
            if slow is not None:
                readings.run(slow)
                self.steps += 1
        self.todo = []
        if now_s - self._sliced_s >= _SLICES_EVERY_S:
            self._sliced_s = now_s
            readings.refresh_slices()
        self._answered_s = self._shared.wall()
        self.gpu = self._gpu(readings.figures)

    def _gpu(self, figures: Figures) -> Gpu:
        xid, xid_s = self.last_xid or (None, None)
        # A frozen dataclass sets its fields one by one: for ten GPUs a fifth of the whole pass.
        gpu = object.__new__(Gpu)
        vars(gpu).update(
            _BLANK,
            **figures.values,
            index=self.index,
            uuid=self.uuid,
            name=self.info.name,
            errors=figures.errors,
            last_xid=xid,
            last_xid_s=xid_s,
        )
        return gpu

    def _seek(self) -> None:
        """Ask a lost GPU whether it is back."""
        now_s = self._shared.clock()
        if now_s - self._sought_s < _SEEK_EVERY_S:
            return
        self._sought_s = now_s
        handle = self._find_handle()
        library = self._shared.library
        temperature = ctypes.c_uint()
        pointer = ctypes.byref(temperature)
        code = library.function("nvmlDeviceGetTemperature")(
            handle, pynvml.NVML_TEMPERATURE_GPU, pointer
        )
        try:
            check(code)
        except ReadError as error:
            raise GpuLostError(error.code) from None
        self.handle, self._readings, self.lost_since_s = handle, None, None
        self._meet()

    def _survey(self, neighbours: Neighbours) -> None:
        """Find out the ways to other GPUs: over NVLink, and over PCIe."""
        library, readings = self._shared.library, self._readings
        for link in range(self.info.nvlink_count or 0):
            bus_id = optional(remote_bus_id, library, self.handle, link)
            self.link_peers[link] = neighbours.places.get(bus_id or "")
            self.steps += 1
        for index, handle in neighbours.handles.items():
            name = "nvmlDeviceGetTopologyCommonAncestor"
            level = optional(library.number, name, self.handle, handle)
            self.ancestors[index] = TOPOLOGY_WORDS.get(-1 if level is None else level, "")
            self.steps += 1
        if readings is not None:
            readings.name_peers(self.link_peers)
            self.nvlinks = readings.figures.values["nvlinks"]
            self.gpu = replace(self.gpu, nvlinks=self.nvlinks)
        peers = {peer for peer in self.link_peers.values() if peer is not None}
        self.info = replace(self.info, nvlink_peers=tuple(sorted(peers)))
        self.news = self.surveyed = True


_BLANK = vars(Gpu(index=0, uuid="", name=""))

UNKNOWN_UUID = "unknown-"
"""Begins the UUID of a GPU that has not told its own yet."""
