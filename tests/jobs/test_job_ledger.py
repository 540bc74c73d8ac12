"""The ledger: one line a job, after crashes too, and for ever."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from job_bench import Bench, box, snapshot, until

from cockpit.agent.jobs.ledger import Ledger, touches
from cockpit.model import LedgerEntry, Run
from cockpit.settings import AgentSettings


def line(job: str, start_s: float, end_s: float, state: str = "COMPLETED") -> LedgerEntry:
    return LedgerEntry(job, "n", None, "ann", state, start_s, (Run(start_s, end_s),))


def test_a_line_written_twice_counts_once_and_the_last_one_holds(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    assert ledger.entries(0, 1e9) == []
    for entry in (line("1", 10, 20, "FAILED"), line("2", 30, 40), line("1", 10, 20)):
        ledger.append(entry)
    assert [(each.job, each.state) for each in ledger.entries(0, 1e9)] == [
        ("1", "COMPLETED"),
        ("2", "COMPLETED"),
    ]
    assert [each.job for each in ledger.entries(25, 35)] == ["2"]


def test_half_a_line_costs_no_other(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.append(line("1", 10, 20))
    with ledger.path.open("ab") as file:
        file.write(b'{"job": "2", "na')
    ledger.append(line("3", 10, 20))
    assert [each.job for each in ledger.entries(0, 1e9)] == ["1", "3"]
    assert not touches(line("1", 10, 20), 20.5, 30)


async def usage(bench: Bench, since_s: float = 0.0) -> list[LedgerEntry]:
    found = await bench.call("usage", since_s=since_s, until_s=time.time() + 10, offset=0)
    assert found["total"] == len(found["entries"])
    return list(found["entries"])


async def test_a_job_is_in_the_ledger_while_it_runs_when_it_ended_and_when_it_is_gone(
    short_tmp: Path,
) -> None:
    bench = Bench(short_tmp / "jobs")
    bench.settings = AgentSettings(price_per_kwh=0.5, co2_g_per_kwh=400.0)
    bench.service = bench._make()
    await bench.start()
    job = await bench.submit("sleep", "600", gpus=1, name="long")
    await bench.reach(job, "RUNNING")
    (entry,) = await usage(bench)
    assert (entry.job, entry.name, entry.state) == (job.id, "long", "RUNNING")
    now_s = time.time()
    for seconds in range(3):
        bench.service.observe(box(), snapshot(time_s=now_s + seconds, energy_j=1000.0 * seconds))
    await bench.restart(observed=False)
    for seconds in range(3, 6):
        bench.service.observe(box(), snapshot(time_s=now_s + seconds, energy_j=1000.0 * seconds))
    await bench.stop(job, grace_s=0.0)
    bench.service.observe(box(), snapshot(time_s=now_s + 20, energy_j=5000.0))
    await until(lambda: bench.path(job, "ended.json").exists(), "the closing")
    shown = await bench.show(job)
    (entry,) = await usage(bench)
    assert entry.state == "CANCELLED" and entry.gpus == shown.gpus
    assert entry.energy_j == shown.energy_j and entry.gpu_seconds == shown.gpu_seconds
    assert shown.energy_j is not None and shown.co2_g == pytest.approx(shown.energy_j / 9000)
    assert shown.cost == pytest.approx(shown.energy_j / 7.2e6)
    await bench.call("job.remove", id=job.id)
    await bench.restart()
    assert await usage(bench) == [entry]
    assert await usage(bench, since_s=time.time() + 5) == []
    await bench.service.close()


async def test_an_agent_that_died_before_the_job_was_closed_enters_it_once(bench: Bench) -> None:
    job = await bench.end(await bench.submit("true"))
    await until(lambda: bench.path(job, "ended.json").exists(), "the closing")
    for _ in range(2):
        bench.path(job, "ended.json").unlink()
        await bench.restart()
        await until(lambda: bench.path(job, "ended.json").exists(), "the closing")
    lines = (bench.directory.parent / "ledger.jsonl").read_text().splitlines()
    assert len(lines) == 3 and len(await usage(bench)) == 1


async def test_a_job_that_never_started_is_in_no_ledger(bench: Bench) -> None:
    first = await bench.submit("sleep", "600")
    waiting = await bench.submit("true", after=(first.id,))
    await bench.stop(waiting)
    await bench.stop(first, grace_s=0.0)
    assert [entry.job for entry in await usage(bench)] == [first.id]


async def test_every_attempt_is_a_run_of_one_line(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cockpit.agent.jobs.retries.FIRST_PAUSE_S", 0.0)
    job = await bench.submit("false", gpus=1, retries=1)
    await until(lambda: bench.path(job, "attempts/1.json").exists(), "the second attempt")

    def again() -> bool:
        bench.service.observe(box(), snapshot(time_s=time.time() + 10))
        return bench.path(job, "ended.json").exists()

    await until(again, "the end")
    (entry,) = await usage(bench)
    assert (entry.state, len(entry.runs)) == ("FAILED", 2)


async def test_the_ledger_is_written_when_the_disk_has_room_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = Ledger.append

    def full(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(Ledger, "append", full)
    first = await bench.end(await bench.submit("true", name="first"))
    await until(lambda: bench.path(first, "ended.json").exists(), "the closing")
    assert [entry.name for entry in await usage(bench)] == ["first"]
    monkeypatch.setattr(Ledger, "append", append)
    await bench.end(await bench.submit("true", name="second"))
    path = bench.directory.parent / "ledger.jsonl"
    await until(lambda: path.exists() and len(path.read_text().splitlines()) == 2, "both lines")
