"""A recording gives back what was written, and says where a broken one stops making sense."""

from __future__ import annotations

import gzip
import json
from contextlib import closing
from pathlib import Path

import pytest

from cockpit.client import Connected
from cockpit.errors import UsageError
from cockpit.model import BoxInfo, Event, Gpu, Snapshot
from cockpit.recording import CutRecordingError, Recorder, read_recording

BOX = BoxInfo("tower", "nvml", "580.1", 1, revision=3)
SNAPSHOTS = [
    Snapshot(1000.0 + n, (Gpu(0, "GPU-a", "H100", power_w=100.0 + n),), sequence=n)
    for n in range(25)
]
EVENT = Event(4, 1001.5, "xid", "critical", "XID 79", gpu_index=0)


def record(path: Path) -> Path:
    with closing(Recorder(path)) as recorder:
        for entry in (BOX, SNAPSHOTS[0], SNAPSHOTS[1], EVENT, *SNAPSHOTS[2:]):
            assert recorder.write(entry)
        assert not recorder.write(Connected(BOX))
    return path


def test_what_was_recorded_is_read_again(tmp_path: Path) -> None:
    entries = list(read_recording(record(tmp_path / "a.rec")))
    assert entries == [BOX, SNAPSHOTS[0], SNAPSHOTS[1], EVENT, *SNAPSHOTS[2:]]


def test_the_file_is_plain_json_lines_in_gzip(tmp_path: Path) -> None:
    with gzip.open(record(tmp_path / "a.rec"), "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    assert rows[0]["cockpit_recording"] == 1
    assert rows[1]["box"]["name"] == "tower"


@pytest.mark.parametrize("lost", [1, 9, 40, 200])
def test_a_cut_recording_gives_what_is_whole_and_then_says_so(tmp_path: Path, lost: int) -> None:
    path = record(tmp_path / "a.rec")
    path.write_bytes(path.read_bytes()[:-lost])
    found = []
    with pytest.raises(CutRecordingError, match="breaks off at line"):
        for entry in read_recording(path):
            found.append(entry)
    assert found[:2] == [BOX, SNAPSHOTS[0]]


def test_a_recorder_that_was_killed_leaves_whole_lines(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "a.rec")
    for entry in SNAPSHOTS:
        recorder.write(entry)
    found = []
    with pytest.raises(CutRecordingError):
        for entry in read_recording(tmp_path / "a.rec"):
            found.append(entry)
    assert len(found) >= 15
    recorder.close()


def test_a_recording_never_overwrites(tmp_path: Path) -> None:
    record(tmp_path / "a.rec")
    with pytest.raises(UsageError, match="exists already"):
        Recorder(tmp_path / "a.rec")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"hello", "cannot be played"),
        (b"", "not a recording"),
        (gzip.compress(b"hello\n"), "not a recording"),
        (gzip.compress(b"[]\n"), "not a recording"),
        (gzip.compress(b'{"cockpit_recording": 9}\n'), "format 9"),
    ],
)
def test_a_file_that_is_no_recording_is_refused_by_name(
    tmp_path: Path, content: bytes, words: str
) -> None:
    path = tmp_path / "other"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=words) as caught:
        read_recording(path)
    assert str(path) in caught.value.message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read_recording(tmp_path / "nowhere")
