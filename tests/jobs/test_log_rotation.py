"""The log of a job that never stops writing: it takes bounded space, and no line is lost or doubled."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from job_bench import Bench, alive, until

from cockpit.agent.jobs import logs
from cockpit.agent.jobs.executor import LocalExecutor
from cockpit.agent.jobs.shim import rotation, segments

SEGMENT_BYTES = 100_000


def has_holes() -> bool:
    with tempfile.NamedTemporaryFile(dir="/tmp") as file:
        return rotation.punch(file.fileno(), 0, 4096)


pytestmark = pytest.mark.skipif(
    not has_holes(), reason="the file system of /tmp has no holes: logs are not rotated there"
)
WRITERS = """
import os, sys, time
names = "abc"
for name in names[1:]:
    if os.fork() == 0:
        break
else:
    name = names[0]
number = 0
while not os.path.exists("go"):
    os.write(1, b"".join(b"%s %07d\\n" % (name.encode(), number + i) for i in range(100)))
    number += 100
    time.sleep(0.002)
os.write(1, b"%s is done after %d\\n" % (name.encode(), number))
if name == names[0]:
    for _ in names[1:]:
        os.wait()
"""


@pytest.fixture
async def rotating(short_tmp: Path) -> AsyncIterator[Bench]:
    """A service whose jobs' logs are rotated early and often."""
    limits = {"segment_bytes": SEGMENT_BYTES, "disk_bytes": 1 << 30, "look_s": 0.02}
    bench = Bench(short_tmp / "jobs", LocalExecutor(limits))
    await bench.start()
    yield bench
    await bench.stop_all()
    await bench.service.close()


def has_segments(bench: Bench, job_id: str, count: int) -> bool:
    return len(list((bench.directory / job_id).glob("output.*.log.gz"))) >= count


def checked(log: bytes) -> dict[str, int]:
    """How many lines each writer wrote; every one is there once, in its writer's order."""
    counts: dict[str, int] = {}
    for line in log.decode().splitlines():
        name, _, rest = line.partition(" ")
        if rest.startswith("is done after"):
            assert counts[name] == int(rest.split()[-1])
        else:
            assert int(rest) == counts.get(name, 0), line
            counts[name] = int(rest) + 1
    return counts


async def test_no_line_of_several_processes_is_lost_or_doubled(rotating: Bench) -> None:
    job = await rotating.submit(sys.executable, "-c", WRITERS)
    await until(lambda: has_segments(rotating, job.id, 8), "the eighth segment")
    assert len(checked(await rotating.all_log(job))) == 3  # read while it is written and rotated
    rotating.path(job, "go").touch()
    ended = await rotating.end(job)
    log = await rotating.all_log(job)
    counts = checked(log)
    assert log.count(b"is done") == 3 and all(counts.values())
    assert ended.log_bytes == len(log) > 8 * SEGMENT_BYTES
    live = rotating.path(job, "output.log").stat()
    assert live.st_blocks * 512 < live.st_size / 2


async def test_segments_are_gzip_files_that_any_tool_reads(rotating: Bench) -> None:
    job = await rotating.submit(sys.executable, "-c", WRITERS)
    await until(lambda: has_segments(rotating, job.id, 2), "the second segment")
    first, second = sorted((rotating.directory / job.id).glob("output.*.log.gz"))[:2]
    text = gzip.decompress(first.read_bytes()) + gzip.decompress(second.read_bytes())
    assert text.endswith(b"\n") and (await rotating.all_log(job)).startswith(text)
    answer = await rotating.call("job.log", id=job.id, offset=5000, limit=100)
    assert (answer["offset"], answer["kept_from"]) == (5000, 0)


@pytest.mark.parametrize("pause_s", [0.0, 0.003, 0.007, 0.011])
async def test_a_shim_that_is_killed_while_it_rotates_loses_no_line(
    rotating: Bench, pause_s: float
) -> None:
    job = await rotating.submit(sys.executable, "-c", WRITERS)
    spare = rotating.path(job, ".output.log.gz.next")
    await until(lambda: has_segments(rotating, job.id, 2) and spare.exists(), "a segment under way")
    await asyncio.sleep(pause_s)
    os.kill(rotating.status(job)["shim_pid"], signal.SIGKILL)
    assert (await rotating.end(job)).state == "LOST"
    assert not spare.exists()
    log = await rotating.all_log(job)
    assert len(checked(log[: log.rfind(b"\n") + 1])) == 3
    assert len(log) == (await rotating.show(job)).log_bytes


