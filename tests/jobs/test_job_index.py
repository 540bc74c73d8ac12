"""jobs.sqlite makes a start quick, and is only ever a copy of what the directories say."""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path

import pytest
from job_bench import Bench, box, snapshot, until, uuid

from cockpit import codec
from cockpit.agent.jobs.accounting import Rates
from cockpit.agent.jobs.index import FILE, JobIndex
from cockpit.agent.jobs.store import JobStore
from cockpit.model import Job, JobRequest


async def three_ended(bench: Bench) -> list[Job]:
    """Jobs whose books are closed, one of which failed."""
    commands = (["true"], ["bash", "-c", "exit 3"], ["echo", "hello"])
    for command in commands:
        await bench.end(await bench.submit(*command, gpus=1, token=f"token {command}"))
    bench.service.observe(box(price=1.0), snapshot(time_s=time.time() + 60, energy_j=5.0))
    await until(lambda: not bench.service.busy(), "closed books")
    return list((await bench.call("job.list"))["jobs"])


def table(bench: Bench, query: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(bench.directory / FILE) as connection:
        return connection.execute(query).fetchall()


async def test_history_is_the_same_from_the_index_and_from_the_directories(bench: Bench) -> None:
    jobs = await three_ended(bench)
    await bench.restart()
    assert (await bench.call("job.list"))["jobs"] == jobs
    await bench.service.close()
    (bench.directory / FILE).unlink()
    await bench.restart()
    assert (await bench.call("job.list"))["jobs"] == jobs


async def test_a_damaged_index_is_made_again(bench: Bench) -> None:
    jobs = await three_ended(bench)
    await bench.service.close()
    (bench.directory / FILE).write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    await bench.restart()
    assert (await bench.call("job.list"))["jobs"] == jobs
    await bench.service.close()
    assert table(bench, "SELECT id, state FROM jobs ORDER BY id") == [
        (1, "COMPLETED"), (2, "FAILED"), (3, "COMPLETED"),
    ]  # fmt: skip
    await bench.restart()


async def test_one_of_another_version_is_made_again(bench: Bench) -> None:
    jobs = await three_ended(bench)
    await bench.service.close()
    with sqlite3.connect(bench.directory / FILE) as connection:
        connection.execute("PRAGMA user_version=99")
        connection.execute("DROP TABLE jobs")
    await bench.restart()
    assert (await bench.call("job.list"))["jobs"] == jobs


async def test_what_the_directories_say_wins(bench: Bench) -> None:
    await three_ended(bench)
    await bench.service.close()
    path = bench.directory / "2" / "ended.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "reason": "as it is on disk"}))
    await bench.restart()
    assert (await bench.call("job.show", id="2")).reason == "as it is on disk"


async def test_what_is_gone_from_the_disk_is_gone_from_the_index(bench: Bench) -> None:
    import shutil

    await three_ended(bench)
    await bench.service.close()
    shutil.rmtree(bench.directory / "2")
    await bench.restart()
    await bench.call("job.remove", id="1")
    assert [job.id for job in (await bench.call("job.list"))["jobs"]] == ["3"]
    await bench.service.close()
    assert table(bench, "SELECT id FROM jobs") == [(3,)]
    assert table(bench, "SELECT job FROM allocations") == [(3,)]
    await bench.restart()


async def test_a_token_and_a_requeue_work_for_jobs_from_the_index(bench: Bench) -> None:
    await three_ended(bench)
    await bench.restart()
    assert (await bench.submit("true", token="token ['true']")).id == "1"
    again = await bench.end(await bench.call("job.requeue", id="3"))
    assert (again.state, again.requeued_from, again.command) == (
        "COMPLETED",
        "3",
        ("echo", "hello"),
    )


async def test_the_queue_and_who_has_what_stand_in_it(bench: Bench) -> None:
    first = await bench.submit("sleep", "600", gpus=3)
    second = await bench.submit("sleep", "600", gpus=2)
    await bench.service.close()
    assert table(bench, "SELECT id, state FROM jobs ORDER BY id") == [
        (1, "RUNNING"), (2, "PENDING"),
    ]  # fmt: skip
    assert table(bench, "SELECT uuid, job, until_s FROM allocations") == [
        (uuid(index), 1, None) for index in range(3)
    ]
    await bench.restart()
    await bench.stop(first)
    await bench.stop(second)


async def test_sums_over_a_time_find_every_ended_job_also_just_now(bench: Bench) -> None:
    begun_s = time.time()
    await three_ended(bench)
    index = bench.service.index
    rows = index.ended(begun_s, time.time() + 1)
    assert [(row.id, row.state) for row in rows] == [
        (1, "COMPLETED"), (2, "FAILED"), (3, "COMPLETED"),
    ]  # fmt: skip
    assert all(row.gpu_seconds is not None and row.gpu_seconds > 0 for row in rows)
    assert codec.loads(Job, json.loads(rows[1].document)).exit_code == 3
    assert index.ended(0.0, begun_s) == []


async def test_an_index_that_is_destroyed_while_in_use_loses_nothing(bench: Bench) -> None:
    await three_ended(bench)
    index = bench.service.index
    index.flush()
    for suffix in ("-wal", "-shm"):
        Path(f"{index.path}{suffix}").unlink(missing_ok=True)
    index.path.write_bytes(b"x" * 8192)
    index.close()
    assert [row.id for row in index.ended(0.0, time.time() + 1)] == [1, 2, 3]


def test_a_disk_that_takes_nothing_keeps_the_changes_for_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = JobIndex(tmp_path / "missing", list)
    index.note(Job("1", "a", None, ("true",), "COMPLETED", ended_s=5.0), None)
    index.flush()
    assert index.waiting
    (tmp_path / "missing").mkdir()
    assert [row.name for row in index.ended(0.0, 10.0)] == ["a"]
    assert not index.waiting
    index.close()


def test_a_list_longer_than_a_message_comes_in_pages(tmp_path: Path) -> None:
    from cockpit.agent.jobs import listing
    from cockpit.agent.jobs.record import Record

    store = JobStore(tmp_path)
    ((spec, directory),) = store.create(JobRequest("x", ("a" * 100_000,)))
    records = [Record(str(number), directory, spec) for number in range(30)]
    first = listing.page(records, lambda record: record.job("box", Rates()))
    assert first["more"] and 5 < len(first["jobs"]) < 15
    rest = listing.page(records[-3:], lambda record: record.job("box", Rates()))
    assert (rest["more"], len(rest["jobs"])) == (False, 3)
