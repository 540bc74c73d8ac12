"""What the tests of the agent share: a fake source, a client of bare lines, and patience."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cockpit import protocol
from cockpit.agent.telemetry.source import Sample
from cockpit.model import BoxInfo, Event, Gpu, GpuInfo, Snapshot

UUIDS = ("GPU-a", "GPU-b")


def gpu(index: int = 0, **figures: Any) -> Gpu:
    known: dict[str, Any] = {
        "power_w": 300.0,
        "power_limit_w": 350.0,
        "energy_j": 1000.0,
        "temperature_c": 60.0,
        "utilization_percent": 90.0,
        "memory_used_bytes": 10 << 30,
        "memory_total_bytes": 80 << 30,
        "sm_clock_mhz": 1700,
    }
    return Gpu(index, UUIDS[index], "NVIDIA H100 PCIe", **{**known, **figures})


def snapshot(sequence: int, processes: tuple[Any, ...] = (), padding: str = "") -> Snapshot:
    return Snapshot(
        1_800_000_000.0 + sequence,
        (gpu(0, processes=processes, errors={"padding": padding}), gpu(1)),
        sequence=sequence,
    )


class FakeSource:
    """Two GPUs that read whatever the test says."""

    def __init__(self) -> None:
        self.gpus: tuple[Gpu, ...] = (gpu(0), gpu(1))
        self.events: list[Event] = []
        self.faults: list[tuple[int, str, bool]] = []
        self.info = BoxInfo(
            "fake",
            "simulated",
            None,
            2,
            tuple(GpuInfo(index, uuid, "NVIDIA H100 PCIe") for index, uuid in enumerate(UUIDS)),
            revision=1,
        )

    def open(self) -> BoxInfo:
        return self.info

    def box(self) -> BoxInfo:
        return self.info

    def sample(self) -> Sample:
        events, self.events = tuple(self.events), []
        return Sample(time.time(), self.gpus, events)

    def fault(self, gpu_index: int, kind: str, clear: bool = False) -> None:
        if kind == "nonsense":
            raise ValueError("no such fault: nonsense")
        self.faults.append((gpu_index, kind, clear))

    def close(self) -> None:
        pass


class RawClient:
    """Bare lines to and from an agent."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._ids = itertools.count(1)

    @classmethod
    async def open(cls, path: Path) -> RawClient:
        return cls(*await asyncio.open_unix_connection(path, limit=protocol.MAX_LINE_BYTES))

    async def line(self) -> dict[str, Any]:
        """The next message. EOFError when the agent has closed the connection."""
        data = await asyncio.wait_for(self.reader.readline(), 10.0)
        if not data:
            raise EOFError
        return dict(json.loads(data))

    async def answer(self, request_id: int | None) -> dict[str, Any]:
        """The response with that id; notifications before it are passed over."""
        while True:
            message = await self.line()
            if "method" not in message and message["id"] == request_id:
                return message

    async def notification(self, method: str) -> dict[str, Any]:
        while True:
            message = await self.line()
            if message.get("method") == method:
                return dict(message["params"])

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._ids)
        self.writer.write(protocol.encode_request(method, params, number))
        return await self.answer(number)

    async def close(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except OSError:
            return


async def settled(condition: Callable[[], bool], patience_s: float = 10.0) -> None:
    """Wait until `condition` holds; fail when it does not come true."""
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        await asyncio.sleep(0.005)
