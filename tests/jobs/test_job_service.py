"""Jobs as real processes: how they start, end, are stopped and told of."""

from __future__ import annotations

import asyncio
import base64
import json
import signal
import time
from dataclasses import replace
from typing import Any

import pytest
from job_bench import Bench, alive, box, snapshot, until, uuid

from cockpit.agent.jobs import accounting
from cockpit.agent.jobs.shim import descendants
from cockpit.protocol import RpcError
from cockpit.settings import AgentSettings


async def test_a_command_runs_and_its_output_is_the_log(bench: Bench) -> None:
    job = await bench.end(await bench.submit("bash", "-c", "echo out; echo err >&2"))
    assert (job.state, job.exit_code, job.reason) == ("COMPLETED", 0, "")
    assert bench.log(job) == "out\nerr\n"
    assert job.started_s is not None and job.ended_s is not None


async def test_the_exit_code_of_a_failure_is_kept(bench: Bench) -> None:
    job = await bench.end(await bench.submit("bash", "-c", "exit 3"))
    assert (job.state, job.exit_code, job.reason) == ("FAILED", 3, "exit code 3")


async def test_a_signal_that_ends_a_job_is_named(bench: Bench) -> None:
    job = await bench.end(await bench.submit("bash", "-c", "kill -SEGV $$"))
    assert (job.state, job.exit_code) == ("FAILED", 128 + signal.SIGSEGV)
    assert "SIGSEGV" in job.reason


async def test_a_command_that_does_not_exist_says_so(bench: Bench) -> None:
    job = await bench.end(await bench.submit("no-such-program"))
    assert (job.state, job.exit_code) == ("FAILED", 127)
    assert "no-such-program" in job.reason and "No such file" in job.reason


async def test_a_job_finds_its_gpus_and_paths_in_its_environment(bench: Bench) -> None:
    names = (
        "CUDA_VISIBLE_DEVICES CUDA_DEVICE_ORDER COCKPIT_JOB_ID COCKPIT_JOB_DIR COCKPIT_PARAMETERS"
    )
    script = f"for n in {names}; do echo ${{!n}}; done; cat $COCKPIT_PARAMETERS; echo; pwd"
    job = await bench.end(await bench.submit("bash", "-c", script, gpus=2, parameters={"nx": 4}))
    lines = bench.log(job).splitlines()
    home = str(bench.directory / job.id)
    assert lines[:5] == [
        f"{uuid(0)},{uuid(1)}", "PCI_BUS_ID", job.id, home, f"{home}/parameters.json",
    ]  # fmt: skip
    assert json.loads(lines[5]) == {"nx": 4}
    assert lines[6] == home


async def test_a_workload_can_import_the_sdk_and_nothing_else_of_cockpit(bench: Bench) -> None:
    code = "import cockpit.sdk, importlib.util as u; print(u.find_spec('cockpit.model'))"
    job = await bench.end(await bench.submit("python3", "-c", code))
    assert job.state == "COMPLETED", bench.log(job)
    assert bench.log(job) == "None\n"


async def test_a_job_has_nothing_to_read_from_its_input(bench: Bench) -> None:
    assert (await bench.end(await bench.submit("cat"))).state == "COMPLETED"


async def test_what_a_job_leaves_running_ends_with_it(bench: Bench) -> None:
    script = "setsid setsid sleep 600 & echo $!; exit 0"
    job = await bench.submit("bash", "-c", script)
    pid = await bench.pid_in_log(job)
    assert (await bench.end(job)).state == "COMPLETED"
    assert not alive(pid)


async def test_stop_ends_the_whole_tree_with_grandchildren_in_sessions_of_their_own(
    bench: Bench,
) -> None:
    script = "(setsid bash -c 'echo $$; exec sleep 600' &); exec sleep 600"
    job = await bench.submit("bash", "-c", script)
    pid = await bench.pid_in_log(job)
    assert alive(pid)
    stopped = await bench.stop(job)
    assert not alive(pid)
    assert (stopped.state, stopped.reason) == ("CANCELLED", "stopped on request")


async def test_stop_lets_a_job_end_in_its_own_way(bench: Bench) -> None:
    script = "trap 'echo saved; exit 0' TERM; echo $$; while :; do sleep 0.05; done"
    job = await bench.submit("bash", "-c", script)
    await bench.pid_in_log(job)
    await bench.stop(job)
    assert bench.log(job).endswith("saved\n")


