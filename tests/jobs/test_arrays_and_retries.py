"""Arrays, jobs that try again, slices and priorities, as real jobs of a service."""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import replace

import pytest
from job_bench import Bench, box, snapshot, until, uuid

from cockpit.agent.jobs import retries
from cockpit.agent.jobs.store import PREPARED
from cockpit.model import Job, Slice
from cockpit.protocol import RpcError


async def members(bench: Bench, array: Job) -> list[Job]:
    return list(reversed((await bench.call("job.list", array=array.id))["jobs"]))


# Arrays


async def test_an_array_is_a_job_for_each_index_with_numbers_in_a_row(bench: Bench) -> None:
    script = "echo $COCKPIT_ARRAY_ID $COCKPIT_ARRAY_INDEX $COCKPIT_ARRAY_SIZE"
    first = await bench.submit("bash", "-c", script, array=(3, 5, 9))
    jobs = [await bench.end(job) for job in await members(bench, first)]
    assert [job.id for job in jobs] == ["1", "2", "3"]
    assert [bench.log(job).split() for job in jobs] == [["1", i, "3"] for i in ("3", "5", "9")]
    assert [(job.array.id, job.array.index) for job in jobs if job.array] == [
        ("1", 3), ("1", 5), ("1", 9),
    ]  # fmt: skip


async def test_the_same_token_makes_one_array(bench: Bench) -> None:
    both = await asyncio.gather(
        *(bench.submit("true", array=(0, 1, 2), token="once") for _ in range(3))
    )
    assert {job.id for job in both} == {"1"}
    await bench.restart()
    assert (await bench.submit("true", array=(0, 1, 2), token="once")).id == "1"
    assert len(await members(bench, both[0])) == 3


async def test_no_more_than_was_said_run_at_once(bench: Bench) -> None:
    script = "while [ ! -e go ]; do sleep 0.02; done"
    first = await bench.submit("bash", "-c", script, array=(0, 1, 2), array_parallel=2)
    states = [job.state for job in await members(bench, first)]
    assert states == ["RUNNING", "RUNNING", "PENDING"]
    last = (await members(bench, first))[2]
    assert last.reason == "waiting: at most 2 of array 1[] run at once"
    bench.path(first, "go").touch()
    await bench.end(first)
    await bench.reach(last, "RUNNING")


async def test_an_array_that_was_cut_off_while_it_was_written_is_whole_or_not_there(
    bench: Bench,
) -> None:
    first = await bench.submit("true", array=(0, 1, 2), gpus=4)
    for job in await members(bench, first):
        await bench.end(job)
    await bench.service.close()
    for name in ("2", "3"):
        for file in bench.directory.joinpath(name).iterdir():
            if file.name not in ("spec.json", "frames", "output.log", "events.jsonl"):
                shutil.rmtree(file) if file.is_dir() else file.unlink()
        (bench.directory / name / "spec.json").rename(bench.directory / name / PREPARED)
    await bench.restart()
    assert len(await members(bench, first)) == 3
    for job in await members(bench, first):
        await bench.end(job)
    await bench.service.close()
    (bench.directory / "jobs.sqlite").unlink()
    for name in ("1", "2", "3"):
        (bench.directory / name / "spec.json").rename(bench.directory / name / PREPARED)
    await bench.restart()
    assert await members(bench, first) == []
    assert not (bench.directory / "2").exists()


async def test_a_whole_array_is_requeued_as_one(bench: Bench) -> None:
    first = await bench.submit("bash", "-c", "exit $COCKPIT_ARRAY_INDEX", array=(0, 4))
    for job in await members(bench, first):
        await bench.end(job)
    again = await bench.call("job.requeue", id=first.id, array=True)
    assert [await bench.end(job) for job in await members(bench, again)]
    assert [job.exit_code for job in await members(bench, again)] == [0, 4]
    one = await bench.end(await bench.call("job.requeue", id="2"))
    assert one.array is not None
    assert (one.array.index, one.array.size, one.exit_code) == (4, 2, 4)


# Another attempt