async def test_beyond_the_limit_the_oldest_lines_go_and_that_is_told(short_tmp: Path) -> None:
    limits = {"segment_bytes": SEGMENT_BYTES, "disk_bytes": 2 * SEGMENT_BYTES, "look_s": 0.02}
    bench = Bench(short_tmp / "jobs", LocalExecutor(limits))
    await bench.start()
    job = await bench.submit(sys.executable, "-c", WRITERS)
    await until(lambda: bench.path(job, "dropped.json").exists(), "lines that are dropped")
    bench.path(job, "go").touch()
    ended = await bench.end(job)
    answer = await bench.call("job.log", id=job.id, offset=0)
    log = await bench.all_log(job)
    assert answer["offset"] == answer["kept_from"] == ended.log_bytes - len(log) > 0
    numbers: dict[str, int] = {}
    for line in log.decode().splitlines():
        name, number = line.split()[0], line.split()[-1]
        if name in numbers and "done" not in line:
            assert int(number) == numbers[name] + 1
        numbers[name] = int(number)
    assert log.count(b"is done") == 3
    await bench.service.close()


async def test_the_log_of_a_job_is_one_across_attempts_of_its_shim(short_tmp: Path) -> None:
    """A later shim goes on where the segments of an earlier one end."""
    (short_tmp / "output.log").write_bytes(b"first\n" * 10)
    rotate(short_tmp, 20)
    with (short_tmp / "output.log").open("ab") as file:
        file.write(b"second\n" * 10)
    rotate(short_tmp, 20)
    assert everything(short_tmp) == b"first\n" * 10 + b"second\n" * 10


def test_a_damaged_or_deleted_segment_is_a_gap_and_the_rest_is_read(short_tmp: Path) -> None:
    lines = b"".join(b"line %d\n" % number for number in range(10))
    (short_tmp / "output.log").write_bytes(lines)
    rotate(short_tmp, 20)
    parts = segments.listed(path.name for path in short_tmp.iterdir())
    assert len(parts) == 4
    (short_tmp / segments.name(*parts[0])).unlink()
    damaged = short_tmp / segments.name(*parts[1])
    damaged.write_bytes(damaged.read_bytes()[:-8] + b"\0" * 8)
    part = logs.read(short_tmp, 0, 1000)
    assert part.offset == parts[2][0] and everything(short_tmp) == lines[parts[2][0] :]


def rotate(directory: Path, segment_bytes: int) -> None:
    turning = rotation.Rotation(str(directory), segment_bytes, look_s=0.0)
    for _ in range(100):
        turning.work()
    turning.close()


def everything(directory: Path) -> bytes:
    found, offset, size = b"", 0, (directory / "output.log").stat().st_size
    while offset < size:
        part = logs.read(directory, offset, 7)
        found, offset = found + part.data, part.offset + len(part.data)
    return found


STEPS = st.lists(
    st.one_of(
        st.sampled_from(["work", "killed", "killed before the hole"]),
        st.binary(max_size=60).filter(bool),
    ),
    max_size=60,
)


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_whatever_happens_between_two_steps_a_reader_gets_all_that_was_written(
    steps: list[str | bytes],
) -> None:
    with (
        tempfile.TemporaryDirectory() as name,
        pytest.MonkeyPatch.context() as patch,
        contextlib.ExitStack() as stack,
    ):
        patch.setattr(segments, "BLOCK_BYTES", 16)
        directory, written = Path(name), b""
        log = stack.enter_context((directory / "output.log").open("ab", buffering=0))
        turning = rotation.Rotation(name, 48, look_s=0.0)
        for step in steps:
            if step == "killed before the hole":
                with pytest.MonkeyPatch.context() as without:
                    without.setattr(rotation, "punch", lambda *_: True)
                    turning.work()
            if step == "work":
                turning.work()
            elif isinstance(step, str):
                turning.close()
                turning = rotation.Rotation(name, 48, look_s=0.0)
            else:
                log.write(step)
                written += step
            assert everything(directory) == written
        turning.close()


async def test_a_job_ignores_nothing_while_its_log_is_rotated(rotating: Bench) -> None:
    job = await rotating.submit(sys.executable, "-c", WRITERS)
    await until(lambda: has_segments(rotating, job.id, 1), "a segment")
    pid = rotating.status(job)["pid"]
    assert (await rotating.stop(job)).state == "CANCELLED"
    assert not alive(pid)
