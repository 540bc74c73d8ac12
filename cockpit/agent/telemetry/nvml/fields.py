"""Many figures of one GPU in one call: nvmlDeviceGetFieldValues over an array that is kept."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Sequence
from operator import and_
from typing import Any

import pynvml

from cockpit.agent.telemetry.nvml.library import SUCCESS, Library

ALL_LINKS = 0xFFFFFFFF
"""Scope that sums an NVLink field over all links."""

Field = int | tuple[int, int]
"""A field id, or a field id with its scope (the number of an NVLink)."""

Value = int | float | None

_ENTRY = ctypes.sizeof(pynvml.c_nvmlFieldValue_t)
_SKIPPED = pynvml.c_nvmlFieldValue_t.valueType.offset
# The driver leaves the half of the union that a 32-bit value does not need as it was.
_MASKS: dict[int, int] = {
    pynvml.NVML_VALUE_TYPE_UNSIGNED_INT: (1 << 32) - 1,
    pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG: (1 << 64) - 1,
    pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG: (1 << 64) - 1,
}
_RARE: dict[int, str] = {
    pynvml.NVML_VALUE_TYPE_DOUBLE: "d",
    pynvml.NVML_VALUE_TYPE_SIGNED_LONG_LONG: "q",
    pynvml.NVML_VALUE_TYPE_SIGNED_INT: "i",
    pynvml.NVML_VALUE_TYPE_UNSIGNED_SHORT: "H",
}


class FieldBatch:
    """The fields of one GPU, in the order they were asked for.

    `read(count)` asks for the first `count` of them. After it, `values` and `codes` have an entry
    for each: the value in the driver's own unit, None where its code is not success.
    """

    def __init__(self, library: Library, handle: Any, fields: Sequence[Field]) -> None:
        self.fields = tuple(fields)
        self.values: Sequence[Value] = ()
        self.codes: tuple[int, ...] = ()
        self.failed = False
        """Did any field of the last reading fail?"""
        self._array = (pynvml.c_nvmlFieldValue_t * len(self.fields))()
        for entry, field in zip(self._array, self.fields, strict=True):
            entry.fieldId, entry.scopeId = field if isinstance(field, tuple) else (field, 0)
        self._function = library.function("nvmlDeviceGetFieldValues")
        self._handle = handle
        self._pointer = ctypes.byref(self._array)
        self._unpackers: dict[int, struct.Struct] = {}
        self._kinds: tuple[int, ...] = ()
        self._masks: list[int | None] | None = None

    def read(self, count: int | None = None) -> int:
        """Read, and return NVML's code for the call as a whole."""
        count = len(self.fields) if count is None else count
        code = self._function(self._handle, count, self._pointer)
        if code == SUCCESS:
            self._decode(count)
        return code

    def _decode(self, count: int) -> None:
        # One unpack for the whole array: reading it field by field through ctypes takes ten times
        # as long, and this runs for every GPU every second.
        unpacker = self._unpackers.get(count)
        if unpacker is None:
            unpacker = struct.Struct("=" + f"{_SKIPPED}xIIQ" * count)
            self._unpackers[count] = unpacker
        flat = unpacker.unpack_from(self._array)
        kinds, self.codes, raws = flat[0::3], flat[1::3], flat[2::3]
        self.failed = any(self.codes)
        if self.failed or kinds != self._kinds:
            self._kinds = kinds
            masks = [_MASKS.get(kind) for kind in kinds]
            self._masks = None if self.failed or None in masks else masks
        if self._masks is not None:
            self.values = list(map(and_, raws, self._masks))
        else:
            self.values = list(map(_value, kinds, self.codes, raws))


def _value(kind: int, code: int, raw: int) -> Value:
    if code:
        return None
    mask = _MASKS.get(kind)
    return _rare(kind, raw) if mask is None else raw & mask


def _rare(kind: int, raw: int) -> int | float:
    value: int | float = struct.unpack_from(_RARE[kind], struct.pack("=Q", raw))[0]
    return value


if struct.calcsize(f"={_SKIPPED}xIIQ") != _ENTRY:
    raise ImportError("pynvml lays out c_nvmlFieldValue_t in a way that cockpit does not know")
