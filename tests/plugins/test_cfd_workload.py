"""The wind tunnel as a process: what it tells, and how it stops. Needs Warp."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from cockpit.sdk import FrameReader

pytestmark = pytest.mark.heavy

REPOSITORY = Path(__file__).parents[2]
PLUGIN = REPOSITORY / "plugins" / "cfd"

if os.environ.get("COCKPIT_REQUIRE_HEAVY") != "1":
    pytest.importorskip("warp", reason="the wind tunnel needs warp-lang")


def _start(directory: Path, cache_home: Path, **parameters: Any) -> subprocess.Popen[str]:
    (directory / "parameters.json").write_text(json.dumps(parameters))
    environment = {
        **os.environ,
        "COCKPIT_JOB_DIR": str(directory),
        "COCKPIT_EVENTS": str(directory / "events.jsonl"),
        "COCKPIT_PARAMETERS": str(directory / "parameters.json"),
        "XDG_CACHE_HOME": str(cache_home),
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return subprocess.Popen(
        [sys.executable, "workload.py"],
        cwd=PLUGIN,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _events(directory: Path, kind: str) -> list[dict[str, Any]]:
    path = directory / "events.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [event for line in lines if (event := json.loads(line))["type"] == kind]


def test_a_run_tells_progress_metrics_kernel_roofline_and_fields(
    tmp_path: Path, cache_home: Path
) -> None:
    run = _start(tmp_path, cache_home, height=40, steps=300, frames_per_s=30.0, device="cpu")
    output, _ = run.communicate(timeout=120)
    assert run.returncode == 0, output
    assert output.startswith("120 × 40 × 1 cells"), "the log should begin with our own words"
    assert _events(tmp_path, "progress")[-1]["done"] == 300
    names = {name for event in _events(tmp_path, "metrics") for name in event["values"]}
    assert names == {"mlups", "drag", "lift"}
    kernels = _events(tmp_path, "kernel")
    assert {event["name"] for event in kernels} == {"stream_collide"}
    assert sum(event["count"] for event in kernels) == 300
    # Of 120 × 40 cells the obstacle's 50 or so and the frame around all are not fluid.
    fluid = _fluid_cells(kernels[0])
    assert 118 * 38 - 60 < fluid < 118 * 38
    (roof,) = _events(tmp_path, "roofline")
    assert roof["measured"] is True
    assert roof["bytes_per_s"] > 1e8
    frames = {event["name"]: event for event in _events(tmp_path, "frame")}
    assert set(frames) == {"speed", "vorticity"}
    with FrameReader(tmp_path / frames["speed"]["path"]) as reader:
        frame = reader.latest()
    assert frame is not None
    # All but the tunnel's own sides.
    assert (frame.width, frame.height, frame.step) == (118, 38, 300)
    assert frame.data[19 * 118 + 29] == 0, "the obstacle's middle has no value"


def _fluid_cells(kernel: dict[str, Any]) -> float:
    """The cells that a kernel event's bytes stand for: 152 for each fluid cell, 1 for each flag."""
    cells: float = (kernel["bytes"] / kernel["count"] - 120 * 40) / 152
    return cells


def test_it_stops_after_the_batch_in_which_it_is_asked_and_says_so(
    tmp_path: Path, cache_home: Path
) -> None:
    run = _start(tmp_path, cache_home, steps=10_000_000, device="cpu")
    try:
        deadline = time.monotonic() + 120
        while not _events(tmp_path, "kernel"):
            assert time.monotonic() < deadline and run.poll() is None
            time.sleep(0.02)
        run.send_signal(signal.SIGTERM)
        asked_s = time.time()
        output, _ = run.communicate(timeout=60)
    finally:
        run.kill()
    assert run.returncode == 0, output
    assert "Stopped as asked after" in output
    # A batch lasts a tenth of a second: the one under way ends, and perhaps the one before waits.
    late = [event for event in _events(tmp_path, "kernel") if event["time_s"] > asked_s]
    assert len(late) <= 2


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        (
            {"reynolds": 5000.0, "collision": "bgk"},
            "Choose the collision regularized, a Reynolds number up to",
        ),
        ({"device": "tpu"}, "choose auto, cpu or cuda"),
    ],
)
def test_a_choice_that_cannot_work_ends_with_code_2_and_the_reason(
    tmp_path: Path, cache_home: Path, parameters: dict[str, Any], words: str
) -> None:
    run = _start(tmp_path, cache_home, **{"device": "cpu", **parameters})
    output, _ = run.communicate(timeout=60)
    assert run.returncode == 2
    assert words in output
    assert "Traceback" not in output
    (event,) = _events(tmp_path, "message")
    assert event["level"] == "error"


