"""A snapshot as a line, with the parts that rarely change kept as text from the tick before."""

from __future__ import annotations

import json
from typing import Any

from cockpit.model import Gpu, Snapshot

_encode = json.JSONEncoder(
    default=vars, separators=(",", ":"), ensure_ascii=False, allow_nan=False, check_circular=False
).encode

_STEADY = ("nvlinks", "processes")
"""Fields of Gpu that hold many small objects and are mostly the same from tick to tick."""


class SnapshotEncoder:
    """Makes the `snapshot` notification; the same bytes as `protocol.encode_request` but for order."""

    def __init__(self) -> None:
        self._texts: dict[tuple[str, str], tuple[tuple[Any, ...], str]] = {}

    def line(self, snapshot: Snapshot) -> bytes:
        """One line, newline included."""
        head = dict(vars(snapshot))
        gpus = ",".join([self._gpu(gpu) for gpu in head.pop("gpus")])
        params = f'{_encode(head)[:-1]},"gpus":[{gpus}]}}'
        return f'{{"jsonrpc":"2.0","method":"snapshot","params":{params}}}\n'.encode()

    def _gpu(self, gpu: Gpu) -> str:
        row = dict(vars(gpu))
        steady = [f'"{name}":{self._text(gpu.uuid, name, row.pop(name))}' for name in _STEADY]
        return f"{_encode(row)[:-1]},{','.join(steady)}}}"

    def _text(self, uuid: str, name: str, value: tuple[Any, ...]) -> str:
        if not value:
            return "[]"
        known = self._texts.get((uuid, name))
        if known is None or known[0] != value:
            known = self._texts[uuid, name] = (value, _encode(value))
        return known[1]
