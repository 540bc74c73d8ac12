"""Who gets which snapshot, and what a client that does not read costs: next to nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from agents import RawClient, gpu, settled, snapshot

from cockpit import protocol
from cockpit.agent.connection import HIGH_WATER_BYTES, MOST_WAITING, Connection
from cockpit.agent.encoding import SnapshotEncoder
from cockpit.agent.server import Server
from cockpit.model import Event, Job, Process, Snapshot
from cockpit.protocol import Request


class Hall:
    """A server without an agent: `subscribe` and `seen` are all that it understands."""

    def __init__(self, path: Path) -> None:
        self.connections: list[Connection] = []
        self.server = Server(path, self._dispatch, lambda idle: None)

    async def _dispatch(self, connection: Connection, request: Request) -> Any:
        if request.method == "seen":
            connection.seen()
            return {}
        topics, ticks = request.params["topics"], request.params.get("ticks", 1)
        connection.subscribe(frozenset(topics), ticks, request.params.get("acknowledge", False))
        self.connections.append(connection)
        return {}

    async def subscriber(self, *topics: str, ticks: int = 1) -> RawClient:
        client = await RawClient.open(self.server.path)
        await client.call("subscribe", topics=topics, ticks=ticks)
        return client


@pytest.fixture
async def hall(home: Path) -> AsyncIterator[Hall]:
    hall = Hall(home / "r" / "s")
    await hall.server.start()
    yield hall
    await hall.server.close()


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the snapshots that were encoded."""
    numbers: list[int] = []
    original = SnapshotEncoder.line

    def line(self: SnapshotEncoder, which: Any) -> bytes:
        numbers.append(which.sequence)
        return original(self, which)

    monkeypatch.setattr(SnapshotEncoder, "line", line)
    return numbers


async def test_a_snapshot_is_encoded_once_for_all(hall: Hall, encoded: list[int]) -> None:
    clients = [await hall.subscriber("snapshot") for _ in range(3)]
    hall.server.send_snapshot(snapshot(1))
    received = [await client.notification("snapshot") for client in clients]
    assert [each["sequence"] for each in received] == [1, 1, 1]
    assert encoded == [1]
    for client in clients:
        await client.close()


async def test_nothing_is_encoded_when_nobody_listens(hall: Hall, encoded: list[int]) -> None:
    client = await hall.subscriber("event")
    hall.server.send_snapshot(snapshot(1))
    assert encoded == []
    await client.close()


async def test_a_subscriber_gets_every_nth_snapshot_that_it_asked_for(hall: Hall) -> None:
    client = await hall.subscriber("snapshot", ticks=3)
    for sequence in range(1, 9):
        hall.server.send_snapshot(snapshot(sequence))
    received = [(await client.notification("snapshot"))["sequence"] for _ in range(3)]
    assert received == [1, 4, 7]
    await client.close()


async def test_a_client_that_acknowledges_has_two_snapshots_under_way_and_then_the_newest(
    hall: Hall,
) -> None:
    client = await RawClient.open(hall.server.path)
    await client.call("subscribe", topics=["snapshot"], acknowledge=True)
    for sequence in range(1, 7):
        hall.server.send_snapshot(snapshot(sequence))
    received = [(await client.notification("snapshot"))["sequence"] for _ in range(2)]
    client.writer.write(protocol.encode_request("seen", {}))
    received.append((await client.notification("snapshot"))["sequence"])
    hall.server.send_snapshot(snapshot(7))
    hall.server.send_snapshot(snapshot(8))
    client.writer.write(protocol.encode_request("seen", {}))
    received.append((await client.notification("snapshot"))["sequence"])
    assert received == [1, 2, 6, 8]
    await client.close()


def test_the_encoder_says_what_the_protocol_says() -> None:
    encoder = SnapshotEncoder()
    process = Process(1, command='train "x", [é]')
    for one in (
        gpu(0),
        gpu(0, power_w=None, energy_j=1e12),
        gpu(0, processes=(process,)),
        gpu(0, processes=(replace(process, pid=2),), errors={"power_w": "NVML_ERROR_UNKNOWN"}),
    ):
        for gpus in ((), (one,), (one, gpu(1, power_w=1.5))):
            snapshot = Snapshot(1.5, gpus, sequence=7)
            expected = json.loads(protocol.encode_request("snapshot", snapshot))
            assert json.loads(encoder.line(snapshot)) == expected


async def test_a_slow_subscriber_costs_a_bounded_amount_and_gets_the_newest(hall: Hall) -> None:
    client = await hall.subscriber("snapshot", "event", "job")
    connection = hall.connections[0]
    transport = connection._transport
    assert transport is not None
    padding = "x" * 20_000
    job = Job("7", "train", None, ("true",), "RUNNING")
    most = 0
    # The loop does not turn meanwhile: to the server this client does not read at all.
    for sequence in range(1, 400):
        hall.server.send_snapshot(snapshot(sequence, padding=padding))
        hall.server.send_event(Event(sequence, 0.0, "agent", "info", padding[:100]))
        hall.server.send_job(job)
        most = max(most, transport.get_write_buffer_size())
    assert most <= HIGH_WATER_BYTES + 25_000
    assert len(connection._events) <= MOST_WAITING
    assert len(connection._jobs) == 1

    sequences, events, missed = [], [], []
    while not sequences or sequences[-1] != 399:
        message = await client.line()
        params = message["params"]
        if message["method"] == "snapshot":
            sequences.append(params["sequence"])
        elif message["method"] == "event":
            events.append(params["id"])
        elif message["method"] == "missed":
            missed.extend(params["topics"])
    assert sequences == sorted(sequences)
    assert len(sequences) < 399
    assert events == list(range(1, len(events) + 1))
    assert missed == ["event"]
    await client.close()


async def test_a_client_that_reads_no_answers_is_not_read_from(hall: Hall) -> None:
    client = await RawClient.open(hall.server.path)
    flood = protocol.encode_request("subscribe", {"topics": ["x" * 900]}, 1) * 100

    async def flood_it() -> None:
        while True:
            client.writer.write(flood)
            await client.writer.drain()

    flooding = asyncio.create_task(flood_it())
    await settled(lambda: len(hall.connections) > 200)
    await asyncio.sleep(0)
    connection = hall.connections[0]
    transport = connection._transport
    assert transport is not None
    # The answers fill the socket, then reading pauses, then the flood itself stands still.
    await settled(lambda: not transport.is_reading())
    assert len(connection._buffer) < 1 << 20
    assert transport.get_write_buffer_size() < HIGH_WATER_BYTES + (1 << 16)
    flooding.cancel()
    client.writer.transport.abort()
