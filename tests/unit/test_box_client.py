"""The client's end: what a slow reader, a broken stream or a strange answer does to it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from cockpit import __version__, protocol
from cockpit.client import Box, Connected, Disconnected, Update
from cockpit.errors import BoxError
from cockpit.link import MOST_WAITING
from cockpit.model import BoxInfo, Event, Job, Snapshot

Answer = Callable[[dict[str, Any]], Any]


class Theatre:
    """Plays an agent, and is the transport to it. `answers` maps a method to its result."""

    name = "theatre"
    local = True
    settings_digest: str | None = "abc"

    def __init__(self) -> None:
        self.version, self.protocol, self.settings = __version__, protocol.PROTOCOL, "abc"
        self.answers: dict[str, Any] = {"subscribe": {}}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.opened = self.restarts = 0
        self.writer: asyncio.StreamWriter | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        here, there = socket.socketpair()
        self.opened += 1
        reader, self.writer = await asyncio.open_connection(sock=there)
        self._tasks.append(asyncio.create_task(self._serve(reader, self.writer)))
        return await asyncio.open_connection(sock=here, limit=protocol.MAX_LINE_BYTES)

    async def restart(self) -> None:
        self.restarts += 1
        self.version, self.protocol, self.settings = __version__, protocol.PROTOCOL, "abc"

    async def place(self, folder: str) -> str:
        return folder

    async def forward(self, port: int) -> int:
        return port

    async def close(self) -> None:
        """Nothing is shared by the streams."""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            message = json.loads(line)
            method = message["method"]
            self.calls.append((method, message["params"]))
            if method == "hello":
                result: Any = {
                    "version": self.version,
                    "protocol": self.protocol,
                    "settings": self.settings,
                    "box": BoxInfo("theatre", "simulated", None, 0, revision=self.opened),
                }
            elif method in self.answers:
                result = self.answers[method]
            else:
                continue
            writer.write(protocol.encode_result(message["id"], result))

    def say(self, method: str, params: Any) -> None:
        assert self.writer is not None
        self.writer.write(protocol.encode_request(method, params))

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self.writer is not None:
            self.writer.close()


@pytest.fixture
async def theatre() -> AsyncIterator[Theatre]:
    stage = Theatre()
    yield stage
    await stage.end()


@pytest.fixture
async def box(theatre: Theatre) -> AsyncIterator[Box]:
    box = Box(theatre)
    yield box
    await box.close()


async def upcoming(stream: AsyncIterator[Update], count: int) -> list[Update]:
    found: list[Update] = []
    while len(found) < count:
        found.append(await asyncio.wait_for(anext(stream), 10))
    return found


def event(number: int) -> Event:
    return Event(number, 0.0, "agent", "info", f"event {number}")


async def test_an_agent_of_another_version_is_replaced(theatre: Theatre, box: Box) -> None:
    theatre.version = "0.0.1"
    await box.connect()
    assert theatre.restarts == 1


async def test_an_agent_with_other_settings_is_replaced(theatre: Theatre, box: Box) -> None:
    theatre.settings = "xyz"
    await box.connect()
    assert theatre.restarts == 1


async def test_an_agent_that_names_no_settings_is_taken_as_it_is(
    theatre: Theatre, box: Box
) -> None:
    theatre.settings = None  # type: ignore[assignment]
    await box.connect()
    assert theatre.restarts == 0


async def test_an_agent_met_again_is_never_replaced_only_refused(
    theatre: Theatre, box: Box
) -> None:
    stream = box.follow()
    await upcoming(stream, 1)
    theatre.version, theatre.settings = "9.9", "xyz"
    await lose(theatre)
    lost, again = await upcoming(stream, 2)
    assert isinstance(lost, Disconnected)
    assert isinstance(again, Connected)
    theatre.protocol = 99
    await lose(theatre)
    (lost,) = await upcoming(stream, 1)
    assert isinstance(lost, Disconnected)
    with pytest.raises(BoxError, match="protocol 99"):
        await box.connect()
    assert theatre.restarts == 0


async def lose(theatre: Theatre) -> None:
    """The agent's end of the connection is gone."""
    assert theatre.writer is not None
    theatre.writer.close()
    await theatre.writer.wait_closed()


async def test_a_slow_reader_gets_the_newest_snapshot(theatre: Theatre, box: Box) -> None:
    stream = box.follow()
    await upcoming(stream, 1)
    for number in range(1, 60):
        theatre.say("snapshot", Snapshot(float(number), (), sequence=number, box_revision=1))
    theatre.say("event", event(1))
    await asyncio.sleep(0.05)
    received = await upcoming(stream, 2)
    assert isinstance(received[0], Event)
    assert isinstance(received[1], Snapshot)
    assert received[1].sequence == 59


