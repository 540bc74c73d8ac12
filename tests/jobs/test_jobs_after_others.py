"""A job that comes after another one starts when that has completed, and never otherwise."""

from __future__ import annotations

import shutil

import pytest
from job_bench import Bench

from cockpit.model import Job
from cockpit.protocol import RpcError


async def held(bench: Bench, ending: str = "exit 0", **options: object) -> Job:
    """A job that ends as `ending` says once `release` was called."""
    script = f"echo $$; while [ ! -e go ]; do sleep 0.02; done; {ending}"
    return await bench.submit("bash", "-c", script, **options)


async def test_it_starts_when_the_other_has_completed_and_says_what_it_waits_for(
    bench: Bench,
) -> None:
    first = await held(bench)
    second = await bench.submit("true", after=(first.id,))
    assert (second.state, second.after) == ("PENDING", (first.id,))
    assert second.reason == f"waiting for job {first.id} to complete"
    bench.path(first, "go").touch()
    ended = await bench.end(second)
    before = await bench.show(first)
    assert ended.state == before.state == "COMPLETED"
    assert ended.started_s is not None and before.ended_s is not None
    assert ended.started_s >= before.ended_s


async def test_it_holds_back_no_other_job_while_it_waits(bench: Bench) -> None:
    first = await held(bench)
    await bench.submit("true", after=(first.id,), gpus=4)
    assert (await bench.end(await bench.submit("true", gpus=4))).state == "COMPLETED"


@pytest.mark.parametrize(("ending", "state"), [("exit 3", "FAILED"), ("kill -9 $$", "FAILED")])
async def test_it_and_all_that_follow_are_cancelled_when_the_other_fails(
    bench: Bench, ending: str, state: str
) -> None:
    first = await held(bench, ending)
    second = await bench.submit("touch", "ran", after=(first.id,))
    third = await bench.submit("touch", "ran", after=(second.id,))
    bench.path(first, "go").touch()
    ended = [await bench.end(second), await bench.end(third)]
    assert [(job.state, job.started_s) for job in ended] == 2 * [("CANCELLED", None)]
    assert ended[0].reason == f"job {first.id}, after which it was to start, ended as {state}"
    assert ended[1].reason.startswith(f"job {second.id}, after")
    await bench.restart()
    assert [await bench.show(second), await bench.show(third)] == ended
    assert not bench.service.busy()


async def test_a_stopped_job_and_a_time_limit_cancel_what_follows(bench: Bench) -> None:
    first = await held(bench)
    second = await bench.submit("true", after=(first.id,))
    await bench.stop(first)
    assert (await bench.show(second)).reason.endswith("ended as CANCELLED")
    late = await bench.submit("true", after=((await held(bench, time_limit_s=0.2)).id,))
    assert (await bench.end(late)).reason.endswith("ended as TIMEOUT")


async def test_one_that_already_failed_cancels_at_once(bench: Bench) -> None:
    first = await bench.end(await bench.submit("false"))
    second = await bench.submit("true", after=(first.id,))
    assert (second.state, second.reason.endswith("ended as FAILED")) == ("CANCELLED", True)


async def test_a_job_that_is_not_there_is_refused(bench: Bench) -> None:
    with pytest.raises(RpcError, match="there is no job 7 here that work could come after"):
        await bench.submit("true", after=("7",))
    assert (await bench.call("job.list"))["jobs"] == []


async def test_it_goes_on_waiting_through_a_restart_of_the_agent(bench: Bench) -> None:
    good, bad = await held(bench), await held(bench, "exit 1")
    lucky = await bench.submit("true", after=(good.id,))
    doomed = await bench.submit("true", after=(bad.id,))
    await bench.pid_in_log(good)
    await bench.restart()
    assert (await bench.show(lucky)).reason == f"waiting for job {good.id} to complete"
    await bench.service.close()
    bench.path(good, "go").touch()
    bench.path(bad, "go").touch()
    await bench.restart()
    assert (await bench.end(lucky)).state == "COMPLETED"
    assert (await bench.end(doomed)).state == "CANCELLED"


async def test_a_completed_job_may_be_removed_before_the_next_one_starts(bench: Bench) -> None:
    busy = await bench.submit("sleep", "600", gpus=4)
    first = await bench.end(await bench.submit("true"))
    second = await bench.submit("true", after=(first.id,), gpus=1)
    await bench.call("job.remove", id=first.id)
    await bench.restart()
    assert "0 of 4 free" in (await bench.show(second)).reason
    await bench.stop(busy)
    assert (await bench.end(second)).state == "COMPLETED"


async def test_one_whose_directory_was_deleted_by_hand_cancels_what_follows(bench: Bench) -> None:
    busy = await bench.submit("sleep", "600", gpus=4)
    first = await bench.end(await bench.submit("true"))
    second = await bench.submit("true", after=(first.id,), gpus=1)
    await bench.service.close()
    shutil.rmtree(bench.directory / first.id)
    await bench.restart()
    assert "is not here any more" in (await bench.end(second)).reason
    await bench.stop(busy)


async def test_a_requeued_job_waits_for_no_other(bench: Bench) -> None:
    first = await bench.end(await bench.submit("false"))
    second = await bench.submit("true", after=(first.id,))
    again = await bench.end(await bench.call("job.requeue", id=second.id))
    assert (again.state, again.after) == ("COMPLETED", ())