def test_a_run_that_is_stopped_leaves_a_checkpoint_from_which_another_job_goes_on(
    tmp_path: Path, cache_home: Path
) -> None:
    """As three jobs that lie beside each other: one whole, one stopped, one that goes on."""
    import numpy as np

    whole, stopped, after = tmp_path / "1", tmp_path / "2", tmp_path / "3"
    for directory in (whole, stopped, after):
        directory.mkdir()
    choice = {"height": 40, "device": "cpu", "frames_per_s": 30.0}
    run = _start(stopped, cache_home, steps=10_000_000, **choice)
    try:
        deadline = time.monotonic() + 120
        while not _events(stopped, "kernel"):
            assert time.monotonic() < deadline and run.poll() is None
            time.sleep(0.02)
        run.send_signal(signal.SIGTERM)
        output, _ = run.communicate(timeout=60)
    finally:
        run.kill()
    (told,) = _events(stopped, "checkpoint")
    reached = int(told["path"].rpartition("-")[2])
    end = reached + 50
    run = _start(after, cache_home, steps=end, restart="/anywhere/2", **choice)
    output, _ = run.communicate(timeout=120)
    assert run.returncode == 0, output
    assert f"Going on from step {reached:,}" in output
    run = _start(whole, cache_home, steps=end, **choice)
    output, _ = run.communicate(timeout=120)
    assert run.returncode == 0, output
    states = [
        np.load(each / _events(each, "checkpoint")[-1]["path"] / "populations.npy")
        for each in (whole, after)
    ]
    assert np.array_equal(*states)
    run = _start(after, cache_home, steps=end + 1, restart="/anywhere/2", reynolds=50.0, **choice)
    output, _ = run.communicate(timeout=60)
    assert run.returncode == 2
    assert "reynolds is 50.0 here and was 100.0" in output


@pytest.mark.parametrize("field", ["pressure", "swirl"])
def test_the_picture_beside_the_speed_and_its_plane_are_chosen(
    tmp_path: Path, cache_home: Path, field: str
) -> None:
    choice = {"height": 40, "depth": 6, "device": "cpu", "field": field, "plane": "xz"}
    # The lowest plane is all free stream: a picture without air is no unstable flow.
    run = _start(tmp_path, cache_home, steps=20, threads=2, position=0.0, **choice)
    output, _ = run.communicate(timeout=120)
    assert run.returncode == 0, output
    frames = {event["name"]: event for event in _events(tmp_path, "frame")}
    assert set(frames) == {"speed", field}
    assert (frames[field]["width"], frames[field]["height"]) == (118, 6)


def test_files_for_paraview_are_written_when_they_are_due_and_within_the_budget(
    tmp_path: Path, cache_home: Path
) -> None:
    choice = {"height": 40, "device": "cpu", "vtk": "series", "vtk_every": 100}
    run = _start(tmp_path, cache_home, steps=350, checkpoint_every=-1, **choice)
    output, _ = run.communicate(timeout=120)
    assert run.returncode == 0, output
    names = sorted(path.name for path in (tmp_path / "output").iterdir())
    steps = (100, 200, 300, 350)
    assert names == [*(f"flow-{step:09d}.vti" for step in steps), "flow.pvd"]
    assert not (tmp_path / "checkpoints").exists()


def test_a_flow_that_becomes_unstable_ends_with_the_reason_and_what_to_do(
    tmp_path: Path, cache_home: Path
) -> None:
    """Made so by a checkpoint in which the air moves ten times as fast."""
    import numpy as np

    first, second = tmp_path / "1", tmp_path / "2"
    for directory in (first, second):
        directory.mkdir()
    choice = {"height": 40, "device": "cpu"}
    _start(first, cache_home, steps=20, **choice).communicate(timeout=120)
    (told,) = _events(first, "checkpoint")
    path = first / told["path"] / "populations.npy"
    np.save(path, 10.0 * np.load(path))
    run = _start(second, cache_home, steps=20_000, restart=str(first), **choice)
    output, _ = run.communicate(timeout=120)
    assert run.returncode == 1, output
    assert "The flow became unstable by step" in output
    assert "Choose collision regularized, a greater height" in output
    assert not _events(second, "checkpoint"), "nobody can go on from that"


def test_a_job_that_is_tried_again_goes_on_from_its_own_checkpoint(
    tmp_path: Path, cache_home: Path
) -> None:
    for steps in (50, 90):
        run = _start(tmp_path, cache_home, height=40, steps=steps, device="cpu")
        output, _ = run.communicate(timeout=120)
        assert run.returncode == 0, output
    assert "Going on from step 50" in output
    assert _events(tmp_path, "checkpoint")[-1]["path"] == "checkpoints/step-000000000090"