class Hands:
    """A monotonic clock that goes on when it is told to."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_the_pause_doubles_up_to_ten_minutes() -> None:
    assert [retries.pause_s(n) for n in (1, 2, 3, 6, 7, 50)] == [10, 20, 40, 320, 600, 600]


@pytest.fixture
def hands(bench: Bench) -> Hands:
    hands = Hands()
    bench.service._queue._clock = hands
    return hands


COUNT = "echo attempt; [ $(grep -c attempt $COCKPIT_JOB_DIR/output.log) -ge 3 ]"


async def test_a_job_that_fails_tries_again_after_a_pause_as_the_same_job(
    bench: Bench, hands: Hands
) -> None:
    job = await bench.submit("bash", "-c", COUNT, retries=3, gpus=1)
    waits = await bench.reach(job, "PENDING")
    while waits.attempt < 2:
        await asyncio.sleep(0.01)
        waits = await bench.show(job)
    assert (waits.state, waits.gpus, waits.exit_code) == ("PENDING", (), None)
    assert waits.reason == "attempt 2 of 4 in 10 s"
    first = json.loads(bench.path(job, "attempts/1.json").read_text())
    assert (first["state"], first["exit_code"]) == ("FAILED", 1)
    hands.now_s += 9.0
    bench.service.observe(box(), snapshot())
    assert (await bench.show(job)).reason == "attempt 2 of 4 in 5 s"
    hands.now_s += 1.5
    bench.service.observe(box(), snapshot())
    await until(lambda: bench.path(job, "attempts/2.json").exists(), "a second failure")
    hands.now_s += 20.5
    await until(lambda: bench.service._queue.records[job.id].attempt == 3)
    bench.service.observe(box(), snapshot())
    ended = await bench.end(job)
    assert (ended.state, ended.attempt, bench.log(job).count("attempt")) == ("COMPLETED", 3, 3)
    assert not bench.path(job, "attempts/3.json").exists()
    assert [e.text for e in bench.events if "FAILED" in e.text] == [
        "Job 1 (work) FAILED: exit code 1; attempt 2 of 4 in 10 s",
        "Job 1 (work) FAILED: exit code 1; attempt 3 of 4 in 20 s",
    ]


async def test_it_ends_as_failed_when_no_attempt_is_left(bench: Bench, hands: Hands) -> None:
    job = await bench.submit("false", retries=1)
    await until(lambda: bench.service._queue.records[job.id].attempt == 2, "a second attempt")
    hands.now_s += 11
    bench.service.observe(box(), snapshot())
    ended = await bench.end(job)
    assert (ended.state, ended.attempt) == ("FAILED", 2)


async def test_only_a_failure_of_its_own_is_tried_again(bench: Bench) -> None:
    stopped = await bench.submit("sleep", "600", retries=3)
    assert (await bench.stop(stopped)).state == "CANCELLED"
    late = await bench.submit("sleep", "600", retries=3, time_limit_s=0.1)
    assert (await bench.reach(late, "TIMEOUT")).attempt == 1


async def test_a_job_can_be_stopped_in_its_pause(bench: Bench) -> None:
    job = await bench.submit("false", retries=3)
    await until(lambda: bench.service._queue.records[job.id].attempt == 2, "a second attempt")
    assert (await bench.stop(job)).state == "CANCELLED"
    await bench.restart()
    assert (await bench.show(job)).state == "CANCELLED"


@pytest.mark.parametrize("moved", [False, True])
async def test_whenever_the_agent_dies_the_next_attempt_is_still_made(
    bench: Bench, moved: bool
) -> None:
    job = await bench.submit("bash", "-c", "exit 3", retries=2)
    await until(lambda: bench.service._queue.records[job.id].attempt == 2, "a second attempt")
    await bench.service.close()
    if not moved:
        # As if it had died before the one rename that makes the job wait again.
        bench.path(job, "attempts/1.json").rename(bench.path(job, "status.json"))
    await bench.restart()
    await until(lambda: bench.service._queue.records[job.id].attempt == 2, "a second attempt")
    waits = await bench.show(job)
    assert (waits.state, waits.attempt) == ("PENDING", 2)
    assert waits.reason.startswith("attempt 2 of 3 in ")


# Slices, priority and sharing


async def test_a_job_gets_a_slice_by_its_profile_and_sees_nothing_else(bench: Bench) -> None:
    seen = snapshot()
    part = Slice("MIG-abc", "2g.20gb", 1, memory_total_bytes=20 << 30)
    gpus = (*seen.gpus[:3], replace(seen.gpus[3], mig_enabled=True, slices=(part,)))
    bench.service.observe(box(), replace(seen, gpus=gpus))
    script = "echo $CUDA_VISIBLE_DEVICES"
    job = await bench.end(await bench.submit("bash", "-c", script, slices=("2g.20gb",)))
    assert (job.slices, job.gpus) == (("MIG-abc",), ())
    assert bench.log(job) == "MIG-abc\n"
    assert job.placement == "slice 2g.20gb of GPU 3"
    with pytest.raises(RpcError, match=r"there are 1 × 2g\.20gb"):
        await bench.submit("true", slices=("7g.80gb",))
    with pytest.raises(RpcError, match="GPUs or slices, not both"):
        await bench.submit("true", slices=("2g.20gb",), gpus=1)


async def test_why_a_job_is_where_it_is_survives_a_restart(bench: Bench) -> None:
    job = await bench.submit("sleep", "600", gpus=2)
    assert job.placement.startswith("GPUs 0 and 1: ")
    await bench.restart()
    again = await bench.show(job)
    assert (again.placement, again.gpus) == (job.placement, (uuid(0), uuid(1)))


async def test_a_higher_priority_starts_first(bench: Bench) -> None:
    busy = await bench.submit("sleep", "600", gpus=4)
    plain = await bench.submit("sleep", "600", gpus=4)
    urgent = await bench.submit("sleep", "600", gpus=4, priority=5)
    await bench.stop(busy)
    assert (await bench.reach(urgent, "RUNNING")).priority == 5
    assert (await bench.show(plain)).state == "PENDING"
