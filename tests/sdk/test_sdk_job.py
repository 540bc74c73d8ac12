"""What a workload tells cockpit, and how it behaves without one."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cockpit.sdk import FrameReader, Job

PNG = b"\x89PNG\r\n\x1a\n and so on"


class Desk:
    """A job directory, a clock that only the test moves, and the flushes it was asked for."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.now = 100.0
        self.due: list[Callable[[], None]] = []
        self.events_path = directory / "events.jsonl"
        self.environment = {
            "COCKPIT_JOB_DIR": str(directory),
            "COCKPIT_EVENTS": str(self.events_path),
            "COCKPIT_JOB_ID": "7",
        }

    def job(self) -> Job:
        return Job(
            environment=self.environment,
            arguments=[],
            clock=lambda: self.now,
            wall_clock=lambda: 1_000_000 + self.now,
            later=lambda seconds, call: self.due.append(call),
        )

    def events(self, kind: str = "") -> list[dict[str, Any]]:
        lines = self.events_path.read_text().splitlines() if self.events_path.exists() else []
        events = [json.loads(line) for line in lines]
        return [event for event in events if event["type"] == (kind or event["type"])]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_every_event_has_the_fields_of_the_contract(desk: Desk) -> None:
    job = desk.job()
    job.progress(3, 10, "steps")
    job.metrics(step=3, loss=0.5)
    job.kernel("collide", seconds=0.5, count=2, bytes=1e9)
    job.roofline(bytes_per_s=2e12, measured=True, device="H100")
    job.image("wake", PNG)
    job.table("forces", ["axis", "N"], [("x", 1.5), ("y", math.nan)])
    job.text("sample", "Once upon a time")
    job.checkpoint("/elsewhere/state.bin")
    job.message("Half way.")
    assert desk.events() == [
        {"type": "progress", "time_s": 1000100, "done": 3, "total": 10, "unit": "steps"},
        {"type": "metrics", "time_s": 1000100, "step": 3, "values": {"loss": 0.5}},
        {
            "type": "kernel",
            "time_s": 1000100,
            "name": "collide",
            "seconds": 0.5,
            "count": 2,
            "bytes": 1e9,
            "flops": None,
        },
        {
            "type": "roofline",
            "time_s": 1000100,
            "bytes_per_s": 2e12,
            "flops_per_s": None,
            "measured": True,
            "device": "H100",
        },
        {"type": "image", "time_s": 1000100, "name": "wake", "path": "images/wake.png"},
        {
            "type": "table",
            "time_s": 1000100,
            "name": "forces",
            "columns": ["axis", "N"],
            "rows": [["x", 1.5], ["y", None]],
            "left_out": 0,
        },
        {
            "type": "text",
            "time_s": 1000100,
            "name": "sample",
            "text": "Once upon a time",
            "left_out": 0,
        },
        {"type": "checkpoint", "time_s": 1000100, "path": "/elsewhere/state.bin"},
        {"type": "message", "time_s": 1000100, "text": "Half way.", "level": "info"},
    ]


def test_a_thousand_steps_in_a_second_write_ten_events_and_the_last_step(desk: Desk) -> None:
    job = desk.job()
    for step in range(1000):
        job.progress(step, 1000)
        job.metrics(step=step, loss=1 / (step + 1))
        desk.now += 0.001
    assert 9 <= len(desk.events("progress")) <= 11
    assert 9 <= len(desk.events("metrics")) <= 11
    job.flush()
    assert desk.events("progress")[-1]["done"] == 999
    assert desk.events("metrics")[-1]["step"] == 999


def test_a_report_that_is_followed_by_nothing_is_written_soon_all_the_same(desk: Desk) -> None:
    job = desk.job()
    job.progress(1, 2)
    job.progress(2, 2)
    assert [event["done"] for event in desk.events()] == [1]
    assert len(desk.due) == 1
    desk.due.pop()()
    assert [event["done"] for event in desk.events()] == [1, 2]


def test_metrics_of_different_names_do_not_displace_each_other(desk: Desk) -> None:
    job = desk.job()
    job.metrics(step=1, loss=1.0)
    job.metrics(step=1, speed=2.0)
    assert [event["values"] for event in desk.events()] == [{"loss": 1.0}, {"speed": 2.0}]