async def test_what_was_missed_is_asked_for_again(theatre: Theatre, box: Box) -> None:
    theatre.answers["events"] = {"events": [event(number) for number in range(2, 6)]}
    theatre.answers["job.list"] = {"jobs": [Job("2", "b", None, (), "RUNNING")]}
    stream = box.follow()
    await upcoming(stream, 1)
    theatre.say("event", event(1))
    theatre.say("missed", {"topics": ["event", "job"]})
    theatre.say("event", event(4))
    theatre.say("job", Job("2", "b", None, (), "PENDING"))
    received = await upcoming(stream, 6)
    theatre.say("event", event(6))
    received += await upcoming(stream, 1)
    assert [each.id for each in received if isinstance(each, Event)] == [1, 2, 3, 4, 5, 6]
    # The state as it was asked for, not the older one that was still under way.
    assert [each.state for each in received if isinstance(each, Job)] == ["RUNNING"]
    asked = next(params for method, params in theatre.calls if method == "events")
    assert asked["after_id"] == 1


async def test_a_reader_of_follow_that_never_reads_stays_bounded(
    theatre: Theatre, box: Box
) -> None:
    theatre.answers["events"] = {"events": [event(number) for number in range(1001, 3001)]}
    stream = box.follow()
    await upcoming(stream, 1)
    for number in range(1, 3001):
        theatre.say("event", event(number))
    link = box._link
    assert link is not None
    for _ in range(1000):
        if link._missed:
            break
        await asyncio.sleep(0.01)
    assert len(link._others) == MOST_WAITING
    events = [each.id for each in await upcoming(stream, 3000) if isinstance(each, Event)]
    assert events == list(range(1, 3001))


async def test_a_box_that_changed_is_asked_for_before_its_snapshot(
    theatre: Theatre, box: Box
) -> None:
    theatre.answers["box"] = BoxInfo("theatre", "simulated", "580", 2, revision=9)
    stream = box.follow()
    await upcoming(stream, 1)
    theatre.say("snapshot", Snapshot(1.0, (), sequence=1, box_revision=9))
    changed, snapshot = await upcoming(stream, 2)
    assert isinstance(changed, BoxInfo)
    assert changed.gpu_count == 2
    assert isinstance(snapshot, Snapshot)


async def test_a_lost_connection_is_told_once_and_met_again_at_once(
    theatre: Theatre, box: Box
) -> None:
    stream = box.follow()
    await upcoming(stream, 1)
    assert theatre.writer is not None
    theatre.writer.close()
    lost, again = await upcoming(stream, 2)
    assert isinstance(lost, Disconnected)
    assert isinstance(again, Connected)
    assert theatre.opened == 2


async def test_nonsense_from_the_agent_is_told_in_words(theatre: Theatre, box: Box) -> None:
    stream = box.follow()
    await upcoming(stream, 1)
    assert theatre.writer is not None
    theatre.writer.write(b"hello there\n")
    (lost,) = await upcoming(stream, 1)
    assert isinstance(lost, Disconnected)
    assert "no message" in lost.reason


async def test_an_error_about_the_connection_itself_reaches_the_caller(
    theatre: Theatre, box: Box
) -> None:
    await box.connect()
    waiting = asyncio.create_task(box.call("nothing"))
    await asyncio.sleep(0.01)
    assert theatre.writer is not None
    refusal = protocol.RpcError(
        protocol.NOT_PERMITTED, "this socket belongs to user kim", "Be kim."
    )
    theatre.writer.write(protocol.encode_error(None, refusal))
    theatre.writer.close()
    with pytest.raises(BoxError, match="belongs to user kim") as caught:
        await waiting
    assert caught.value.advice == "Be kim."


async def test_a_call_without_an_answer_times_out_and_the_next_one_works(
    theatre: Theatre, box: Box
) -> None:
    with pytest.raises(BoxError, match="did not answer nothing"):
        await box.call("nothing", timeout_s=0.02)
    theatre.answers["box"] = BoxInfo("theatre", "simulated", None, 0)
    assert (await box.box()).name == "theatre"


async def test_a_cancelled_call_leaves_the_connection_usable(theatre: Theatre, box: Box) -> None:
    call = asyncio.create_task(box.call("nothing"))
    await asyncio.sleep(0.02)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    theatre.answers["box"] = BoxInfo("theatre", "simulated", None, 0)
    assert (await box.box()).name == "theatre"
    assert theatre.opened == 1