async def test_a_job_that_ignores_sigterm_is_killed_after_the_grace(bench: Bench) -> None:
    job = await bench.submit("bash", "-c", "trap '' TERM; echo $$; while :; do sleep 0.05; done")
    pid = await bench.pid_in_log(job)
    stopped = await bench.stop(job, grace_s=0.2)
    assert not alive(pid)
    assert (stopped.state, stopped.exit_code) == ("CANCELLED", 128 + signal.SIGKILL)


async def test_a_job_that_is_suspended_can_be_stopped(bench: Bench) -> None:
    job = await bench.submit("bash", "-c", "echo $$; kill -STOP $$; sleep 600")
    pid = await bench.pid_in_log(job)
    await bench.stop(job)
    assert not alive(pid)


async def test_a_waiting_job_is_stopped_without_ever_having_started(bench: Bench) -> None:
    first = await bench.submit("sleep", "600", gpus=4)
    second = await bench.submit("touch", "never", gpus=1)
    assert second.state == "PENDING" and "0 of 4 free" in second.reason
    stopped = await bench.stop(second)
    assert (stopped.state, stopped.started_s, stopped.exit_code) == ("CANCELLED", None, None)
    await bench.stop(first)


async def test_a_job_survives_a_log_that_takes_nothing(bench: Bench) -> None:
    job = await bench.submit("sleep", "600", gpus=4)
    waiting = await bench.submit("bash", "-c", "echo lost; sleep 0.1; exit 7", gpus=1)
    bench.path(waiting, "output.log").unlink()
    bench.path(waiting, "output.log").symlink_to("/dev/full")
    await bench.stop(job)
    bench.service.observe(box(), snapshot())
    assert (await bench.end(waiting)).exit_code == 7


async def test_the_same_token_makes_one_job(bench: Bench) -> None:
    jobs = await asyncio.gather(*(bench.submit("true", token="once") for _ in range(5)))
    assert {job.id for job in jobs} == {"1"}
    await bench.restart()
    assert (await bench.submit("true", token="once")).id == "1"
    assert len((await bench.call("job.list"))["jobs"]) == 1


async def test_jobs_are_listed_newest_first(bench: Bench) -> None:
    for _ in range(3):
        await bench.end(await bench.submit("true"))
    assert [job.id for job in (await bench.call("job.list"))["jobs"]] == ["3", "2", "1"]


async def test_gpus_are_handed_on_in_order_of_submission(bench: Bench) -> None:
    first = await bench.submit("sleep", "600", gpus=3)
    big = await bench.submit("sleep", "600", gpus=4)
    small = await bench.submit("sleep", "600", gpus=1)
    none = await bench.end(await bench.submit("true", gpus=0))
    assert none.state == "COMPLETED"
    assert "1 of 4 free (3 held by jobs)" in big.reason
    assert small.reason == f"waiting behind job {big.id}: what is free is kept for it"
    await bench.stop(first)
    assert (await bench.reach(big, "RUNNING")).gpus == tuple(uuid(index) for index in range(4))
    assert (await bench.show(small)).state == "PENDING"
    await bench.stop(big)
    assert (await bench.reach(small, "RUNNING")).gpus == (uuid(0),)
    await bench.stop(small)


async def test_more_than_the_box_has_is_refused_with_what_would_fit(bench: Bench) -> None:
    with pytest.raises(RpcError, match="asks for 5 GPUs and this box has 4: ask for at most 4"):
        await bench.submit("true", gpus=5)
    with pytest.raises(RpcError, match="no GPU GPU-nowhere"):
        await bench.submit("true", gpus=("GPU-nowhere",))
    assert (await bench.call("job.list"))["jobs"] == []


async def test_no_job_runs_on_a_recording(bench: Bench) -> None:
    bench.service.observe(replace(box(), source="replay"), snapshot())
    with pytest.raises(RpcError, match="this is a recording"):
        await bench.submit("true")


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({}, "makes no sense"),
        ({"name": "x", "command": []}, "the command is empty"),
        ({"name": "x", "command": ["a\0b"]}, "NUL"),
        ({"name": "x", "command": ["a"], "gpus": "many"}, "gpus"),
        ({"name": "x", "command": ["a"], "environment": {"A=B": "c"}}, "'A=B'"),
        ({"name": "x", "command": ["a"], "working_directory": "/no/where"}, "/no/where"),
        ({"name": "x", "command": ["a"], "plugin_directory": "here"}, "absolute"),
    ],
)
async def test_a_request_that_cannot_be_right_is_refused(
    bench: Bench, params: dict[str, Any], words: str
) -> None:
    with pytest.raises(RpcError, match=words):
        await bench.service.methods["job.submit"](params)


