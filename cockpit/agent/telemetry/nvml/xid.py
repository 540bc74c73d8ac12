"""XIDs as the driver tells of them: a wait that blocks, in a thread of its own."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import pynvml

from cockpit.agent.health import xids
from cockpit.agent.telemetry.nvml.library import (
    SUCCESS,
    Library,
    NvmlError,
)
from cockpit.model import Event

THREAD_NAME = "nvml-xid"
_WAIT_MS = 5000
_TIMEOUT: int = pynvml.NVML_ERROR_TIMEOUT
_PATIENCE_S = 1.0
"""Rest after a wait that failed at once, so that a broken driver is not asked in a tight loop."""


class XidWatch:
    """Waits for XIDs of the GPUs given as handle address → (index, uuid).

    It is a turn for the watchdog, to register with the driver; then `start` begins the wait, in a
    thread of its own from which `tell` is called. The watch holds a use of the library of its own,
    so that nobody's nvmlShutdown pulls the driver from under it.
    """

    def __init__(
        self,
        library: Library,
        gpus: Mapping[int, tuple[int, str]],
        tell: Callable[[Event], None],
    ) -> None:
        self.steps, self.busy = 0, False
        self.stuck_since_s: float | None = None
        self._library = library
        self._gpus = gpus
        self._tell = tell
        self._events: Any = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=THREAD_NAME, daemon=True)

    def take(self) -> None:
        """Register with the driver. A driver that has no such events is simply not waited for."""
        library = self._library
        with suppress(NvmlError):
            library.call("nvmlInitWithFlags", 0)
            try:
                events = library.handle("nvmlEventSetCreate", kind=pynvml.c_nvmlEventSet_t)
            except NvmlError:
                library.function("nvmlShutdown")()
                raise
            for address in self._gpus:
                with suppress(NvmlError):
                    self._register(address, events)
                self.steps += 1
            self._events = events

    def start(self) -> None:
        """Begin to wait, if the driver let it register."""
        if not self.busy and self._events is not None:
            self._thread.start()

    def stop(self) -> None:
        """End within a few seconds, when the wait in progress is over."""
        self._stopping.set()

    @property
    def alive(self) -> bool:
        """Is the thread still there?"""
        return self._thread.is_alive()

    def _register(self, address: int, events: Any) -> None:
        types = ctypes.c_ulonglong(pynvml.nvmlEventTypeXidCriticalError)
        handle = ctypes.c_void_p(address)
        self._library.call("nvmlDeviceRegisterEvents", handle, types, events)

    def _run(self) -> None:
        try:
            self._wait(self._events)
        finally:
            self._library.function("nvmlEventSetFree")(self._events)
            self._library.function("nvmlShutdown")()

    def _wait(self, events: Any) -> None:
        data = pynvml.c_nvmlEventData_t()
        wait = self._library.bind("nvmlEventSetWait_v2", events, ctypes.byref(data), _WAIT_MS)
        while not self._stopping.is_set():
            code = wait()
            if code == SUCCESS:
                self._report(data)
            elif code == pynvml.NVML_ERROR_UNINITIALIZED:
                return
            elif code != _TIMEOUT:
                self._stopping.wait(_PATIENCE_S)

    def _report(self, data: Any) -> None:
        # One that has been told to stop may have a successor, who tells the same.
        if data.eventType != pynvml.nvmlEventTypeXidCriticalError or self._stopping.is_set():
            return
        gpu = self._gpus.get(handle_address(data.device))
        if gpu is not None:
            self._tell(xid_event(gpu[0], gpu[1], int(data.eventData)))


def xid_event(index: int, uuid: str, number: int) -> Event:
    """The event of an XID that came just now."""
    xid = xids.describe(number)
    return Event(
        id=0,
        time_s=time.time(),
        kind="xid",
        severity=xid.severity,
        text=xids.sentence(index, number),
        advice=xid.advice,
        gpu_uuid=uuid,
        gpu_index=index,
        data={"xid": number},
    )


def handle_address(handle: Any) -> int:
    """A handle as a number, by which two handles of one GPU are the same."""
    return ctypes.cast(handle, ctypes.c_void_p).value or 0
