"""A job with a time limit is ended at it, whatever becomes of the agent."""

from __future__ import annotations

import signal

import pytest
from job_bench import Bench, alive, until

from cockpit.agent.jobs.shim.life import _length as length
from cockpit.protocol import RpcError


async def test_a_job_is_ended_at_its_time_limit_with_all_it_started(bench: Bench) -> None:
    job = await bench.submit(
        "bash", "-c", "setsid sleep 600 & echo $!; sleep 600", time_limit_s=1.5, gpus=4
    )
    assert job.time_limit_s == 1.5
    ended = await bench.reach(job, "TIMEOUT")
    assert (ended.reason, ended.exit_code) == (
        "reached its time limit of 1.5 s",
        128 + signal.SIGTERM,
    )
    assert not alive(await bench.pid_in_log(job))
    assert (await bench.end(await bench.submit("true", gpus=4))).state == "COMPLETED"


async def test_a_job_that_ends_well_at_sigterm_has_still_timed_out(bench: Bench) -> None:
    script = "trap 'echo saved; exit 0' TERM; while :; do sleep 0.02; done"
    job = await bench.reach(await bench.submit("bash", "-c", script, time_limit_s=1.5), "TIMEOUT")
    assert job.exit_code == 0 and bench.log(job).endswith("saved\n")


async def test_sigkill_follows_the_grace_and_a_stop_shortens_it(bench: Bench) -> None:
    script = "trap '' TERM; echo $$; while :; do sleep 0.02; done"
    job = await bench.submit("bash", "-c", script, time_limit_s=1.5)
    pid = await bench.pid_in_log(job)
    await bench.reach(job, "COMPLETING")
    assert alive(pid)
    ended = await bench.stop(job, grace_s=0.0)
    assert (ended.state, ended.exit_code) == ("TIMEOUT", 128 + signal.SIGKILL)
    assert not alive(pid)


async def test_a_job_that_is_quicker_or_stopped_knows_nothing_of_its_limit(bench: Bench) -> None:
    quick = await bench.end(await bench.submit("true", time_limit_s=600.0))
    assert (quick.state, quick.reason) == ("COMPLETED", "")
    slow = await bench.submit("bash", "-c", "echo $$; sleep 600", time_limit_s=600.0)
    await bench.pid_in_log(slow)
    assert (await bench.stop(slow)).state == "CANCELLED"


async def test_the_limit_holds_while_no_agent_runs(bench: Bench) -> None:
    job = await bench.submit("bash", "-c", "echo $$; sleep 600", time_limit_s=1.0)
    await bench.service.close()
    await until(lambda: "ended_s" in bench.status(job), "the end of the job")
    assert bench.status(job)["state"] == "TIMEOUT"
    await bench.restart()
    assert (await bench.show(job)).state == "TIMEOUT"


async def test_a_limit_that_makes_no_sense_is_refused(bench: Bench) -> None:
    for limit_s in (0.0, -1.0, 1e11):
        with pytest.raises(RpcError, match=r"a time limit of .* makes no sense"):
            await bench.submit("true", time_limit_s=limit_s)


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.5, "0.5 s"), (5400, "1 h 30 min"), (3605, "1 h 5 s"), (60, "1 min")]
)
def test_the_limit_is_told_in_words(seconds: float, words: str) -> None:
    assert length(seconds) == words
