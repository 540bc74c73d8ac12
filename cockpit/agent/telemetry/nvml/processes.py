"""Who holds memory on a GPU or on a slice of it."""

from __future__ import annotations

import ctypes
from typing import Any

import pynvml

from cockpit.agent.telemetry.nvml.library import INSUFFICIENT_SIZE, SUCCESS, Library, plain
from cockpit.agent.telemetry.processes import ProcessTable
from cockpit.model import Process

FUNCTIONS = {
    "compute": "nvmlDeviceGetComputeRunningProcesses_v3",
    "graphics": "nvmlDeviceGetGraphicsRunningProcesses_v3",
    "mps": "nvmlDeviceGetMPSComputeRunningProcesses_v3",
}
_ROOM = 32
_UNKNOWN = 0xFFFFFFFFFFFFFFFF
"""NVML's word for a figure that it does not have."""


class ProcessList:
    """The processes of one kind on one device, read in one call into room that is kept."""

    def __init__(self, library: Library, handle: Any, kind: str, table: ProcessTable) -> None:
        self.processes: tuple[Process, ...] = ()
        self._function = library.function(FUNCTIONS[kind])
        self._handle = handle
        self._kind = kind
        self._table = table
        self._count = ctypes.c_uint()
        self._make_room(_ROOM)

    def read(self) -> int:
        """Read, and return NVML's code."""
        self._count.value = self._room
        code = self._function(self._handle, ctypes.byref(self._count), self._array)
        if code == INSUFFICIENT_SIZE:
            self._make_room(2 * max(self._count.value, self._room))
            self._count.value = self._room
            code = self._function(self._handle, ctypes.byref(self._count), self._array)
        if code == SUCCESS:
            self.processes = tuple(
                self._table.describe(entry.pid, _known(entry.usedGpuMemory), self._kind)
                for entry in self._array[: self._count.value]
            )
        return code

    def _make_room(self, room: int) -> None:
        self._room = room
        self._array = (plain(pynvml.c_nvmlProcessInfo_v3_t) * room)()


def _known(figure: int) -> int | None:
    return None if figure == _UNKNOWN else figure