def test_kernel_reports_that_come_too_fast_are_added_up(desk: Desk) -> None:
    job = desk.job()
    for _ in range(4):
        job.kernel("collide", seconds=0.25, count=2, bytes=10, flops=5)
    job.flush()
    first, rest = desk.events("kernel")
    assert (first["seconds"], first["count"], first["bytes"], first["flops"]) == (0.25, 2, 10, 5)
    assert (rest["seconds"], rest["count"], rest["bytes"], rest["flops"]) == (0.75, 6, 30, 15)


@pytest.mark.parametrize("value", [math.nan, math.inf, None, "text", 10**400])
def test_what_is_no_finite_number_is_left_out_and_said_once(desk: Desk, value: Any) -> None:
    job = desk.job()
    job.metrics(step=5, loss=value, accuracy=0.5)
    job.metrics(step=6, loss=value)
    job.flush()
    assert [event["values"] for event in desk.events("metrics")] == [{"accuracy": 0.5}]
    (message,) = desk.events("message")
    assert message["level"] == "warning"
    assert "metric loss at step 5" in message["text"]


def test_the_last_report_is_written_when_the_process_ends(desk: Desk) -> None:
    code = "from cockpit.sdk import job\nfor n in range(500): job.progress(n, 499)"
    subprocess.run([sys.executable, "-c", code], env={**os.environ, **desk.environment}, check=True)
    assert desk.events()[-1]["done"] == 499


def test_a_full_disk_does_not_end_the_workload(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.environment["COCKPIT_EVENTS"] = "/dev/full"
    job = desk.job()
    job.message("one")
    job.message("two")
    assert capsys.readouterr().err.count("cannot be written") == 1


def test_a_job_directory_that_vanished_does_not_end_the_workload(desk: Desk) -> None:
    desk.environment["COCKPIT_EVENTS"] = str(desk.directory / "gone" / "events.jsonl")
    desk.environment["COCKPIT_JOB_DIR"] = "/proc/nowhere"
    job = desk.job()
    job.progress(1, 2)
    job.frame("speed", [[0.0, 1.0]])
    (desk.directory / "gone").mkdir()
    job.message("It is back.")
    (event,) = [json.loads(line) for line in (desk.directory / "gone" / "events.jsonl").open()]
    assert event["text"] == "It is back."


def test_a_line_cut_off_by_a_full_disk_spoils_itself_only(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = desk.job()
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:9]))
    job.message("lost")
    monkeypatch.setattr(os, "write", write)
    job.message("whole")
    torn, whole = desk.events_path.read_text().splitlines()
    assert len(torn) == 9
    assert json.loads(whole)["text"] == "whole"


def test_a_frame_is_announced_once_and_carries_its_values(desk: Desk) -> None:
    job = desk.job()
    job.frame("speed", [[0.0, 5.0], [10.0, math.nan]], step=1)
    job.frame("speed", [[0.0, 5.0], [10.0, 2.5]], low=0.0, high=20.0, step=2)
    (announced,) = desk.events("frame")
    assert (announced["name"], announced["width"], announced["height"]) == ("speed", 2, 2)
    with FrameReader(desk.directory / announced["path"]) as reader:
        frame = reader.latest()
    assert frame is not None
    assert (frame.sequence, frame.step, frame.low, frame.high) == (2, 2, 0.0, 20.0)
    assert list(frame.data) == [1, 64, 128, 33]


def test_a_value_that_is_not_there_is_byte_zero_and_the_rest_spans_one_to_255(desk: Desk) -> None:
    job = desk.job()
    job.frame("speed", [[-2.0, 2.0], [0.0, math.nan]])
    with FrameReader(desk.directory / desk.events("frame")[0]["path"]) as reader:
        frame = reader.latest()
    assert frame is not None
    assert list(frame.data) == [1, 255, 128, 0]
    assert (frame.low, frame.high) == (-2.0, 2.0)


def test_a_field_of_one_value_or_none_at_all_is_still_drawn(desk: Desk) -> None:
    job = desk.job()
    job.frame("flat", [[3.0, 3.0]])
    job.frame("empty", [[math.nan]])
    flat, empty = desk.events("frame")
    with FrameReader(desk.directory / flat["path"]) as reader:
        assert reader.latest().data == b"\x01\x01"
    with FrameReader(desk.directory / empty["path"]) as reader:
        assert reader.latest().data == b"\x00"


