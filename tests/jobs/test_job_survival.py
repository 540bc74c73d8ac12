"""A job outlives the agent; whatever is killed, what is shown is true and every GPU comes free."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from job_bench import Bench, alive, box, snapshot, until, uuid

from cockpit.agent.jobs import shim

AGENT = """
import asyncio, sys
from pathlib import Path
from job_bench import Bench
async def main():
    bench = Bench(Path(sys.argv[1]))
    await bench.start()
    await bench.submit(*sys.argv[2:], gpus=2)
    await until_started(bench)
    print("submitted", flush=True)
    await asyncio.sleep(3600)
async def until_started(bench):
    from job_bench import until
    await until(lambda: list(bench.directory.glob("*/status.json")))
asyncio.run(main())
"""


def agent_that_submits(directory: Path, *command: str) -> subprocess.Popen[str]:
    """Another process with a service of its own, which has started a job when this returns."""
    process = subprocess.Popen(
        [sys.executable, "-c", AGENT, str(directory), *command],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "submitted\n"
    return process


def kill_group(process: subprocess.Popen[str]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


async def test_a_job_survives_kill_9_of_its_agent_and_is_met_again(short_tmp: Path) -> None:
    bench = Bench(short_tmp / "jobs")
    agent = await asyncio.to_thread(
        agent_that_submits, bench.directory, "bash", "-c", "echo $$; sleep 600"
    )
    kill_group(agent)
    await bench.start()
    (job,) = (await bench.call("job.list"))["jobs"]
    assert (job.state, job.gpus) == ("RUNNING", (uuid(0), uuid(1)))
    pid = await bench.pid_in_log(job)
    assert alive(pid)
    second = await bench.submit("true", gpus=3)
    assert second.state == "PENDING" and "2 of 4 free" in second.reason
    assert (await bench.stop(job)).state == "CANCELLED"
    assert not alive(pid)
    assert (await bench.end(second)).state == "COMPLETED"
    await bench.service.close()


async def test_a_job_that_ends_while_no_agent_runs_is_known_with_its_exit_code(
    short_tmp: Path,
) -> None:
    bench = Bench(short_tmp / "jobs")
    agent = await asyncio.to_thread(
        agent_that_submits,
        bench.directory,
        "bash",
        "-c",
        "while [ ! -e go ]; do sleep 0.02; done; exit 5",
    )
    kill_group(agent)
    (bench.directory / "1" / "go").touch()
    await until(lambda: "ended_s" in (shim.read_json(f"{bench.directory}/1/status.json") or {}))
    await bench.start()
    (job,) = (await bench.call("job.list"))["jobs"]
    assert (job.state, job.exit_code) == ("FAILED", 5)
    await bench.service.close()


async def test_a_restarted_service_goes_on_watching(bench: Bench) -> None:
    script = "echo $$; while [ ! -e go ]; do sleep 0.02; done; echo done"
    job = await bench.submit("bash", "-c", script, gpus=1)
    await bench.pid_in_log(job)
    await bench.restart()
    assert (await bench.show(job)).state == "RUNNING"
    bench.path(job, "go").touch()
    assert (await bench.end(job)).state == "COMPLETED"
    bench.service.observe(box(), snapshot(time_s=time.time() + 60))
    assert not bench.service.busy()


async def test_an_ended_job_looks_the_same_after_a_restart(bench: Bench) -> None:
    line = json.dumps({"type": "metrics", "step": 1, "time_s": 1.0, "values": {"loss": 2.5}})
    job = await bench.submit("bash", "-c", f"echo '{line}' > $COCKPIT_EVENTS", gpus=1)
    await bench.end(job)
    bench.service.observe(box(), snapshot(time_s=time.time() + 60))
    before = await bench.show(job)
    await bench.restart()
    assert await bench.show(job) == before
    bench.path(job, "ended.json").unlink()
    await bench.restart()
    assert (await bench.show(job)).metrics == before.metrics == {"loss": 2.5}


async def test_a_hang_up_ends_nothing(bench: Bench) -> None:
    job = await bench.submit("bash", "-c", "echo $$; while [ ! -e go ]; do sleep 0.02; done")
    await bench.pid_in_log(job)
    os.kill(bench.status(job)["shim_pid"], signal.SIGHUP)
    bench.path(job, "go").touch()
    assert (await bench.end(job)).state == "COMPLETED"


async def test_when_the_shim_is_killed_the_job_is_lost_and_nothing_of_it_keeps_its_gpu(
    bench: Bench,
) -> None:
    script = "setsid setsid sleep 600 & echo $! $$; sleep 600"
    job = await bench.submit("bash", "-c", script, gpus=4)
    await bench.pid_in_log(job)
    pids = [int(word) for word in bench.log(job).split()]
    os.kill(bench.status(job)["shim_pid"], signal.SIGKILL)
    lost = await bench.end(job)
    assert (lost.state, lost.reason) == ("LOST", "its shim was killed, and the job with it")
    assert not any(alive(pid) for pid in pids)
    assert bench.status(job)["state"] == "LOST"
    assert (await bench.end(await bench.submit("true", gpus=4))).state == "COMPLETED"


async def test_a_shim_killed_while_no_agent_runs_is_found_by_the_next_one(short_tmp: Path) -> None:
    bench = Bench(short_tmp / "jobs")
    agent = await asyncio.to_thread(
        agent_that_submits, bench.directory, "bash", "-c", "setsid sleep 600 & echo $!; sleep 600"
    )
    kill_group(agent)
    left = int((await until(lambda: (bench.directory / "1/output.log").read_text())).split()[0])
    status = shim.read_json(f"{bench.directory}/1/status.json") or {}
    os.kill(status["shim_pid"], signal.SIGKILL)
    await bench.start()
    (job,) = (await bench.call("job.list"))["jobs"]
    assert (await bench.end(job)).state == "LOST"
    assert not alive(left)
    await bench.service.close()


async def test_a_job_from_before_a_reboot_is_lost(bench: Bench) -> None:
    job = await bench.end(await bench.submit("true"))
    status = bench.status(job) | {"state": "RUNNING", "boot_id": "another"}
    del status["ended_s"]
    bench.path(job, "status.json").write_text(json.dumps(status))
    bench.path(job, "ended.json").unlink()
    await bench.restart()
    lost = await bench.end(job)
    assert (lost.state, lost.reason) == ("LOST", "the machine was restarted while it ran")


async def test_a_start_that_was_cut_off_before_the_shim_is_made_again(bench: Bench) -> None:
    first = await bench.submit("sleep", "600", gpus=4)
    second = await bench.submit("touch", "ran", gpus=1)
    bench.path(second, "start.json").write_text(json.dumps({"gpus": [uuid(0)], "stages": []}))
    await bench.restart()
    assert (await bench.show(second)).state == "PENDING"
    await bench.stop(first)
    assert (await bench.end(second)).state == "COMPLETED"
    assert bench.path(second, "ran").exists()


async def test_a_job_cancelled_by_an_agent_that_died_does_not_start_later(bench: Bench) -> None:
    first = await bench.submit("sleep", "600", gpus=4)
    second = await bench.submit("touch", "ran", gpus=1)
    bench.path(second, "cancel.json").write_text(json.dumps({"grace_s": 1.0}))
    await bench.restart()
    assert (await bench.show(second)).state == "CANCELLED"
    await bench.stop(first)


async def test_a_job_with_a_damaged_status_is_never_started_again(bench: Bench) -> None:
    job = await bench.end(await bench.submit("touch", "ran"))
    bench.path(job, "ran").unlink()
    bench.path(job, "status.json").write_text('{"state": "RUN')
    bench.path(job, "ended.json").unlink()
    await bench.restart()
    lost = await bench.end(job)
    assert (lost.state, lost.reason) == ("LOST", "its status.json cannot be read")
    assert not bench.path(job, "ran").exists()


async def test_a_directory_that_is_not_whole_is_no_job_and_its_number_is_not_used_again(
    bench: Bench,
) -> None:
    (bench.directory / "7").mkdir()
    await bench.restart()
    assert (await bench.call("job.list"))["jobs"] == []
    assert (await bench.submit("true")).id == "8"


async def test_a_job_whose_directory_is_deleted_is_ended_and_lost(bench: Bench) -> None:
    job = await bench.submit("bash", "-c", "echo $$; sleep 600", gpus=1)
    pid, root = await bench.pid_in_log(job), bench.status(job)["shim_pid"]
    (bench.directory / job.id).rename(bench.directory / "thrown away")
    lost = await bench.end(job)
    assert (lost.state, lost.reason) == ("LOST", "its directory was deleted")
    await until(lambda: not alive(pid) and not alive(root), "the end of the job and its shim")


async def test_how_a_job_ended_waits_for_a_disk_that_takes_it(bench: Bench) -> None:
    job = await bench.submit(
        "bash", "-c", "echo $$; while [ ! -e go ]; do sleep 0.02; done; exit 9"
    )
    await bench.pid_in_log(job)
    spare = await until(lambda: spare_status(bench.path(job, ".status.json.next")), "the reserve")
    spare.unlink()
    spare.mkdir()
    bench.path(job, "go").touch()
    pid = int(bench.log(job))
    await until(lambda: not alive(pid), "the end of the job")
    assert (await bench.show(job)).state == "RUNNING"
    spare.rmdir()
    assert (await bench.end(job)).exit_code == 9


def spare_status(path: Path) -> Path | None:
    """The space set aside, once the shim has written the status for which it waits."""
    status = shim.read_json(str(path.with_name("status.json"))) or {}
    reserved = path.exists() and path.stat().st_blocks * 512 >= shim.RESERVED_BYTES
    return path if reserved and "pid" in status else None


async def test_a_job_is_stopped_even_when_the_wish_cannot_be_written(bench: Bench) -> None:
    job = await bench.submit("bash", "-c", "echo $$; sleep 600")
    pid = await bench.pid_in_log(job)
    bench.path(job, ".cancel.json.next").mkdir()
    stopped = await bench.stop(job)
    assert (stopped.state, stopped.reason) == ("CANCELLED", "its shim was told to stop")
    assert not alive(pid)


async def test_a_job_whose_spec_is_lost_while_it_runs_keeps_its_gpus_and_can_be_stopped(
    bench: Bench,
) -> None:
    job = await bench.submit("bash", "-c", "echo $$; sleep 600", gpus=3)
    pid = await bench.pid_in_log(job)
    bench.path(job, "spec.json").unlink()
    await bench.restart()
    found = await bench.show(job)
    assert (found.state, found.gpus, found.name) == ("RUNNING", job.gpus or found.gpus, "job 1")
    assert (await bench.submit("true", gpus=2)).state == "PENDING"
    assert (await bench.stop(job)).state == "CANCELLED"
    assert not alive(pid)


async def test_a_job_that_waits_and_whose_directory_is_deleted_is_lost(bench: Bench) -> None:
    first = await bench.submit("sleep", "600", gpus=4)
    second = await bench.submit("touch", "ran", gpus=1)
    third = await bench.submit("touch", "ran", gpus=1)
    for job in (second, third):
        (bench.directory / job.id).rename(bench.directory / f"thrown away {job.id}")
    assert (await bench.stop(third)).state == "LOST"
    await bench.stop(first)
    lost = await bench.reach(second, "LOST")
    assert lost.reason == "its directory was deleted"


async def test_an_agent_starts_although_a_cancelled_job_cannot_be_written_down(
    bench: Bench,
) -> None:
    first = await bench.submit("sleep", "600", gpus=4)
    second = await bench.submit("touch", "ran", gpus=1)
    bench.path(second, "cancel.json").write_text(json.dumps({"grace_s": 1.0}))
    bench.path(second, ".status.json.next").mkdir()
    await bench.restart()
    waiting = await bench.show(second)
    assert waiting.state == "PENDING" and "could not be cancelled yet" in waiting.reason
    bench.path(second, ".status.json.next").rmdir()
    bench.observe()
    assert (await bench.show(second)).state == "CANCELLED"
    await bench.stop(first)


async def test_a_stop_while_an_attempt_is_put_aside_is_heeded(bench: Bench) -> None:
    job = await bench.submit("bash", "-c", "exit 3", retries=5)
    await until(lambda: bench.path(job, "attempts/1.json").exists(), "the first attempt's end")
    bench.path(job, "cancel.json").write_text(json.dumps({"grace_s": 1.0}))
    await bench.restart()
    assert (await bench.show(job)).state == "CANCELLED"


async def test_the_times_of_a_job_are_true_when_the_clock_is_set_meanwhile(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cockpit.agent.jobs.shim import life

    shim_of_an_hour = life.Shim.__new__(life.Shim)
    shim_of_an_hour.status = {"started_s": 1_000.0}
    shim_of_an_hour._begun_s = 0.0
    monkeypatch.setattr(life.time, "monotonic", lambda: 3600.0)
    monkeypatch.setattr(life.time, "time", lambda: 1_700_000_000.0)
    times = shim_of_an_hour._times()
    assert times == {"started_s": 1_700_000_000.0 - 3600.0, "ended_s": 1_700_000_000.0}
