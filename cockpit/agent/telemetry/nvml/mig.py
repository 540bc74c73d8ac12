"""The MIG slices of one GPU."""

from __future__ import annotations

import ctypes
from dataclasses import replace
from typing import Any

import pynvml

from cockpit.agent.telemetry.nvml import gpm
from cockpit.agent.telemetry.nvml.library import (
    SUCCESS,
    Library,
    ReadError,
    check,
    optional,
    plain,
)
from cockpit.agent.telemetry.nvml.processes import ProcessList
from cockpit.agent.telemetry.processes import ProcessTable
from cockpit.model import Process, Slice


class _SliceReader:
    """One slice: what it is, and the readings of it."""

    def __init__(
        self, library: Library, gpu: Any, handle: Any, uuid: str, table: ProcessTable
    ) -> None:
        """Raises as `Library.call` does."""
        self.uuid = uuid
        instance = library.number("nvmlDeviceGetGpuInstanceId", handle)
        start, size = _placement(library, gpu, instance)
        self._facts = Slice(
            uuid=uuid,
            profile=_profile(library, handle),
            gpu_instance=instance,
            compute_instance=library.number("nvmlDeviceGetComputeInstanceId", handle),
            placement_start=start,
            placement_size=size,
        )
        self._memory = plain(pynvml.c_nvmlMemory_v2_t)()
        self._memory.version = pynvml.nvmlMemory_v2
        pointer = ctypes.byref(self._memory)
        self._read_memory = library.bind("nvmlDeviceGetMemoryInfo_v2", handle, pointer)
        self.processes = ProcessList(library, handle, "compute", table)
        self._activity: gpm.Activity | None = optional(
            gpm.Activity, library, gpu, gpm.SLICE_METRICS, gpu_instance=instance
        )

    def read(self, now_s: float) -> Slice:
        """The slice now. Raises DriverGoneError and GpuLostError."""
        readable = _readable(self._read_memory())
        activity = self._activity
        values = {}
        if activity is not None and _readable(activity.read(now_s)):
            values = activity.values
        return replace(
            self._facts,
            memory_used_bytes=self._memory.used if readable else None,
            memory_total_bytes=self._memory.total if readable else None,
            sm_active_percent=values.get("sm_active_percent"),
            tensor_active_percent=values.get("tensor_active_percent"),
            dram_active_percent=values.get("dram_active_percent"),
            processes=self.processes.processes,
        )

    def close(self) -> None:
        if self._activity is not None:
            self._activity.close()


class Slices:
    """All slices of a GPU; none while MIG is off."""

    def __init__(self, library: Library, gpu: Any, table: ProcessTable) -> None:
        self._library, self._gpu, self._table = library, gpu, table
        self._readers: dict[str, _SliceReader] = {}

    @property
    def present(self) -> bool:
        """Is the GPU cut into slices?"""
        return bool(self._readers)

    @property
    def processes(self) -> tuple[Process, ...]:
        """Of all slices, as last read."""
        return tuple(
            process for reader in self._readers.values() for process in reader.processes.processes
        )

    def find(self, enabled: bool) -> None:
        """See which slices there are now. Raises DriverGoneError and GpuLostError."""
        found: dict[str, _SliceReader] = {}
        for handle in self._handles() if enabled else ():
            uuid = optional(self._library.text, "nvmlDeviceGetUUID", handle)
            if uuid is None:
                continue
            reader = self._readers.pop(uuid, None) or self._reader(handle, uuid)
            if reader is not None:
                found[uuid] = reader
        self.close()
        self._readers = found

    def read(self, now_s: float) -> tuple[Slice, ...]:
        """Every slice, in NVML's order. Raises DriverGoneError and GpuLostError."""
        return tuple(reader.read(now_s) for reader in self._readers.values())

    def read_processes(self) -> int:
        """Read who is on the slices; returns NVML's code."""
        for reader in self._readers.values():
            code = reader.processes.read()
            if code != SUCCESS:
                return code
        return SUCCESS

    def close(self) -> None:
        """Give back what the driver allocated."""
        for reader in self._readers.values():
            reader.close()
        self._readers = {}

    def _handles(self) -> list[Any]:
        count = optional(self._library.number, "nvmlDeviceGetMaxMigDeviceCount", self._gpu)
        handles = []
        for index in range(count or 0):
            try:
                name = "nvmlDeviceGetMigDeviceHandleByIndex"
                handles.append(self._library.handle(name, self._gpu, index))
            except ReadError:
                # The places of slices need not be filled in order.
                continue
        return handles

    def _reader(self, handle: Any, uuid: str) -> _SliceReader | None:
        try:
            return _SliceReader(self._library, self._gpu, handle, uuid, self._table)
        except ReadError:
            # It was taken away while it was looked at; the next look will tell.
            return None


def _readable(code: int) -> bool:
    try:
        check(code)
    except ReadError:
        return False
    return True


def _profile(library: Library, handle: Any) -> str:
    """`3g.40gb`: the last word of the slice's name, or made from its attributes."""
    name = optional(library.text, "nvmlDeviceGetName", handle) or ""
    if " MIG " in name:
        return str(name.rsplit(" MIG ", 1)[1])
    attributes = pynvml.c_nvmlDeviceAttributes()
    library.call("nvmlDeviceGetAttributes_v2", handle, ctypes.byref(attributes))
    # Rounded up, as nvidia-smi does: 39.5 GiB is called 40gb.
    gigabytes = -(-int(attributes.memorySizeMB) // 1024)
    profile = f"{attributes.gpuInstanceSliceCount}g.{gigabytes}gb"
    if attributes.computeInstanceSliceCount < attributes.gpuInstanceSliceCount:
        return f"{attributes.computeInstanceSliceCount}c.{profile}"
    return profile


def _placement(library: Library, gpu: Any, instance: int) -> tuple[int, int] | tuple[None, None]:
    """First memory slice and how many; unknown to a driver that tells only root."""
    info = pynvml.c_nvmlGpuInstanceInfo_t()
    try:
        kind = pynvml.c_nvmlGpuInstance_t
        handle = library.handle("nvmlDeviceGetGpuInstanceById", gpu, instance, kind=kind)
        library.call("nvmlGpuInstanceGetInfo", handle, ctypes.byref(info))
    except ReadError:
        return None, None
    return int(info.placement.start), int(info.placement.size)
