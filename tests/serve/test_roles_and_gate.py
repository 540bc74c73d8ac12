"""What a role may do is decided at the gate, for every method and whatever is sent."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cockpit import protocol
from cockpit.cli.main import COMMANDS
from cockpit.protocol import METHODS, NOT_PERMITTED
from cockpit.roles import (
    ADMIN_COMMANDS,
    ROLES,
    VIEWER_COMMANDS,
    Person,
    Role,
    may,
    role_for_method,
)
from cockpit.serve.audit import Audit, AuditReader
from cockpit.serve.gate import Gate, Passage

ACTS = {
    *("process.stop", "job.submit", "job.stop", "job.remove", "job.requeue", "notify.test"),
    *("environment.remove", "simulate.fault", "shutdown", "job.request", "job.files", "job.read"),
}


def test_every_method_that_acts_is_closed_to_a_viewer() -> None:
    assert {method for method in METHODS if role_for_method(method) != "viewer"} >= ACTS
    assert role_for_method("a.method.of.tomorrow") == "admin"
    assert role_for_method("shutdown") == "admin"
    assert all(may("admin", role_for_method(method)) for method in METHODS)


def test_every_command_has_a_role_and_a_viewers_commands_are_there() -> None:
    assert set(COMMANDS) >= VIEWER_COMMANDS and set(COMMANDS) >= ADMIN_COMMANDS


class FakeAgent:
    """Answers every call with its own method, and remembers what reached it."""

    def __init__(self) -> None:
        self.reached: list[dict[str, Any]] = []
        self.news: list[bytes] = []

    async def open(self) -> tuple[asyncio.StreamReader, Any]:
        reader = asyncio.StreamReader(limit=1 << 23)
        return reader, _FakeWriter(self, reader)


class _FakeWriter:
    def __init__(self, agent: FakeAgent, reader: asyncio.StreamReader) -> None:
        self._agent, self._reader = agent, reader

    def write(self, data: bytes) -> None:
        call = json.loads(data)
        self._agent.reached.append(call)
        if "id" in call:
            result = {"id": "7", "method": call["method"]}
            self._reader.feed_data(protocol.encode_result(call["id"], result))

    async def drain(self) -> None: ...

    def close(self) -> None:
        self._reader.feed_eof()

    async def wait_closed(self) -> None: ...


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def call(self, method: str, params: Any = None, number: int | str | None = 1) -> Any:
        self.writer.write(protocol.encode_request(method, params or {}, number))
        return json.loads(await asyncio.wait_for(self.reader.readline(), 10))


@pytest.fixture
def audit(tmp_path: Path) -> Audit:
    return Audit(tmp_path / "audit" / "audit.jsonl")


@pytest.fixture
def agent() -> FakeAgent:
    return FakeAgent()


class Door:
    def __init__(self, agent: FakeAgent, audit: Audit) -> None:
        self.agent, self.audit, self.gates = agent, audit, []

    async def enter(self, role: Role) -> Client:
        gate = Gate(self.agent, Person("vera", role, "SHA256:x", "192.0.2.1"), self.audit)
        self.gates.append(gate)
        return Client(*await asyncio.open_unix_connection(await gate.start(), limit=1 << 23))


@pytest.fixture
async def door(agent: FakeAgent, audit: Audit) -> AsyncIterator[Door]:
    door = Door(agent, audit)
    yield door
    for gate in door.gates:
        await gate.close()


@pytest.mark.parametrize("role", ROLES)
async def test_each_method_reaches_the_agent_only_for_who_may_call_it(
    door: Door, agent: FakeAgent, role: Role
) -> None:
    client = await door.enter(role)
    for number, method in enumerate(METHODS, start=1):
        answer = await client.call(method, {"id": "7"}, number)
        assert answer["id"] == number
        if may(role, role_for_method(method)):
            assert answer["result"]["method"] == method
        else:
            assert answer["error"]["code"] == NOT_PERMITTED and role in answer["error"]["message"]
    assert {call["method"] for call in agent.reached} == {
        method for method in METHODS if may(role, role_for_method(method))
    }


async def test_a_notification_is_judged_too(door: Door, agent: FakeAgent) -> None:
    client = await door.enter("viewer")
    client.writer.write(protocol.encode_request("shutdown", {}))
    client.writer.write(protocol.encode_request("job.stop", {"id": "1"}))
    await client.call("job.list")
    assert [call["method"] for call in agent.reached] == ["job.list"]


NASTY = st.one_of(
    st.binary(max_size=200).map(lambda data: data.replace(b"\n", b" ")),
    st.sampled_from(sorted(METHODS)).map(
        lambda method: json.dumps({"jsonrpc": "2.0", "id": 1, "method": method}).encode()
    ),
    st.sampled_from(
        [
            b'[{"jsonrpc":"2.0","id":1,"method":"shutdown"}]',
            b'{"jsonrpc":"2.0","id":1,"method":"job.list","method":"shutdown"}',
            b'{"jsonrpc":"2.0","id":1,"method":"job.\\u0073top","params":{"id":"1"}}',
            b'{"jsonrpc":"2.0","id":{},"method":"shutdown"}',
            b'{"jsonrpc":"2.0","id":1,"method":["shutdown"]}',
            b'{"id":1,"method":"shutdown"}',
            b"\xff\xfe" + '{"jsonrpc":"2.0","id":1,"method":"shutdown"}'.encode("utf-16-le"),
            b"[" * 5000,
        ]
    ),
)


@settings(max_examples=150)
@given(lines=st.lists(NASTY, min_size=1, max_size=5))
async def test_whatever_a_viewer_sends_nothing_that_acts_gets_through(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]
) -> None:
    agent = FakeAgent()
    audit = Audit(tmp_path_factory.mktemp("audit") / "a" / "audit.jsonl")
    passage = Passage(Person("vera", "viewer"), audit)
    client = asyncio.StreamReader(limit=1 << 23)
    client.feed_data(b"".join(line + b"\n" for line in lines))
    client.feed_eof()
    _, writer = await agent.open()
    back: list[bytes] = []

    class Back(_FakeWriter):
        def write(self, data: bytes) -> None:
            back.append(data)

    await passage.inwards(client, writer, Back(agent, asyncio.StreamReader()))
    assert all(role_for_method(call["method"]) == "viewer" for call in agent.reached)
    for answer in back:
        assert "error" in json.loads(answer)


async def test_what_acts_is_in_the_audit_log_with_how_it_went_and_without_secrets(
    door: Door, audit: Audit
) -> None:
    client = await door.enter("operator")
    request = {"name": "train", "command": ["python", "t.py"], "gpus": 2, "token": "t"}
    await client.call("job.submit", {**request, "secret_values": {"HF_TOKEN": "hunter2"}})
    await client.call("job.list")
    await client.call("shutdown")
    entries = list(AuditReader(audit.path).read())
    assert [(entry["event"], entry["method"]) for entry in entries] == [
        ("call", "job.submit"),
        ("refused", "shutdown"),
    ]
    assert entries[0]["who"] == "vera" and entries[0]["outcome"] == "done"
    assert (entries[0]["job"], entries[0]["name"], entries[0]["gpus"]) == ("7", "train", 2)
    assert "hunter2" not in audit.path.read_text()
    assert audit.path.stat().st_mode & 0o077 == 0


async def test_a_line_beyond_the_protocols_limit_ends_the_connection_and_nothing_else(
    door: Door, agent: FakeAgent
) -> None:
    client = await door.enter("viewer")
    client.writer.write(b"x" * (protocol.MAX_LINE_BYTES + 100))
    assert await asyncio.wait_for(client.reader.read(), 10) == b""
    again = Client(*await asyncio.open_unix_connection(door.gates[0].path))
    assert (await again.call("job.list"))["result"]["method"] == "job.list"


async def test_a_session_has_only_so_many_connections(door: Door) -> None:
    first = await door.enter("viewer")
    path = door.gates[0].path
    more = [await asyncio.open_unix_connection(path) for _ in range(20)]
    refused = [await asyncio.wait_for(reader.readline(), 10) for reader, _ in more[16:]]
    assert all(b"too many connections" in line for line in refused)
    assert (await first.call("job.list"))["result"]
    for _, writer in more:
        writer.close()


def test_the_audit_log_rotates_and_is_read_across_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cockpit.serve.audit.ROTATE_BYTES", 2000)
    audit = Audit(tmp_path / "audit.jsonl")
    reader = AuditReader(audit.path)
    numbers: list[int] = []
    for number in range(200):
        audit.write("call", None, number=number)
        if number % 3 == 0:
            numbers += [int(entry["number"]) for entry in reader.read()]
    numbers += [int(entry["number"]) for entry in reader.read()]
    assert numbers == list(range(200))
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == [
        "audit.1.jsonl",
        "audit.2.jsonl",
        "audit.3.jsonl",
        "audit.4.jsonl",
        "audit.jsonl",
    ]
    kept = [int(entry["number"]) for entry in AuditReader(audit.path).read()]
    assert kept == list(range(kept[0], 200)) and len(kept) > 50


def test_an_audit_log_that_cannot_be_written_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    told: list[str] = []
    audit = Audit(tmp_path / "file" / "audit.jsonl", told.append)
    audit.write("one")
    audit.write("two")
    assert len(told) == 1 and "cannot be written" in told[0]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_confined_process_reads_and_writes_nothing(tmp_path: Path) -> None:
    import subprocess
    import sys

    script = """
import os, subprocess, sys
from cockpit.confine import only_read
if not only_read():
    sys.exit(77)
target = sys.argv[1]
def fails(work):
    try:
        work()
    except PermissionError:
        return True
    return False
open("/dev/null", "w").write("x")
assert open(target + "/there").read() == "before"
print(all(fails(work) for work in (
    lambda: open(target + "/there", "w"),
    lambda: open(target + "/new", "w"),
    lambda: os.truncate(target + "/there", 0),
    lambda: os.unlink(target + "/there"),
    lambda: os.rename(target + "/there", target + "/x"),
    lambda: os.mkdir(target + "/d"),
    lambda: os.symlink("a", target + "/l"),
    lambda: subprocess.run(["true"]),
)))
"""
    (tmp_path / "there").write_text("before")
    ended = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False
    )
    if ended.returncode == 77:
        pytest.skip("this kernel has no Landlock")
    assert ended.stdout == "True\n", ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
