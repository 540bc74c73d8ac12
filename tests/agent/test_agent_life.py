"""When an agent starts, ends, is replaced, and what it leaves behind."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from agents import FakeSource, RawClient, settled

from cockpit import paths
from cockpit.agent.agent import Agent
from cockpit.agent.lock import AgentLock
from cockpit.agent.sampler import Sampler, next_due
from cockpit.client import Box, Connected, Disconnected
from cockpit.errors import BoxError
from cockpit.model import Snapshot
from cockpit.settings import AgentSettings, NotifySettings, SimulateSettings, settings_digest
from cockpit.transports import local
from cockpit.transports.local import LocalTransport

SIMULATED = AgentSettings(name="t", source="simulated", interval_s=0.1, idle_exit_s=30.0)


@pytest.fixture
async def real(home: Path) -> AsyncIterator[Box]:
    """A box whose agent is a process of its own; ended with the test."""
    transport = LocalTransport(SIMULATED)
    box = Box(transport)
    yield box
    await box.close()
    await transport.restart()


async def pid_of(box: Box) -> int:
    return int((await box.call("hello"))["pid"])


async def first(kind: type, stream: AsyncIterator[Any]) -> Any:
    """The next update of that kind."""
    async for update in stream:
        if isinstance(update, kind):
            return update
    raise AssertionError("the stream ended")


async def test_follow_survives_a_killed_agent(real: Box) -> None:
    stream = real.follow()
    await first(Snapshot, stream)
    before = await pid_of(real)
    os.kill(before, signal.SIGKILL)
    lost = await first(Disconnected, stream)
    assert "closed" in lost.reason or "broke" in lost.reason
    await first(Connected, stream)
    assert isinstance(await first(Snapshot, stream), Snapshot)
    assert await pid_of(real) != before


async def test_two_clients_at_once_get_one_agent(real: Box) -> None:
    other = Box(LocalTransport(SIMULATED))
    await asyncio.gather(real.connect(), other.connect())
    assert await pid_of(real) == await pid_of(other)
    await other.close()


async def test_a_socket_without_an_agent_is_replaced(real: Box, home: Path) -> None:
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(paths.socket_path("t")))
    dead.close()
    assert (await real.connect()).source == "simulated"


async def test_sigterm_saves_history_and_the_next_agent_has_it(real: Box) -> None:
    snapshot = await real.snapshot()
    uuid = snapshot.gpus[0].uuid
    pid = await pid_of(real)
    os.kill(pid, signal.SIGTERM)
    await settled(lambda: local._holder(paths.runtime_dir() / "agent-t.lock") is None)
    assert not paths.socket_path("t").exists()
    since = snapshot.time_s - 2
    series = await real.history(uuid, "power_w", since, snapshot.time_s)
    assert await pid_of(real) != pid
    assert any(value is not None for value in series.mean)


async def test_an_agent_with_other_settings_is_replaced_only_at_the_first_connection(
    real: Box,
) -> None:
    await real.connect()
    before = await pid_of(real)
    changed = AgentSettings(**{**vars(SIMULATED), "price_per_kwh": 0.4})
    other = Box(LocalTransport(changed))
    assert (await other.connect()).price_per_kwh == 0.4
    now = await pid_of(other)
    assert now != before
    # The first one meets it again and takes it as it is: no war.
    assert await pid_of(real) == now
    await other.close()


async def test_no_other_user_can_read_an_agents_settings(home: Path) -> None:
    headers = {"Authorization": "Bearer s3cret"}
    secret = replace(SIMULATED, notify=NotifySettings(webhook_headers=headers))
    transport = LocalTransport(secret)
    box = Box(transport)
    pid = await pid_of(box)
    assert (await box.call("hello"))["settings"] == settings_digest(secret)
    assert b"s3cret" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    await box.close()
    await transport.restart()


async def test_an_agent_that_cannot_start_shows_the_end_of_its_log(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = home / "python"
    python.write_text("#!/bin/sh\necho 'no telemetry on a teapot' >&2\nexit 3\n")
    python.chmod(0o755)
    monkeypatch.setattr(local.sys, "executable", str(python))
    with pytest.raises(BoxError) as caught:
        await Box(LocalTransport(SIMULATED)).connect()
    assert "exit code 3" in caught.value.message
    assert "no telemetry on a teapot" in caught.value.advice


async def test_a_runtime_directory_of_another_user_is_refused(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths.os, "getuid", lambda: 4242)
    with pytest.raises(BoxError, match="belongs to uid"):
        await LocalTransport(SIMULATED).open()


async def test_an_agent_ends_when_its_last_client_has_gone(home: Path, source: FakeSource) -> None:
    agent = Agent(AgentSettings(name="t", interval_s=0.02, idle_exit_s=0.1))
    task = asyncio.create_task(agent.run())
    await settled(agent.server.path.exists)
    client = await RawClient.open(agent.server.path)
    await client.call("snapshot")
    # Twice the time goes by with somebody there.
    await asyncio.sleep(0.2)
    assert not task.done()
    await client.close()
    await asyncio.wait_for(task, 10)
    assert not agent.server.path.exists()


async def test_an_agent_with_a_job_does_not_end(
    home: Path, source: FakeSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = Agent(AgentSettings(name="t", interval_s=0.02, idle_exit_s=0.01))
    asked = []
    monkeypatch.setattr(agent.jobs, "busy", lambda: len(asked.append(1) or asked) < 5)
    await asyncio.wait_for(agent.run(), 10)
    assert len(asked) == 5


async def test_a_lock_has_one_holder(tmp_path: Path) -> None:
    one, other = AgentLock(tmp_path / "lock"), AgentLock(tmp_path / "lock")
    assert one.acquire()
    assert not other.acquire()
    assert local._holder(tmp_path / "lock") == os.getpid()
    one.release()
    assert local._holder(tmp_path / "lock") is None
    assert other.acquire()
    other.release()


async def test_an_agent_outlives_a_source_that_fails(agent: Agent, source: FakeSource) -> None:
    sample = source.sample
    source.sample = lambda: 1 / 0  # type: ignore[method-assign,assignment]
    await asyncio.sleep(0.06)
    source.sample = sample  # type: ignore[method-assign]
    assert agent.server.newest is not None
    before = agent.server.newest.sequence
    await settled(lambda: agent.server.newest.sequence > before + 1)  # type: ignore[union-attr]


def test_missed_ticks_are_skipped_and_the_schedule_keeps_its_phase() -> None:
    assert next_due(10.0, 10.2, 1.0) == 11.0
    assert next_due(10.0, 10.999, 1.0) == 11.0
    assert next_due(10.0, 13.4, 1.0) == 14.0
    assert next_due(10.0, 9.9, 1.0) == 11.0


def test_work_for_the_sampler_is_done_between_ticks_in_its_thread() -> None:
    sampler = Sampler(lambda: None, lambda: None, 3600.0)
    sampler.start()
    thread = sampler.run(threading.current_thread).result(10)
    sampler.stop()
    assert thread.name == "sampler"


async def test_a_demo_shows_its_last_ten_minutes_at_once(home: Path) -> None:
    settings = AgentSettings(
        name="d", source="simulated", idle_exit_s=30.0, simulate=SimulateSettings(demo=True)
    )
    transport = LocalTransport(settings)
    async with Box(transport) as box:
        snapshot = await box.snapshot()
        until_s = snapshot.time_s
        series = await box.history(snapshot.gpus[0].uuid, "power_w", until_s - 540, until_s, 54)
        assert None not in series.mean
    await transport.restart()
