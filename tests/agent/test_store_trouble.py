"""A damaged file and a full disk: told once, never fatal, and nothing live is lost."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from agents import UUIDS, RawClient, gpu, settled

from cockpit import paths
from cockpit.agent.agent import Agent
from cockpit.agent.telemetry.events import EventStore
from cockpit.agent.telemetry.history import History
from cockpit.agent.telemetry.store import Store
from cockpit.model import Event
from cockpit.settings import AgentSettings

START = 1_800_000_000 // 60 * 60


NOISY = ("power_w", "temperature_c", "utilization_percent", "sm_clock_mhz", "sm_active_percent")


def fill(history: History, since: int, seconds: int) -> None:
    """Figures that do not compress, so that they need room."""
    chance = random.Random(since)
    for second in range(since, since + seconds):
        history.add(second, (gpu(**{name: chance.random() * 300 for name in NOISY}),))


@pytest.mark.parametrize(
    "damage",
    [b"not a database" * 300, b"SQLite format 3\x00" + b"\xff" * 5000],
    ids=["text", "broken header"],
)
def test_a_damaged_file_is_set_aside_and_that_is_told(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "history.sqlite"
    path.write_bytes(damage)
    told: list[Event] = []
    store = Store(path, told.append)
    history = History(store, clock=lambda: START)
    fill(history, START, 60)
    history.save(whole_minutes=False)
    asides = list(tmp_path.glob("history.sqlite.corrupt-*"))
    assert [aside.read_bytes() for aside in asides] == [damage]
    assert len(told) == 1
    assert asides[0].name in told[0].text
    assert store.run(lambda db: db.execute("SELECT count(*) FROM blocks").fetchone()[0], 0) == 1


def test_damage_found_while_running_is_set_aside_too(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    told: list[Event] = []
    store = Store(path, told.append)
    history = History(store, clock=lambda: START)
    fill(history, START, 600)
    history.save()
    store.run(lambda db: db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall(), None)
    store.close()
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xaa" * (len(content) - 4096)
    path.write_bytes(content)
    after = Store(path, told.append)
    assert EventStore(after).find() == []
    assert after.try_run(lambda db: db.execute("SELECT * FROM blocks").fetchall())
    assert [event.severity for event in told] == ["warning"]


def test_a_full_disk_is_told_once_and_what_was_not_written_is_written_later(tmp_path: Path) -> None:
    told: list[Event] = []
    store = Store(tmp_path / "history.sqlite", told.append)
    history = History(store, clock=lambda: START)
    pages = store.run(lambda db: db.execute("PRAGMA page_count").fetchone()[0], 0)
    store.run(lambda db: db.execute(f"PRAGMA max_page_count = {pages}").fetchone(), None)
    for minute in range(5):
        fill(history, START + minute * 60, 60)
        history.save()
    assert [event.severity for event in told] == ["warning"]
    assert "full" in told[0].text
    # Memory goes on.
    series = history.series(UUIDS[0], "power_w", START, START + 299)
    assert None not in series.mean

    store.run(lambda db: db.execute("PRAGMA max_page_count = 100000").fetchone(), None)
    fill(history, START + 300, 60)
    history.save()
    assert [event.severity for event in told] == ["warning", "info"]
    store.close()
    again = History(Store(tmp_path / "history.sqlite", told.append), clock=lambda: START + 360)
    again.load()
    assert None not in again.series(UUIDS[0], "power_w", START, START + 299).mean


def test_events_of_a_full_disk_are_still_found(tmp_path: Path) -> None:
    told: list[Event] = []
    store = Store(tmp_path / "history.sqlite", told.append)
    pages = store.run(lambda db: db.execute("PRAGMA page_count").fetchone()[0], 0)
    store.run(lambda db: db.execute(f"PRAGMA max_page_count = {pages}").fetchone(), None)
    events = EventStore(store)
    for number in range(300):
        events.number(Event(0, float(number), "agent", "info", "x" * 500))
        events.save()
    assert [event.id for event in events.find(limit=300)] == list(range(1, 301))
    assert len(told) == 1


async def test_an_agent_with_a_damaged_file_says_so_in_its_events(
    home: Path, source: object
) -> None:
    state = paths.make_private(paths.box_state_dir("t"))
    (state / "history.sqlite").write_bytes(b"garbage" * 2000)
    agent = Agent(AgentSettings(name="t", interval_s=0.02))
    task = asyncio.create_task(agent.run())
    await settled(agent.server.path.exists)
    client = await RawClient.open(agent.server.path)
    await client.call("snapshot")
    events = (await client.call("events"))["result"]["events"]
    assert any("set aside" in event["text"] for event in events)
    await client.close()
    agent.stop("the test is over")
    await task


def test_events_are_numbered_on_after_a_restart_and_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cockpit.agent.telemetry.events.IN_MEMORY", 20)
    monkeypatch.setattr("cockpit.agent.telemetry.events.KEPT", 50)
    store = Store(tmp_path / "history.sqlite", lambda event: None)
    events = EventStore(store)
    for number in range(100):
        events.number(Event(0, float(number), "agent", "info", f"event {number}"))
        events.save()
    found = [event.id for event in events.find(limit=1000)]
    assert found == list(range(51, 101))
    assert [event.id for event in events.find(after_id=60, limit=5)] == list(range(96, 101))
    assert [event.id for event in events.find(since_s=97.0)] == [98, 99, 100]
    store.close()
    again = EventStore(Store(tmp_path / "history.sqlite", lambda event: None))
    assert again.last_id == 100
    assert again.number(Event(0, 0.0, "agent", "info", "next")).id == 101
    assert [event.id for event in again.find(after_id=75, limit=1000)] == list(range(76, 102))
