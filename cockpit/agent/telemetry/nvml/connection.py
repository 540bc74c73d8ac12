"""Coming to the driver: load the library, initialize it, and see which GPUs there are."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from cockpit.agent.telemetry.nvml.device import Device
from cockpit.agent.telemetry.nvml.library import (
    Library,
    NvmlError,
    error_name,
    optional,
)


class Finder:
    """Finds the GPU that the driver lists at one place; a turn for the watchdog.

    A GPU that is lost has no `handle`; one that does not answer leaves its finder busy.
    """

    def __init__(self, library: Library, place: int) -> None:
        self.steps, self.busy = 0, False
        self.stuck_since_s: float | None = None
        self.handle: Any | None = None
        self.uuid: str | None = None
        self._library, self._place = library, place

    def take(self) -> None:
        """Find it. Of a driver that is gone the first reading will tell."""
        with suppress(NvmlError):
            handle = self._library.handle("nvmlDeviceGetHandleByIndex_v2", self._place)
            self.steps += 1
            self.uuid = self._library.text("nvmlDeviceGetUUID", handle)
            self.handle = handle


class Connection:
    """One attempt to come to the driver; a turn for the watchdog.

    After it, `library` and `count` (of GPUs) are set, or `code` says why not.
    """

    def __init__(self, previous: Library | None, *, unload: bool) -> None:
        """`previous` is shut down first, and with `unload` its library is loaded anew."""
        self.steps, self.busy = 0, False
        self.stuck_since_s: float | None = None
        self.code: int | None = None
        self.library: Library | None = None
        self.count = 0
        self.driver_version: str | None = None
        self.nvml_version: str | None = None
        self.cuda_version: str | None = None
        self._previous, self._unload = previous, unload

    def take(self) -> None:
        """Try."""
        try:
            self._connect()
        except NvmlError as error:
            self.code = error.code

    def _connect(self) -> None:
        if self._previous is not None:
            self._previous.function("nvmlShutdown")()
            if self._unload:
                # A driver of another version comes with another library file.
                self._previous.unload()
        library = Library()
        try:
            library.call("nvmlInitWithFlags", 0)
        except NvmlError:
            library.unload()
            raise
        self.steps += 1
        try:
            self._look(library)
        except NvmlError:
            library.function("nvmlShutdown")()
            library.unload()
            raise
        self.library = library

    def _look(self, library: Library) -> None:
        self.driver_version = optional(library.text, "nvmlSystemGetDriverVersion")
        self.nvml_version = optional(library.text, "nvmlSystemGetNVMLVersion")
        cuda = optional(library.number, "nvmlSystemGetCudaDriverVersion_v2")
        self.cuda_version = None if cuda is None else f"{cuda // 1000}.{cuda % 1000 // 10}"
        self.count = library.number("nvmlDeviceGetCount_v2")


class RollCall:
    """Sees which GPUs the driver lists no more, and loses them; a turn for the watchdog.

    A GPU can vanish without an XID, and without its handle ever failing.
    """

    def __init__(self, library: Library, devices: Sequence[Device]) -> None:
        self.steps, self.busy = 0, False
        self.stuck_since_s: float | None = None
        self._library, self._devices = library, devices

    def take(self) -> None:
        """Call the roll: one call when none is missing."""
        present = [device for device in self._devices if not device.lost]
        # What a lost GPU or driver answers is for the readings to find.
        with suppress(NvmlError):
            count = self._library.number("nvmlDeviceGetCount_v2")
            self.steps += 1
            if count >= len(present):
                return
            listed = set()
            for place in range(count):
                finder = Finder(self._library, place)
                finder.take()
                self.steps += 1
                listed.add(finder.uuid)
            for device in present:
                if device.uuid not in listed:
                    device.lose("NVML_ERROR_GPU_IS_LOST")


def problem_and_advice(code: int | None) -> tuple[str, str]:
    """Why there is no driver, and what to do; `code` is None for one that does not answer."""
    name = "" if code is None else error_name(code)
    if code is None:
        return (
            "The NVIDIA driver does not answer",
            "Look at the kernel log (dmesg); a hung driver needs a reboot.",
        )
    if name == "NVML_ERROR_LIBRARY_NOT_FOUND":
        return (
            "NVIDIA's management library (libnvidia-ml.so.1) is not on this machine",
            "Install the NVIDIA driver, or look at a simulated box with cockpit --simulate.",
        )
    if name == "NVML_ERROR_LIB_RM_VERSION_MISMATCH":
        return (
            "The NVIDIA driver in the kernel and its library are of different versions",
            "Reboot, or reload the kernel module: the driver was updated underneath.",
        )
    if name in ("NVML_ERROR_DRIVER_NOT_LOADED", "NVML_ERROR_UNINITIALIZED"):
        return (
            f"The NVIDIA driver is not loaded ({name})",
            "Load it with modprobe nvidia, and see dmesg if that fails.",
        )
    return (
        f"The NVIDIA driver cannot be used ({name})",
        "See whether nvidia-smi works for you, and look at the kernel log (dmesg).",
    )
