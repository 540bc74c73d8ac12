"""libnvidia-ml by its function pointers: one C call a reading, no struct made twice.

`pynvml` gives the constants and the struct layouts; its wrappers make a new struct for every call,
and look every function up again, which a loop of a hundred calls a second cannot afford.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache, partial
from typing import Any, TypeVar

import pynvml

T = TypeVar("T")

LIBRARY_NAME = "libnvidia-ml.so.1"

Call = Callable[[], int]
"""A reading with everything it needs bound to it; returns NVML's code."""

SUCCESS: int = pynvml.NVML_SUCCESS
INSUFFICIENT_SIZE: int = pynvml.NVML_ERROR_INSUFFICIENT_SIZE
FUNCTION_NOT_FOUND: int = pynvml.NVML_ERROR_FUNCTION_NOT_FOUND
NOT_SUPPORTED: int = pynvml.NVML_ERROR_NOT_SUPPORTED

DRIVER_GONE_CODES = frozenset(
    {
        pynvml.NVML_ERROR_UNINITIALIZED,
        pynvml.NVML_ERROR_DRIVER_NOT_LOADED,
        pynvml.NVML_ERROR_LIBRARY_NOT_FOUND,
        pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH,
    }
)
LOST_CODES = frozenset({pynvml.NVML_ERROR_GPU_IS_LOST, pynvml.NVML_ERROR_GPU_NOT_FOUND})

_ERROR_NAMES: dict[int, str] = {
    value: name for name, value in vars(pynvml).items() if name.startswith("NVML_ERROR_")
}


class NvmlError(Exception):
    """NVML refused a call; `code` is what it said."""

    def __init__(self, code: int) -> None:
        super().__init__(error_name(code))
        self.code = code


class DriverGoneError(NvmlError):
    """The driver itself does not answer."""


class GpuLostError(NvmlError):
    """This GPU has fallen off the bus."""


class ReadError(NvmlError):
    """One reading failed."""


def error_name(code: int) -> str:
    """`NVML_ERROR_NOT_SUPPORTED` for 3, and so on."""
    return _ERROR_NAMES.get(code, f"NVML_ERROR_{code}")


@cache
def plain(layout: Any) -> Any:
    """A struct type of pynvml without pynvml's attribute access, which costs more than a call."""
    return type(layout.__name__, (ctypes.Structure,), {"_fields_": layout._fields_})


def library_present() -> bool:
    """Can NVIDIA's management library be loaded on this machine?"""
    try:
        ctypes.CDLL(LIBRARY_NAME)
    except OSError:
        return False
    return True


def check(code: int) -> None:
    """Raise what a code other than success means: DriverGoneError, GpuLostError or ReadError."""
    if code == SUCCESS:
        return
    if code in DRIVER_GONE_CODES:
        raise DriverGoneError(code)
    if code in LOST_CODES:
        raise GpuLostError(code)
    raise ReadError(code)


def _absent(*_arguments: Any) -> int:
    """Stands for a function that this version of the library does not have."""
    return FUNCTION_NOT_FOUND


class Library:
    """The loaded library. Raises DriverGoneError when there is none."""

    def __init__(self) -> None:
        try:
            self._library = ctypes.CDLL(LIBRARY_NAME)
        except OSError:
            raise DriverGoneError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND) from None
        self._functions: dict[str, Callable[..., int]] = {}

    def function(self, name: str) -> Callable[..., int]:
        """The C function of that name, or one that answers FUNCTION_NOT_FOUND."""
        known = self._functions.get(name)
        if known is None:
            try:
                known = self._library[name]
            except AttributeError:
                known = _absent
            self._functions[name] = known
        return known

    def bind(self, name: str, *arguments: Any) -> Call:
        """A call of that function with these arguments, ready to be made again and again."""
        return partial(self.function(name), *arguments)

    def unload(self) -> None:
        """Let the library go; nothing made from it may be called again."""
        ctypes.CDLL(None).dlclose(ctypes.c_void_p(self._library._handle))

    # Readings that are made once, or seldom. Each raises as `check` does.

    def call(self, name: str, *arguments: Any) -> None:
        """Call the function."""
        check(self.function(name)(*arguments))

    def number(self, name: str, *arguments: Any, kind: Any = ctypes.c_uint) -> int:
        """What the function writes into one number of C type `kind`, its last argument."""
        out = kind()
        self.call(name, *arguments, ctypes.byref(out))
        return int(out.value)

    def numbers(self, name: str, *arguments: Any) -> tuple[int, int]:
        """What the function writes into its last two arguments, both of type unsigned int."""
        first, second = ctypes.c_uint(), ctypes.c_uint()
        self.call(name, *arguments, ctypes.byref(first), ctypes.byref(second))
        return int(first.value), int(second.value)

    def text(self, name: str, *arguments: Any) -> str:
        """What the function writes into a text buffer."""
        buffer = ctypes.create_string_buffer(96)
        self.call(name, *arguments, buffer, ctypes.c_uint(len(buffer)))
        return buffer.value.decode(errors="replace")

    def handle(self, name: str, *arguments: Any, kind: Any = pynvml.c_nvmlDevice_t) -> Any:
        """The opaque handle that the function writes into its last argument."""
        out = kind()
        self.call(name, *arguments, ctypes.byref(out))
        return out


def optional(read: Callable[..., T], *arguments: Any, **named: Any) -> T | None:
    """What `read` returns, or None where this GPU cannot tell.

    Raises DriverGoneError and GpuLostError.
    """
    try:
        return read(*arguments, **named)
    except ReadError:
        return None