def test_a_memoryview_is_a_field_and_a_huge_one_is_thinned(desk: Desk) -> None:
    job = desk.job()
    job.frame("small", memoryview(array("d", range(6))).cast("B").cast("d", (2, 3)))
    job.frame("huge", [[0.0] * 1300 for _ in range(4)])
    small, huge = desk.events("frame")
    assert (small["width"], small["height"]) == (3, 2)
    assert huge["width"] <= 640


@pytest.mark.parametrize("field", [[], [[]], [[1.0], [1.0, 2.0]], [["x"]], [1.0, 2.0], 5])
def test_what_is_no_table_of_numbers_is_refused_as_a_field(desk: Desk, field: Any) -> None:
    with pytest.raises(ValueError, match="a field"):
        desk.job().frame("speed", field)


@pytest.mark.parametrize("name", ["", "../../evil", "a b", ".hidden"])
def test_a_name_that_could_leave_the_directory_is_refused(desk: Desk, name: str) -> None:
    with pytest.raises(ValueError, match="is no name"):
        desk.job().frame(name, [[1.0]])


def test_under_cockpit_parameters_come_from_its_file(desk: Desk) -> None:
    path = desk.directory / "parameters.json"
    path.write_text('{"nx": 64, "note": null}')
    desk.environment["COCKPIT_PARAMETERS"] = str(path)
    parameters = desk.job().parameters.defaults(nx=240, ny=80, note="none")
    assert (parameters.nx, parameters["ny"], parameters.note) == (64, 80, "none")


def test_by_hand_parameters_come_from_the_command_line() -> None:
    job = Job(environment={}, arguments=["--nx", "64", "--show-grid", "yes", "--inflow", "-0.5"])
    parameters = job.parameters.defaults(nx=240, ny=80, show_grid=False, inflow=0.1, note=None)
    assert dict(parameters) == {
        "nx": 64,
        "ny": 80,
        "show_grid": True,
        "inflow": -0.5,
        "note": None,
    }


def test_a_wrong_command_line_ends_with_code_2_and_names_the_option(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as raised:
        Job(environment={}, arguments=["--nx", "many"]).parameters.defaults(nx=240)
    assert raised.value.code == 2
    assert "--nx" in capsys.readouterr().err


def test_an_unknown_parameter_is_named_with_those_that_exist(desk: Desk) -> None:
    parameters = desk.job().parameters.defaults(nx=1)
    with pytest.raises(AttributeError, match="'nxx'; known: nx"):
        _ = parameters.nxx


def test_by_hand_the_same_calls_print_short_lines(capsys: pytest.CaptureFixture[str]) -> None:
    job = Job(environment={}, arguments=[])
    job.progress(250, 1000, "steps")
    job.metrics(step=250, loss=0.125)
    job.kernel("collide", seconds=0.5, count=100, bytes=1e9)
    job.roofline(bytes_per_s=2e10, device="CPU")
    job.frame("speed", [[1.0]])
    job.image("wake", PNG)
    job.table("forces", ["axis", "N"], [("x", 1.5), ("y", math.nan)])
    job.text("sample", "Once upon a time")
    job.checkpoint("/elsewhere/state.bin")
    job.message("The flow is unsteady.", "warning")
    assert capsys.readouterr().out.splitlines() == [
        "250 of 1000 steps (25%)",
        "step 250 · loss 0.125",
        "kernel collide: 5 ms, 2 GB/s",
        "roofline of CPU (measured): memory 20 GB/s",
        "image wake",
        "table forces:",
        "axis    N",
        "   x  1.5",
        "   y    —",
        "sample:",
        "Once upon a time",
        "checkpoint /elsewhere/state.bin",
        "warning: The flow is unsteady.",
    ]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_to_stop_is_seen_and_the_workload_ends_by_itself(number: int) -> None:
    code = (
        "import time\nfrom cockpit.sdk import job\n"
        "assert not job.stopping\nprint('ready', flush=True)\n"
        "while not job.stopping: time.sleep(0.005)\n"
        "job.message('Stopped as asked.')"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    output, _ = process.communicate(timeout=30)
    assert (process.returncode, output) == (0, "Stopped as asked.\n")


def test_the_sdk_needs_only_the_standard_library() -> None:
    code = (
        "import sys\nfrom cockpit.sdk import job\njob.metrics(step=1, a=1)\n"
        "print([n for n in ('numpy', 'textual', 'pynvml', 'cockpit.model') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
