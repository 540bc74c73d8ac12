"""How long from a submission to a running job, behind a long queue: cockpit beside Slurm's sbatch.

`python -m tests.benchmarks.jobs` on a simulated box of twelve GPUs, ten of them cut into 70 slices:
a job runs on every slice and 1,000 more wait for one, while a whole GPU is free. Then jobs for that
GPU are submitted one after another. The time is from before the submission to what the job's own
first command says; p50 and p99. If slurmctld, slurmd and munged are installed and this is root, the
same is done on a Slurm of this machine that listens on 127.0.0.1 alone.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cockpit import config
from cockpit.cli.following import wait_ended
from cockpit.client import Box
from cockpit.model import JobRequest
from cockpit.transports.local import LocalTransport
from tests.benchmarks.slurm import Slurm

SLICES, QUEUED = 70, 1000
CONFIG = '[agent]\nsource = "simulated"\n[simulate]\ngpu_count = 12\nmig = [{}]\n'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=100, help="how many submissions are timed")
    parser.add_argument("--queued", type=int, default=QUEUED, help="how many jobs wait meanwhile")
    options = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="ckb-", dir="/tmp"))
    # Slurm's daemons want a path that everybody may walk; what is private has a mode of its own.
    home.chmod(0o755)
    try:
        _cockpit(home, options.jobs, options.queued)
        if Slurm.possible():
            _slurm(home, options.jobs, options.queued)
        else:
            print("sbatch: not measured, Slurm is not installed or this is not root")
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _cockpit(home: Path, jobs: int, queued: int) -> None:
    for name in ("RUNTIME_DIR", "STATE_HOME", "CONFIG_HOME", "CACHE_HOME"):
        (home / name).mkdir(mode=0o700)
        os.environ[f"XDG_{name}"] = str(home / name)
    cut = ", ".join(f'"{index}:1g.10gb*7"' for index in range(10))
    (home / "CONFIG_HOME/cockpit").mkdir()
    (home / "CONFIG_HOME/cockpit/cockpit.toml").write_text(CONFIG.format(cut))
    asyncio.run(_cockpit_times(home, jobs, queued))


async def _cockpit_times(home: Path, jobs: int, queued: int) -> None:
    def wish(*command: str, **options: object) -> JobRequest:
        # A name without a meaning; what the job prints goes to a file of this benchmark.
        return JobRequest("bench", command, environment={"PATH": os.environ["PATH"]}, **options)  # type: ignore[arg-type]

    this = asyncio.current_task()
    assert this is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        # Only this task: the connection is needed to stop the jobs.
        asyncio.get_running_loop().add_signal_handler(number, this.cancel)
    async with Box(LocalTransport(config.load().agent_settings())) as box:
        try:
            await _fill(box, wish, queued)
            times_s = []
            for number in range(jobs):
                mark = home / f"mark-{number}"
                begun_s = time.time()
                job = await box.submit(wish(*_marking(mark), gpus=1))
                times_s.append(await _marked(mark) - begun_s)
                await wait_ended(box, job.id)
            _print("cockpit, submit to running", times_s)
            times_s = [await _command(home / f"command-{n}") for n in range(max(5, jobs // 10))]
            _print("cockpit exec --json, the whole command", times_s)
        finally:
            # Jobs outlive whoever started them: also when this is ended before its time.
            await _end(box)


async def _fill(box: Box, wish: Callable[..., JobRequest], queued: int) -> None:
    """A job on every slice, and so many more that wait for one."""
    sleeping = ("sleep", "3600")
    await box.submit(wish(*sleeping, gpus=0, slices=("1g.10gb",), array=tuple(range(SLICES))))
    deadline = time.monotonic() + 120
    while sum(job.state == "RUNNING" for job in await box.jobs()) < SLICES:
        assert time.monotonic() < deadline, "the slices are not taken"
        await asyncio.sleep(0.2)
    begun_s = time.perf_counter()
    for first in range(0, queued, 1000):
        indices = tuple(range(first, min(first + 1000, queued)))
        await box.submit(wish(*sleeping, gpus=0, slices=("1g.10gb",), array=indices))
    took_s = time.perf_counter() - begun_s
    print(f"cockpit: {queued} jobs submitted as arrays in {took_s:.2f} s")
    begun_s = time.perf_counter()
    listed = len(await box.jobs())
    print(f"cockpit: a list of {listed} jobs in {1e3 * (time.perf_counter() - begun_s):.0f} ms")


async def _end(box: Box) -> None:
    """Stop every job: those that wait first, and not all at once, as each call has its patience."""
    left = sorted(await box.jobs(), key=lambda job: job.started_s is not None)
    left = [job for job in left if job.ended_s is None]
    waiting = sum(job.started_s is None for job in left)
    begun_s = time.perf_counter()
    for first in range(0, len(left), 50):
        await asyncio.gather(*(box.stop_job(job.id, 0.0) for job in left[first : first + 50]))
    took_s = time.perf_counter() - begun_s
    print(
        f"cockpit: {waiting} jobs that waited and {len(left) - waiting} that ran, stopped in {took_s:.2f} s"
    )
    await box.call("shutdown")


async def _command(mark: Path) -> float:
    begun_s = time.time()
    words = ("exec", "--json", "--gpus", "1", "--", *_marking(mark))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cockpit", *words, stdout=subprocess.DEVNULL
    )
    took_s = await _marked(mark) - begun_s
    await process.wait()
    return took_s


def _slurm(home: Path, jobs: int, queued: int) -> None:
    with Slurm(home / "slurm", SLICES) as slurm:
        for _ in range(SLICES):
            slurm.submit("slice:1", "sleep 3600")
        _until(lambda: slurm.count("R") >= SLICES, "Slurm's slices are taken")
        begun_s = time.perf_counter()
        slurm.submit("slice:1", "sleep 3600", f"--array=0-{queued - 1}")
        print(f"sbatch: {queued} jobs as an array in {time.perf_counter() - begun_s:.2f} s")
        times_s = []
        for number in range(jobs):
            mark = home / f"slurm-{number}"
            begun_s = time.time()
            slurm.submit("gpu:1", " ".join(_marking(mark)[2:]))
            times_s.append(asyncio.run(_marked(mark)) - begun_s)
            time.sleep(0.05)
        _print("sbatch, submit to running", times_s)


def _marking(mark: Path) -> tuple[str, str, str]:
    """A command that writes down when it runs; the file appears whole."""
    return "sh", "-c", f"date +%s.%N > {mark}.new && mv {mark}.new {mark}"


async def _marked(mark: Path) -> float:
    deadline = time.monotonic() + 60
    while not mark.exists():
        assert time.monotonic() < deadline, f"{mark.name}: it never ran"
        await asyncio.sleep(0.002)
    return float(mark.read_text())


def _until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


def _print(name: str, times_s: list[float]) -> None:
    ranked = sorted(times_s)
    p99 = ranked[min(len(ranked) - 1, round(0.99 * (len(ranked) - 1)))]
    p50 = statistics.median(ranked)
    print(f"{name}: p50 {1e3 * p50:.0f} ms, p99 {1e3 * p99:.0f} ms of {len(ranked)}", flush=True)


if __name__ == "__main__":
    main()
