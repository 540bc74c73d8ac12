"""A snapshot as a line, with everything that rarely changes kept as text from the tick before."""

from __future__ import annotations

import dataclasses
import json
from operator import attrgetter
from typing import Any

from cockpit.model import Gpu, Snapshot

_encode = json.JSONEncoder(
    default=vars, separators=(",", ":"), ensure_ascii=False, allow_nan=False, check_circular=False
).encode

_MOVING = (
    "power_w",
    "power_instant_w",
    "energy_j",
    "temperature_c",
    "memory_temperature_c",
    "thermal_margin_c",
    "utilization_percent",
    "memory_used_bytes",
    "sm_clock_mhz",
    "memory_clock_mhz",
    "sm_active_percent",
    "sm_occupancy_percent",
    "tensor_active_percent",
    "dram_active_percent",
    "pcie_rx_bytes_per_s",
    "pcie_tx_bytes_per_s",
    "nvlink_rx_bytes_per_s",
    "nvlink_tx_bytes_per_s",
)
"""Fields of Gpu that change with nearly every tick; each is a number or None."""

_STEADY = tuple(field.name for field in dataclasses.fields(Gpu) if field.name not in _MOVING)
_moving_of = attrgetter(*_MOVING)
_steady_of = attrgetter(*_STEADY)
_MOVING_FORM = ",".join(f'"{name}":%s' for name in _MOVING)


class SnapshotEncoder:
    """Makes the `snapshot` notification: what `protocol.encode_request` makes, in another order."""

    def __init__(self) -> None:
        self._texts: dict[str, tuple[tuple[Any, ...], str]] = {}

    def line(self, snapshot: Snapshot) -> bytes:
        """One line, newline included. ValueError for a figure that is NaN or infinite."""
        head = dict(vars(snapshot))
        gpus: tuple[Gpu, ...] = head.pop("gpus")
        # Numbers hold neither brackets nor commas, so one call of the encoder serves all GPUs.
        numbers = _encode([_moving_of(gpu) for gpu in gpus])[2:-2].split("],[")
        rows = [
            f"{self._steady(gpu)},{_MOVING_FORM % tuple(row.split(','))}}}"
            for gpu, row in zip(gpus, numbers, strict=bool(gpus))
        ]
        params = f'{_encode(head)[:-1]},"gpus":[{",".join(rows)}]}}'
        return f'{{"jsonrpc":"2.0","method":"snapshot","params":{params}}}\n'.encode()

    def _steady(self, gpu: Gpu) -> str:
        """The object of the steady fields, left open at its end."""
        values = _steady_of(gpu)
        known = self._texts.get(gpu.uuid)
        if known is None or known[0] != values:
            text = _encode(dict(zip(_STEADY, values, strict=True)))[:-1]
            known = self._texts[gpu.uuid] = (values, text)
        return known[1]
