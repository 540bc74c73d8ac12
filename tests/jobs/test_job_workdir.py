"""A job with --workdir runs on the files as they were at submit."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from job_bench import Bench, until

from cockpit.agent.jobs import snapshot
from cockpit.protocol import RpcError

SLOW = "while [ ! -e go ]; do sleep 0.02; done; cat word; pwd; touch made"


@pytest.fixture
def source(short_tmp: Path) -> Path:
    path = short_tmp / "source"
    path.mkdir()
    (path / "word").write_text("then\n")
    return path


async def test_what_is_edited_after_the_submission_changes_nothing(
    bench: Bench, source: Path
) -> None:
    job = await bench.submit("bash", "-c", SLOW, snapshot_directory=str(source))
    (source / "word").write_text("now\n")
    bench.path(job, "workdir/go").touch()
    assert (await bench.end(job)).state == "COMPLETED"
    assert bench.log(job).split() == ["then", str(bench.path(job, "workdir"))]
    assert not (source / "made").exists()


async def test_a_requeue_runs_on_the_same_files_without_what_the_job_made(
    bench: Bench, source: Path
) -> None:
    first = await bench.submit("bash", "-c", "ls; touch made", snapshot_directory=str(source))
    await bench.end(first)
    (source / "word").unlink()
    again = await bench.end(await bench.call("job.requeue", id=first.id))
    assert again.state == "COMPLETED" and bench.log(again) == "word\n"
    third = await bench.end(await bench.call("job.requeue", id=again.id))
    assert bench.log(third) == "word\n"


async def test_every_job_of_an_array_has_a_copy_of_its_own(bench: Bench, source: Path) -> None:
    first = await bench.submit(
        "bash", "-c", "ls; touch made; sleep 0.2; ls", snapshot_directory=str(source), array=(1, 2)
    )
    jobs = (await bench.call("job.list"))["jobs"]
    assert len(jobs) == 2 and first.array is not None
    for job in jobs:
        await bench.end(job)
        assert bench.log(job).split() == ["word", "made", "word"]
    assert not list(bench.directory.glob(".taken-*"))


async def test_what_is_too_large_is_refused_with_a_way_out(
    bench: Bench, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "BYTES_MOST", 3)
    with pytest.raises(RpcError, match="The largest in it: word") as caught:
        await bench.submit("true", snapshot_directory=str(source))
    assert "--chdir" in caught.value.advice
    assert (await bench.call("job.list"))["jobs"] == []


async def test_a_copy_under_way_keeps_nothing_else_waiting(
    bench: Bench, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy, asked = snapshot.copy, asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(*arguments: object) -> None:
        loop.call_soon_threadsafe(asked.set)
        while not (source / "go").exists():
            pass
        copy(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(snapshot, "copy", slow)
    copying = asyncio.create_task(bench.submit("true", snapshot_directory=str(source)))
    await asked.wait()
    other = await bench.submit("true")
    assert (await bench.end(other)).state == "COMPLETED" and not copying.done()
    (source / "go").touch()
    assert (await bench.end(await copying)).state == "COMPLETED"


async def test_a_copy_that_was_cut_off_is_swept_away(bench: Bench) -> None:
    (bench.directory / ".taken-half" / "deep").mkdir(parents=True)
    await bench.restart()
    assert not (bench.directory / ".taken-half").exists()


async def test_a_client_that_goes_away_while_it_submits_leaves_one_job(bench: Bench) -> None:
    request = {"name": "work", "command": ["true"], "gpus": 0, "token": "once"}
    asking = asyncio.create_task(bench.call("job.submit", **request))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    asking.cancel()
    job = await bench.call("job.submit", **request)
    await bench.end(job)
    await bench.restart()
    assert [each.id for each in (await bench.call("job.list"))["jobs"]] == [job.id]
    await until(lambda: len(list(bench.directory.glob("*/spec.json"))) == 1)