async def test_the_log_is_read_by_offset_and_from_the_end(bench: Bench) -> None:
    job = await bench.end(await bench.submit("bash", "-c", r"printf '0123456789\xff'"))
    answer = await bench.call("job.log", id=job.id, offset=8, limit=100)
    assert base64.b64decode(answer["data"]) == b"89\xff"
    assert (answer["end"], answer["size"], answer["ended"]) == (11, 11, True)
    answer = await bench.call("job.log", id=job.id, offset=-3, limit=2)
    assert (answer["offset"], base64.b64decode(answer["data"])) == (8, b"89")


async def test_what_a_workload_reports_is_shown_with_the_job(bench: Bench) -> None:
    lines = [
        {"type": "progress", "done": 0, "total": 10, "unit": "steps", "time_s": 100.0},
        {"type": "progress", "done": 5, "total": 10, "unit": "steps", "time_s": 110.0},
        {"type": "metrics", "step": 1, "time_s": 100.0, "values": {"loss": 2.0}},
        {"type": "metrics", "step": 2, "time_s": 101.0, "values": {"loss": 1.0}},
    ]
    text = "\n".join(json.dumps(line) for line in lines)
    job = await bench.end(await bench.submit("bash", "-c", f"echo '{text}' > $COCKPIT_EVENTS"))
    assert job.progress is not None
    assert (job.progress.done, job.progress.eta_s, job.progress.unit) == (5, 10.0, "steps")
    assert job.metrics == {"loss": 1.0}
    series = (await bench.call("job.metrics", id=job.id, points=100))["metrics"]
    assert series == {"loss": [[1.0, 100.0, 2.0, 2.0, 2.0, 1], [2.0, 101.0, 1.0, 1.0, 1.0, 1]]}
    found = await bench.call("job.events", id=job.id, offset=0, limit=2)
    rest = await bench.call("job.events", id=job.id, offset=found["end"], limit=9)
    assert found["events"] + rest["events"] == lines


async def test_changes_are_published_and_a_growing_log_alone_is_not(bench: Bench) -> None:
    await bench.submit("bash", "-c", "for i in {1..9}; do echo $i; sleep 0.1; done")
    await until(lambda: len(bench.events) == 2, "both events")
    told = [(job.state, job.reason) for job in bench.published]
    assert told == list(dict.fromkeys(told))
    assert told[-1] == ("COMPLETED", "")
    assert [event.text for event in bench.events] == [
        "Job 1 (work) started",
        "Job 1 (work) COMPLETED",
    ]


async def test_energy_comes_from_the_counters_for_the_time_the_job_ran(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.restart(settings=AgentSettings(price_per_kwh=0.36))
    now_s = time.time()
    monkeypatch.setattr(accounting, "monotonic", lambda: now_s)
    bench.service.observe(box(), snapshot(energy_j=1000.0))
    job = await bench.submit("sleep", "600", gpus=1)
    started_s = (await bench.reach(job, "RUNNING")).started_s
    assert started_s is not None
    await until(lambda: bench.status(job).get("pid"), "the shim's status")
    for second in (0, 10, 20):
        now_s = started_s + 5 + second
        bench.service.observe(box(), snapshot(time_s=now_s, energy_j=2000.0 + 100 * second))
    seen = await bench.show(job)
    assert seen.energy_j is not None and seen.energy_j >= 2000.0
    assert seen.gpu_seconds == pytest.approx(25.0, abs=1.0)
    assert seen.cost == pytest.approx(seen.energy_j / 3.6e6 * 0.36)
    ended = await bench.stop(job)
    now_s = started_s + 60
    bench.service.observe(box(), snapshot(time_s=now_s, energy_j=1e9))
    assert not bench.service.busy()
    assert (await bench.show(ended)).energy_j == pytest.approx(seen.energy_j)


async def test_a_gpu_without_a_counter_has_unknown_energy(bench: Bench) -> None:
    job = await bench.submit("true", gpus=1)
    ended = await bench.end(job)
    bench.service.observe(box(), snapshot())
    assert (await bench.show(ended)).energy_j is None


async def test_running_jobs_are_told_to_telemetry(bench: Bench) -> None:
    assert bench.service.running() == () and not bench.service.busy()
    job = await bench.submit("bash", "-c", "echo $$; sleep 600", gpus=2)
    inside = await bench.pid_in_log(job)
    (load,) = bench.service.running()
    assert (load.job, load.gpus) == (job.id, (uuid(0), uuid(1)))
    assert inside in descendants(load.pid)
    assert bench.service.busy()
    await bench.stop(job)
    assert bench.service.running() == ()
