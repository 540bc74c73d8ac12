"""The NVLinks of one GPU, and how the GPUs of a box are connected."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from typing import Any

import pynvml

from cockpit.agent.telemetry.nvml.fields import Field, FieldBatch
from cockpit.agent.telemetry.nvml.library import Library
from cockpit.model import NvLink

_STATE = pynvml.NVML_FI_DEV_NVLINK_GET_STATE
_ERRORS = (
    pynvml.NVML_FI_DEV_NVLINK_ERROR_DL_REPLAY,
    pynvml.NVML_FI_DEV_NVLINK_ERROR_DL_RECOVERY,
    pynvml.NVML_FI_DEV_NVLINK_ERROR_DL_CRC,
)
_PER_LINK = 1 + len(_ERRORS)
_UP = (pynvml.NVML_NVLINK_STATE_ACTIVE, pynvml.NVML_NVLINK_STATE_SLEEP)
"""A sleeping link saves power, and is up as soon as it is needed."""

TOPOLOGY_WORDS: Mapping[int, str] = {
    pynvml.NVML_TOPOLOGY_INTERNAL: "PIX",
    pynvml.NVML_TOPOLOGY_SINGLE: "PIX",
    pynvml.NVML_TOPOLOGY_MULTIPLE: "PXB",
    pynvml.NVML_TOPOLOGY_HOSTBRIDGE: "PHB",
    pynvml.NVML_TOPOLOGY_NODE: "NODE",
    pynvml.NVML_TOPOLOGY_SYSTEM: "SYS",
}
"""What NVML calls the way between two GPUs → what `nvidia-smi topo -m` calls it."""


class Links:
    """States and error counters of all NVLinks of a GPU, in one call."""

    def __init__(self, library: Library, handle: Any, count: int) -> None:
        fields: list[Field] = []
        for link in range(count):
            fields.extend((field, link) for field in (_STATE, *_ERRORS))
        self._batch = FieldBatch(library, handle, fields)
        self._count = count

    def read(self) -> int:
        """Read, and return NVML's code."""
        return self._batch.read()

    def links(self, peers: Mapping[int, int | None]) -> tuple[NvLink, ...]:
        """What was read, with `peers` (link → index of the GPU at its other end)."""
        values = self._batch.values
        links = []
        for link in range(self._count):
            state, *errors = values[link * _PER_LINK : (link + 1) * _PER_LINK]
            known = [int(count) for count in errors if count is not None]
            links.append(
                NvLink(
                    link=link,
                    active=None if state is None else state in _UP,
                    peer=peers.get(link),
                    errors=sum(known) if known else None,
                )
            )
        return tuple(links)


def remote_bus_id(library: Library, handle: Any, link: int) -> str:
    """PCI bus id of what is at the other end. Raises as `Library.call` does."""
    info = pynvml.nvmlPciInfo_t()
    library.call("nvmlDeviceGetNvLinkRemotePciInfo_v2", handle, link, ctypes.byref(info))
    return str(info.busId)


def topology(
    links: Sequence[Sequence[NvLink]], ancestors: Mapping[tuple[int, int], str]
) -> tuple[tuple[str, ...], ...]:
    """The matrix of `nvidia-smi topo -m` for GPUs in the order of `links`.

    `ancestors` has the way over PCIe for each pair (i, j) with i < j. NVLinks come first, as the
    faster way: those to the GPU itself, or to the switches that both GPUs are connected to.
    """
    size = len(links)

    def word(row: int, column: int) -> str:
        if row == column:
            return "X"
        up = [link for link in links[row] if link.active]
        direct = sum(link.peer == column for link in up)
        switched = sum(link.peer is None for link in up)
        back = sum(link.active is True and link.peer is None for link in links[column])
        count = direct or min(switched, back)
        way = ancestors.get((min(row, column), max(row, column)), "")
        return f"NV{count}" if count else way

    return tuple(tuple(word(row, column) for column in range(size)) for row in range(size))
