"""A run that is gone on with is the run that was never interrupted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.heavy

Modules = Callable[[str], Any]
PHYSICS = {"obstacle": "cylinder", "height": 40}


@pytest.fixture(scope="module")
def checkpoint(cfd_module: Modules) -> Any:
    return cfd_module("checkpoint")


@pytest.fixture
def room(cfd_module: Modules) -> Any:
    return cfd_module("tunnel").Tunnel(40, 1, 50.0)


def test_a_flow_goes_on_bit_for_bit(checkpoint: Any, room: Any, tmp_path: Path) -> None:
    whole = room.flow()
    whole.step(200)
    first = room.flow()
    first.step(101)
    kept = checkpoint.load(checkpoint.save(tmp_path, first, PHYSICS, [(1.5, 0.25)]))
    second = room.flow(ripple=0.0)
    second.restore(kept.populations, kept.steps)
    second.step(99)
    assert second.steps == 200
    assert (second.populations() == whole.populations()).all()
    assert (second.force() == whole.force()).all()
    assert kept.physics == PHYSICS
    assert kept.samples.tolist() == [[1.5, 0.25]]


def test_a_flow_goes_on_bit_for_bit_on_another_number_of_slabs(
    checkpoint: Any, cfd_module: Modules, tmp_path: Path
) -> None:
    tunnel = cfd_module("tunnel").Tunnel(40, 6, 50.0, storage="fp16", collision="regularized")
    whole = tunnel.flow()
    whole.step(40)
    first = tunnel.flow(["cpu", "cpu", "cpu"])
    first.step(21)
    kept = checkpoint.load(checkpoint.save(tmp_path, first, PHYSICS, []))
    second = tunnel.flow(["cpu", "cpu"])
    second.restore(kept.populations, kept.steps)
    second.step(19)
    assert (second.populations() == whole.populations()).all()


def test_two_are_kept_and_the_newest_is_found(checkpoint: Any, room: Any, tmp_path: Path) -> None:
    flow = room.flow()
    assert checkpoint.newest(tmp_path / "none") is None
    for _ in range(3):
        flow.step(10)
        path = checkpoint.save(tmp_path, flow, PHYSICS, [])
    assert [each.name for each in sorted(tmp_path.iterdir())] == [
        "step-000000000020", "step-000000000030",
    ]  # fmt: skip
    assert checkpoint.newest(tmp_path) == path
    assert checkpoint.load(path).steps == 30


def test_it_is_found_by_its_folder_by_the_job_and_by_the_number_of_the_job(
    checkpoint: Any, room: Any, tmp_path: Path
) -> None:
    flow = room.flow()
    path = checkpoint.save(tmp_path / "12" / "checkpoints", flow, PHYSICS, [])
    job = tmp_path / "13"
    for wanted in (path, path.parent, tmp_path / "12", Path("/somewhere/else/12")):
        assert checkpoint.find(str(wanted), job) == path
    with pytest.raises(ValueError, match=r"There is no checkpoint at .*/11, and job 11 has left"):
        checkpoint.find("/somewhere/else/11", job)


def test_one_that_was_interrupted_is_none(checkpoint: Any, room: Any, tmp_path: Path) -> None:
    """Killed in the middle: the draft is hidden, and the next one is written as if it were not."""
    draft = tmp_path / ".step-000000000000.4711"
    draft.mkdir()
    (draft / "populations.npy").write_bytes(b"half")
    assert checkpoint.newest(tmp_path) is None
    path = checkpoint.save(tmp_path, room.flow(), PHYSICS, [])
    assert checkpoint.newest(tmp_path) == path


def test_a_write_that_fails_leaves_the_one_before(
    checkpoint: Any, room: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = room.flow()
    path = checkpoint.save(tmp_path, flow, PHYSICS, [])
    flow.step(1)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save(tmp_path, flow, PHYSICS, [])
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: (path / "about.json").write_text("{"),
        lambda path: (path / "about.json").write_text(json.dumps({"format": 99})),
        lambda path: (path / "populations.npy").write_bytes(b"noise"),
        lambda path: (path / "drag_and_lift.npy").unlink(),
    ],
)
def test_a_damaged_one_is_refused_in_words(
    checkpoint: Any, room: Any, tmp_path: Path, damage: Callable[[Path], Any]
) -> None:
    path = checkpoint.save(tmp_path, room.flow(), PHYSICS, [])
    damage(path)
    with pytest.raises(ValueError, match="cannot be used as a checkpoint"):
        checkpoint.load(path)


def test_what_differs_is_named_by_the_options(checkpoint: Any) -> None:
    told = checkpoint.differences({**PHYSICS, "height": 60}, {**PHYSICS, "reynolds": 50.0})
    assert told == ["height is 60 here and was 40", "reynolds is None here and was 50.0"]
    assert checkpoint.differences(PHYSICS, json.loads(json.dumps(PHYSICS))) == []
