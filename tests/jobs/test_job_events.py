"""What a workload reports is read as it grows, and nothing it writes can hurt the agent."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from job_bench import Bench

from cockpit.agent.jobs import events
from cockpit.agent.jobs.events import EventTail
from cockpit.model import Roofline
from cockpit.protocol import RpcError
from cockpit.sdk.frames import FrameWriter


class Writer:
    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    def write(self, *found: dict[str, Any]) -> None:
        self.raw("".join(json.dumps(event) + "\n" for event in found))

    def raw(self, text: str) -> None:
        with self.path.open("a") as file:
            file.write(text)


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    return Writer(tmp_path / "events.jsonl")


def test_a_line_that_is_half_written_is_taken_when_it_is_whole(writer: Writer) -> None:
    tail = EventTail(writer.path)
    writer.raw('{"type": "progress", "done": 1, ')
    assert tail.read() and tail.progress is None
    writer.raw('"total": 4}\n')
    assert tail.read() and tail.progress is not None
    assert not tail.read()


def test_time_left_follows_the_pace_since_the_first_report(writer: Writer) -> None:
    tail = EventTail(writer.path)
    for done, time_s in ((10, 100.0), (20, 105.0), (30, 110.0)):
        writer.write({"type": "progress", "done": done, "total": 100, "time_s": time_s})
    tail.read()
    assert tail.progress is not None and tail.progress.eta_s == pytest.approx(35.0)


def test_bad_lines_are_counted_and_the_rest_is_read(writer: Writer) -> None:
    tail = EventTail(writer.path)
    writer.raw('nonsense\n[]\n{"type": "metrics", "values": {"a": "1"}}\n{"type": "kernel"}\n')
    writer.raw('{"type": "progress", "done": "x", "total": 1}\n{"no": "type"}\n"text"\n')
    writer.write({"type": "unknown"}, {"type": "metrics", "step": 1, "values": {"b": 2}})
    tail.read_all()
    assert (tail.bad_lines, tail.metrics) == (7, {"b": 2.0})


@given(st.lists(st.binary(max_size=60)))
def test_no_bytes_at_all_can_stop_the_reader(lines: list[bytes]) -> None:
    import tempfile

    with tempfile.NamedTemporaryFile() as file:
        file.write(b"\n".join(lines) + b'\n{"type": "message", "text": "still here"}\n')
        file.flush()
        tail = EventTail(Path(file.name))
        tail.read_all()
    assert tail.message == "still here"


def test_a_line_without_end_is_skipped_and_never_kept(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "LINE_BYTES", 100)
    monkeypatch.setattr(events, "READ_BYTES", 64)
    tail = EventTail(writer.path)
    writer.raw("x" * 1000 + "\n")
    writer.write({"type": "message", "text": "after"})
    tail.read_all()
    assert (tail.bad_lines, tail.message) == (1, "after")


def test_a_kernel_is_measured_against_the_nearer_roof(writer: Writer) -> None:
    tail = EventTail(writer.path)
    kernel = {"type": "kernel", "name": "step", "seconds": 2.0, "count": 10}
    writer.write({**kernel, "bytes": 4e12, "flops": 1e12})
    tail.read()
    assert tail.kernels["step"].bytes_per_s == 2e12
    assert tail.kernels["step"].roofline_percent is None
    writer.write({"type": "roofline", "bytes_per_s": 4e12, "flops_per_s": 50e12, "measured": True})
    tail.read()
    assert tail.kernels["step"].roofline_percent == pytest.approx(50.0)
    assert tail.kernels["step"].limited_by == "memory"
    assert tail.roofline == Roofline(4e12, 50e12, measured=True)
    writer.write({**kernel, "bytes": None, "flops": 80e12})
    tail.read()
    assert (tail.kernels["step"].roofline_percent, tail.kernels["step"].limited_by) == (
        pytest.approx(80.0), "arithmetic",
    )  # fmt: skip


async def test_live_frames_are_served_until_there_is_no_newer(bench: Bench) -> None:
    job = await bench.submit("bash", "-c", "echo $$; while [ ! -e go ]; do sleep 0.02; done")
    await bench.pid_in_log(job)
    with FrameWriter(bench.path(job, "frames/speed"), 3, 2) as ring:
        ring.write(b"\0\1\2\3\4\5", 0.0, 9.0, step=7, time_s=1.0)
    line = {"type": "frame", "name": "speed", "path": "frames/speed", "width": 3, "height": 2}
    outside = {"type": "frame", "name": "outside", "path": "../../secret"}
    Writer(bench.path(job, "events.jsonl")).write(line, outside)
    bench.path(job, "go").touch()
    assert (await bench.end(job)).frames == ("speed", "outside")
    frame = await bench.call("job.frame", id=job.id, name="speed", after=0)
    assert zlib.decompress(base64.b64decode(frame["data"])) == b"\0\1\2\3\4\5"
    assert (frame["sequence"], frame["width"], frame["high"], frame["step"]) == (1, 3, 9.0, 7)
    assert await bench.call("job.frame", id=job.id, name="speed", after=1) == {"sequence": 1}
    with pytest.raises(RpcError, match="no frames called 'none'"):
        await bench.call("job.frame", id=job.id, name="none")
    with pytest.raises(RpcError, match="outside of the job's own directory"):
        await bench.call("job.frame", id=job.id, name="outside")


async def test_metrics_are_thinned_but_keep_both_ends(bench: Bench) -> None:
    script = (
        "import json\nfor n in range(500):"
        " print(json.dumps({'type': 'metrics', 'step': n, 'time_s': 0.0, 'values': {'a': n}}))"
    )
    job = await bench.submit("bash", "-c", f'python3 -c "{script}" > $COCKPIT_EVENTS')
    await bench.end(job)
    answer = await bench.call("job.metrics", id=job.id, points=11)
    rows = answer["metrics"]["a"]
    assert rows[0][0] == 0.0 and rows[-1] == [499.0, 0.0, 499.0, 499.0, 499.0, 1]
    assert len(rows) <= 12 and answer["reach"] == [0.0, 499.0]
    part = await bench.call("job.metrics", id=job.id, axis="step", since=100, until=110)
    assert [row[0] for row in part["metrics"]["a"]] == [float(n) for n in range(99, 112)]
    with pytest.raises(RpcError, match='"since" must be'):
        await bench.call("job.metrics", id=job.id, since="now")


async def test_a_job_that_is_not_there_is_said_to_be_so(bench: Bench) -> None:
    with pytest.raises(RpcError, match="there is no job 77 here"):
        await bench.call("job.metrics", id="77")
    with pytest.raises(RpcError, match='"id" must be text'):
        await bench.call("job.show", id=1)


def test_events_are_read_past_lines_that_are_bad_and_never_more_than_a_message_holds(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "LINE_BYTES", 16)
    monkeypatch.setattr(events, "READ_BYTES", 64)
    writer.raw('{"a": 1}\n{"long": "' + 100 * "x" + '"}\n[1]\nbad\n{"b": NaN}\n{"half')
    found, offset = events.read_events(writer.path, 0, 9)
    assert found == [{"a": 1}] and offset < 100
    while (step := events.read_events(writer.path, offset, 9))[1] > offset:
        found, offset = found + step[0], step[1]
    assert found == [{"a": 1}, {"b": None}]
    writer.raw('": 1}\n')
    assert events.read_events(writer.path, offset, 9)[0] == [{"half": 1}]
