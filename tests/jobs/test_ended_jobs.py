"""Jobs that have ended are removed for good or run once more; those that have not are left alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from job_bench import Bench, box, snapshot, uuid

from cockpit.protocol import RpcError


async def test_a_removed_job_is_gone_with_its_directory_and_its_number(bench: Bench) -> None:
    first = await bench.end(await bench.submit("true"))
    last = await bench.end(await bench.submit("true", gpus=1, token="once"))
    await bench.call("job.remove", id=last.id)
    assert not (bench.directory / last.id).exists() and not bench.service.busy()
    bench.service.observe(box(), snapshot())
    with pytest.raises(RpcError, match="there is no job 2 here"):
        await bench.show(last)
    await bench.restart()
    assert [job.id for job in (await bench.call("job.list"))["jobs"]] == [first.id]
    assert (await bench.submit("true", token="once")).id == "3"


async def test_every_client_is_told_of_a_removal(bench: Bench) -> None:
    job = await bench.end(await bench.submit("true"))
    await bench.call("job.remove", id=job.id)
    told = [each.removed for each in bench.published if each.id == job.id]
    assert told[-1] and not any(told[:-1])


async def test_a_job_that_has_not_ended_is_neither_removed_nor_requeued(bench: Bench) -> None:
    running = await bench.submit("sleep", "600", gpus=4)
    waiting = await bench.submit("true", gpus=1)
    for job in (running, waiting):
        for method in ("job.remove", "job.requeue"):
            with pytest.raises(RpcError, match=f"job {job.id} has not ended") as refusal:
                await bench.call(method, id=job.id)
            assert f"cockpit stop {job.id}" in refusal.value.advice
    assert (await bench.show(running)).state == "RUNNING"


async def test_a_removal_that_was_cut_off_is_finished_by_the_next_agent(bench: Bench) -> None:
    job = await bench.end(await bench.submit("true"))
    left = bench.directory / f"{job.id}.removed"
    (bench.directory / job.id).rename(left)
    await bench.restart()
    assert not left.exists()
    assert (await bench.call("job.list"))["jobs"] == []


async def test_a_requeued_job_is_a_new_one_from_the_same_request(bench: Bench) -> None:
    old = await bench.end(
        await bench.submit(
            "bash", "-c", "cat $COCKPIT_PARAMETERS; exit 3", gpus=2, parameters={"n": 4}
        )
    )
    new = await bench.call("job.requeue", id=old.id, token="again")
    assert (new.id, new.requeued_from, new.command) == ("2", old.id, old.command)
    assert (await bench.call("job.requeue", id=old.id, token="again")).id == new.id
    ended = await bench.end(new)
    assert (ended.exit_code, ended.gpus) == (3, (uuid(0), uuid(1)))
    assert bench.log(ended) == bench.log(old) == '{"n": 4}'
    bench.service.observe(box(), snapshot())
    await bench.restart()
    assert (await bench.show(new)).requeued_from == old.id
    assert (await bench.show(old)).requeued_from is None


async def test_a_requeued_plugin_is_the_one_that_ran_then(bench: Bench, tmp_path: Path) -> None:
    folder = tmp_path / "plugin"
    folder.mkdir()
    (folder / "say").write_text("then")
    old = await bench.end(
        await bench.submit("cat", "say", plugin="sayer", plugin_directory=str(folder))
    )
    (folder / "say").unlink()
    folder.rmdir()
    new = await bench.end(await bench.call("job.requeue", id=old.id))
    await bench.call("job.remove", id=old.id)
    third = await bench.end(await bench.call("job.requeue", id=new.id))
    assert bench.log(new) == bench.log(third) == "then"


async def test_what_a_job_was_submitted_with_can_be_asked_for(bench: Bench) -> None:
    job = await bench.submit("sleep", "600", gpus=2, parameters={"n": 4}, token="mine")
    request = await bench.call("job.request", id=job.id)
    assert (request.command, request.gpus, request.parameters) == (job.command, 2, {"n": 4})
    assert request.token is None
    with pytest.raises(RpcError, match="there is no job 99 here"):
        await bench.call("job.request", id="99")
