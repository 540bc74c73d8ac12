"""Agents in this process, with a source whose readings and clock are in hand."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from agents import FakeSource, RawClient, settled

from cockpit.agent import agent as agent_module
from cockpit.agent.agent import Agent
from cockpit.settings import AgentSettings


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """XDG directories of this test's own; short, because a socket's path must be."""
    directory = Path(tempfile.mkdtemp(prefix="ck", dir="/tmp"))
    for name in ("RUNTIME_DIR", "STATE_HOME", "CONFIG_HOME", "CACHE_HOME"):
        monkeypatch.setenv(f"XDG_{name}", str(directory / name[0].lower()))
    (directory / "r").mkdir(mode=0o700)
    (directory / "r" / "cockpit").mkdir(mode=0o700)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> FakeSource:
    """What agents of this test read from."""
    fake = FakeSource()
    monkeypatch.setattr(agent_module, "source_kind", lambda settings: "simulated")
    monkeypatch.setattr(agent_module, "make_source", lambda kind, settings, loads: fake)
    return fake


@pytest.fixture
async def agent(home: Path, source: FakeSource) -> AsyncIterator[Agent]:
    """A running agent in this process."""
    running = Agent(AgentSettings(name="t", interval_s=0.02))
    task = asyncio.create_task(running.run())
    await settled(lambda: running.server.newest is not None)
    yield running
    running.stop("the test is over")
    await task


@pytest.fixture
async def raw(agent: Agent) -> AsyncIterator[RawClient]:
    """A client of that agent which sends and reads bare lines."""
    client = await RawClient.open(agent.server.path)
    yield client
    await client.close()
