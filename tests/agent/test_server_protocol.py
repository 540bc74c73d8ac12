"""What the agent answers, and that nothing a client sends can hurt it."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat

import pytest
from agents import UUIDS, FakeSource, RawClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cockpit import __version__, protocol
from cockpit.agent.agent import Agent
from cockpit.model import Event


async def test_hello_tells_version_and_box(agent: Agent, raw: RawClient) -> None:
    result = (await raw.call("hello", version=__version__, protocol=1))["result"]
    assert (result["version"], result["protocol"]) == (__version__, protocol.PROTOCOL)
    assert result["pid"] == os.getpid()
    assert result["box"]["name"] == "fake"
    assert result["settings"] == agent.digest


async def test_a_snapshot_has_totals(raw: RawClient) -> None:
    totals = (await raw.call("snapshot"))["result"]["totals"]
    assert totals["power_w"] == 600.0
    assert totals["power_limit_w"] == 700.0
    assert totals["memory_used_bytes"] == 20 << 30


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"nonsense", protocol.PARSE_ERROR),
        (b"[" * 100_000, protocol.PARSE_ERROR),
        (b"\xff\xfe", protocol.PARSE_ERROR),
        (b"[1, 2]", protocol.INVALID_REQUEST),
        (b'{"jsonrpc": "2.0"}', protocol.INVALID_REQUEST),
        (b'{"jsonrpc": "2.0", "id": null, "method": 7}', protocol.INVALID_REQUEST),
        (b'{"jsonrpc": "2.0", "id": {}, "method": "box"}', protocol.INVALID_REQUEST),
        (b'{"jsonrpc": "2.0", "method": "box", "params": []}', protocol.INVALID_PARAMS),
    ],
)
async def test_a_line_that_is_no_request_is_answered_and_the_connection_lives_on(
    raw: RawClient, line: bytes, code: int
) -> None:
    raw.writer.write(line + b"\n")
    assert (await raw.answer(None))["error"]["code"] == code
    assert "result" in await raw.call("box")


async def test_an_error_in_a_request_goes_to_the_call_that_made_it(raw: RawClient) -> None:
    raw.writer.write(b'{"jsonrpc": "2.0", "id": 41, "method": "box", "params": 3}\n')
    assert (await raw.answer(41))["error"]["code"] == protocol.INVALID_PARAMS


async def test_an_unknown_method_is_named(raw: RawClient) -> None:
    error = (await raw.call("dance"))["error"]
    assert error["code"] == protocol.METHOD_NOT_FOUND
    assert "'dance'" in error["message"]
    assert "history" in error["data"]["advice"]


@pytest.mark.parametrize(
    ("method", "params", "words"),
    [
        ("history", {}, "needs 'gpu'"),
        ("history", {"gpu": 3, "metric": "x", "since_s": 0, "until_s": 1}, "expected text"),
        ("history", {"gpu": "GPU-a", "metric": "mood", "since_s": 0, "until_s": 1}, "mood"),
        (
            "history",
            {"gpu": "GPU-a", "metric": "power_w", "since_s": 9, "until_s": 1},
            "in that order",
        ),
        ("energy", {"since_s": float("nan"), "until_s": 1}, "Unix seconds"),
        ("events", {"after_id": 1 << 70}, "after_id"),
        ("events", {"limit": "many"}, "expected an integer"),
        ("subscribe", {"topics": ["weather"]}, "weather"),
        ("subscribe", {"topics": ["snapshot"], "interval_s": -1}, "interval_s"),
        ("process.stop", {"pid": "1", "start_ticks": 1}, "expected an integer"),
        ("simulate.fault", {"gpu": 0, "kind": "nonsense"}, "nonsense"),
    ],
)
async def test_wrong_parameters_are_named(
    raw: RawClient, method: str, params: dict[str, object], words: str
) -> None:
    line = {"jsonrpc": "2.0", "id": 5, "method": method, "params": params}
    raw.writer.write(json.dumps(line).encode() + b"\n")
    error = (await raw.answer(5))["error"]
    assert error["code"] == protocol.INVALID_PARAMS
    assert words in error["message"]


async def test_history_of_a_gpu_that_never_was_is_not_found(raw: RawClient) -> None:
    params = {"metric": "power_w", "since_s": 0, "until_s": 1}
    assert (await raw.call("history", gpu="GPU-z", **params))["error"]["code"] == protocol.NOT_FOUND


async def test_a_request_without_an_id_is_not_answered(raw: RawClient) -> None:
    raw.writer.write(b'{"jsonrpc": "2.0", "method": "dance"}\n')
    assert (await raw.call("box"))["id"] == 1


async def test_a_line_that_is_too_long_ends_only_its_own_connection(
    agent: Agent, raw: RawClient
) -> None:
    other = await RawClient.open(agent.server.path)
    other.writer.write(b"x" * (protocol.MAX_LINE_BYTES + 70_000))
    assert "longer than" in (await other.answer(None))["error"]["message"]
    with pytest.raises((EOFError, OSError)):
        await other.line()
    assert "result" in await raw.call("box")
    await other.close()


async def test_many_calls_at_once_are_all_answered(raw: RawClient) -> None:
    for number in range(1000, 1500):
        raw.writer.write(protocol.encode_request("events", {}, number))
    answered = {(await raw.line())["id"] for _ in range(500)}
    assert answered == set(range(1000, 1500))


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(max_size=300))
async def test_random_bytes_never_end_the_server(agent: Agent, noise: bytes) -> None:
    client = await RawClient.open(agent.server.path)
    client.writer.write(noise + b"\n")
    assert (await client.call("box"))["result"]["name"] == "fake"
    await client.close()


async def test_what_happened_is_numbered_and_found_again(
    raw: RawClient, source: FakeSource
) -> None:
    await raw.call("subscribe", topics=["event"])
    source.events.append(Event(0, 1_800_000_000.0, "xid", "critical", "XID 79", gpu_index=1))
    told = await raw.notification("event")
    found = (await raw.call("events", after_id=told["id"] - 1))["result"]
    assert told["id"] >= 1
    assert [event["text"] for event in found["events"]][:1] == ["XID 79"]
    assert found["last_id"] >= told["id"]


async def test_a_fault_reaches_the_simulation(raw: RawClient, source: FakeSource) -> None:
    assert (await raw.call("simulate.fault", gpu=1, kind="hot", clear=True))["result"] == {}
    assert source.faults == [(1, "hot", True)]


async def test_history_has_what_was_sampled(raw: RawClient) -> None:
    newest = (await raw.call("snapshot"))["result"]["time_s"]
    series = (
        await raw.call(
            "history", gpu=UUIDS[0], metric="power_w", since_s=newest - 5, until_s=newest
        )
    )["result"]
    assert series["maximum"][-1] == 300.0
    assert series["maximum"][0] is None


async def test_the_socket_and_its_directory_are_private(agent: Agent) -> None:
    assert stat.S_IMODE(agent.server.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(agent.server.path.parent.stat().st_mode) == 0o700


def ask_as_another_user(path: str) -> bytes:
    """What a process of user 65534 reads from the socket.

    Forked rather than started: that user may not be able to reach the interpreter.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            peer = socket.socket(socket.AF_UNIX)
            peer.settimeout(10)
            peer.connect(path)
            os.write(writing, peer.recv(4096))
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be a second user")
async def test_another_user_is_told_whose_socket_it_is(agent: Agent, raw: RawClient) -> None:
    path = agent.server.path
    # Even where the file modes have been opened up, the peer check holds.
    for each in (path, *list(path.parents)[:3]):
        each.chmod(0o777)
    error = json.loads(await asyncio.to_thread(ask_as_another_user, str(path)))["error"]
    assert error["code"] == protocol.NOT_PERMITTED
    assert error["message"] == "this socket belongs to user root"
    assert "result" in await raw.call("box")
