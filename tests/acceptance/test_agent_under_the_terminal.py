"""What a terminal costs the driver, what the commands say of it, and an agent that is killed."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import time
from typing import Any

import pynvml as nv
import pytest
from standin.fixtures import Standin
from standin.plain_nvml import as_pynvml_says
from whole_cockpit import PATIENCE_S, Cockpit, shown, until

from cockpit.client import Box
from cockpit.model import JobRequest


def test_status_json_says_of_every_gpu_what_pynvml_says(
    cockpit: Cockpit, standin: Standin, plain_pynvml: Any
) -> None:
    for index in range(10):
        standin.set(index, load=7 + 9 * index)
    said = [as_pynvml_says(nv.nvmlDeviceGetHandleByIndex(index), standin) for index in range(10)]

    def differences(names: set[str]) -> list[str]:
        """Where the command says something else, as `GPU.metric`."""
        told = json.loads(cockpit.run("status", "--json")[1])["gpus"]
        return [
            f"{index}.{name}: {told[index][name]} for {wanted[name]}"
            for index, wanted in enumerate(said)
            for name in names
            if told[index][name] != pytest.approx(wanted[name], rel=1e-4)
        ]

    # Activity and traffic are told only while time passes, the counter of energy once it stands.
    standin.run_clock()
    until(lambda: differences(set(said[0]) - {"energy_j"}) == [])
    standin.time(1000.0)
    until(lambda: differences({"energy_j"}) == [])


async def test_a_terminal_and_a_watch_cost_no_more_than_100_calls_a_refresh(
    cockpit: Cockpit, standin: Standin
) -> None:
    app = cockpit.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, lambda text: " of " in text and "kW" in text)
        watch = await asyncio.to_thread(cockpit.start, "status", "--json", "--watch", "0.2")
        try:
            assert watch.stdout is not None
            await asyncio.to_thread(watch.stdout.readline)
            first = await app.box.snapshot()
            before = standin.call_count()
            for _ in range(5):
                assert json.loads(await asyncio.to_thread(watch.stdout.readline))["schema"] == 1
            calls = standin.call_count() - before
            refreshes = (await app.box.snapshot()).sequence - first.sequence
        finally:
            watch.kill()
            watch.communicate()
    # The refresh under way at the first count may be told as well.
    assert refreshes >= 2
    assert calls <= 100 * (refreshes + 1), (calls, refreshes)


async def test_after_kill_9_of_the_agent_the_terminal_is_back_and_the_job_goes_on(
    cockpit: Cockpit, standin: Standin
) -> None:
    app = cockpit.app()
    async with app.run_test(size=(120, 40)) as pilot:
        await shown(pilot, lambda text: "kW" in text)
        command = ("sh", "-c", "echo $$; exec sleep 600")
        job = await app.box.submit(JobRequest("sleep", command, gpus=1))
        try:
            await shown(pilot, lambda _: app.live.jobs.get(job.id, job).state == "RUNNING")
            worker = await first_line(app.box, job.id)
            pid = int((await app.box.call("hello"))["pid"])
            os.kill(pid, signal.SIGKILL)
            killed_s = time.time()

            def back(_: str) -> bool:
                newest = app.live.snapshot
                met = app.live.disconnected is None
                return met and newest is not None and newest.time_s > killed_s

            await shown(pilot, back)
            assert int((await app.box.call("hello"))["pid"]) != pid
            assert (await app.box.job(job.id)).state == "RUNNING"
            assert await first_line(app.box, job.id) == worker
            os.kill(int(worker), 0)
        finally:
            code, _ = await asyncio.to_thread(cockpit.run, "stop", job.id)
        assert code == 0


async def first_line(box: Box, job_id: str) -> str:
    """What the job printed first, here its process id."""
    deadline = time.monotonic() + PATIENCE_S
    while b"\n" not in (text := base64.b64decode((await box.job_log(job_id, 0))["data"])):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
    return text.split()[0].decode()
