"""A log of a gigabyte: opening at its end, paging and searching, beside `tail` and `grep`.

`python -m tests.benchmarks.job_log [--bytes N]` writes the log of a job that has ended into a private
directory, starts a real agent on it, and asks it as the terminal does. Prints times, ratios against
the tools in the same run, and the memory of the agent and of this process (the desk).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from cockpit.cli.following import wait_ended
from cockpit.client import Box
from cockpit.model import JobRequest
from cockpit.settings import AgentSettings
from cockpit.transports.local import LocalTransport

LINE = b"step %012d  loss 0.12345678  throughput 6840.25 MLUPS  all is well\n"
NEEDLE = "needle-in-the-log"


def resident_mib(pid: int) -> float:
    """Memory that a process holds now."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def write_log(path: Path, size: int) -> None:
    """`size` bytes of lines, with a needle shortly before the end."""
    block = b"".join(LINE % n for n in range(20_000))
    with path.open("wb") as file:
        while file.tell() < size - 2 * len(block):
            file.write(block)
        file.write(NEEDLE.encode() + b"\n" + block)


def tool(*command: str) -> float:
    """Seconds that a command takes."""
    started = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    return time.perf_counter() - started


async def timed(work: Callable[[], Awaitable[Any]]) -> tuple[float, Any]:
    started = time.perf_counter()
    answer = await work()
    return time.perf_counter() - started, answer


async def find(box: Box, job: str, size: int, regex: bool) -> int:
    """Calls it takes to find the needle from the beginning of the log."""
    offset = calls = 0
    while offset < size:
        found = await box.job_search(job, NEEDLE, offset, regex=regex, limit=1)
        calls += 1
        if found["matches"]:
            return calls
        offset = found["reached"]
    raise AssertionError("the needle was not found")


async def measure(size: int) -> None:
    settings = AgentSettings(name="bench", source="simulated")
    async with Box(LocalTransport(settings)) as box:
        job = await box.submit(JobRequest("log", ("true",), gpus=0))
        job = await wait_ended(box, job.id)
        log = Path(job.directory) / "output.log"
        write_log(log, size)
        size = log.stat().st_size
        agent = int((await box.call("hello", {"version": "", "protocol": 0}))["pid"])
        before = resident_mib(agent), resident_mib(os.getpid())
        tail_s = tool("tail", "-c", "65536", str(log))
        grep_s = tool("grep", "-c", NEEDLE, str(log))
        end_s, _ = await timed(lambda: box.job_log(job.id, -65536))
        page_s, _ = await timed(lambda: box.job_log(job.id, size // 2))
        search_s, calls = await timed(lambda: find(box, job.id, size, False))
        regex_s, regex_calls = await timed(lambda: find(box, job.id, size, True))
        after = resident_mib(agent), resident_mib(os.getpid())
        told = {
            f"log of {size / 1e9:.2f} GB": "",
            "its end": f"{end_s * 1e3:.1f} ms, {end_s / tail_s:.2f} × tail ({tail_s * 1e3:.1f} ms)",
            "a page": f"{page_s * 1e3:.1f} ms",
            "search": f"{search_s:.2f} s, {search_s / grep_s:.1f} × grep -c ({grep_s:.2f} s), {calls} calls",
            "expression": f"{regex_s:.2f} s, {regex_s / grep_s:.1f} × grep -c, {regex_calls} calls",
            "agent": f"{before[0]:.0f} → {after[0]:.0f} MiB",
            "desk": f"{before[1]:.0f} → {after[1]:.0f} MiB",
        }
        for name, figures in told.items():
            print(f"{name:<12} {figures}".rstrip())
        await box.shutdown()


def main() -> None:
    """Measure in a directory of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bytes", type=int, default=1 << 30)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ckl-") as home:
        for name in ("RUNTIME_DIR", "STATE_HOME", "CONFIG_HOME", "CACHE_HOME"):
            (Path(home) / name).mkdir(mode=0o700)
            os.environ[f"XDG_{name}"] = str(Path(home) / name)
        asyncio.run(measure(arguments.bytes))


if __name__ == "__main__":
    main()
