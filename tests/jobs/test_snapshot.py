"""A copy of a directory at submit: everything that is data, as it was, within bounds."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from cockpit.agent.jobs import snapshot


def taken(source: Path, target: Path, **options: int) -> Path:
    entries = snapshot.look(source, target.parent / "jobs", **options)
    snapshot.copy(source, target, entries)
    return target


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    (path / "data").mkdir(parents=True)
    (path / "data" / "big").write_bytes(os.urandom(3_000_000))
    (path / "train.py").write_text("print(1)\n")
    (path / "run").write_text("#!/bin/sh\n")
    (path / "run").chmod(0o750)
    return path


def test_content_modes_and_times_are_those_of_the_originals(source: Path, tmp_path: Path) -> None:
    os.utime(source / "train.py", ns=(1, 1_500_000_000_123_456_789))
    os.utime(source / "data", ns=(1, 1_400_000_000_123_456_789))
    (source / "data" / "sealed").mkdir()
    (source / "data" / "sealed" / "file").touch()
    (source / "data" / "sealed").chmod(0o555)
    copy = taken(source, tmp_path / "copy")
    for name in ("data/big", "train.py", "run", "data/sealed/file"):
        assert (copy / name).read_bytes() == (source / name).read_bytes()
    assert stat.S_IMODE((copy / "run").stat().st_mode) == 0o750
    assert (copy / "train.py").stat().st_mtime_ns == 1_500_000_000_123_456_789
    assert stat.S_IMODE((copy / "data" / "sealed").stat().st_mode) == 0o755
    (copy / "train.py").write_text("changed")
    assert (source / "train.py").read_text() == "print(1)\n"


def test_links_stay_links_and_those_that_lead_out_lead_to_the_same_place(
    source: Path, tmp_path: Path
) -> None:
    (tmp_path / "outside").write_text("outside")
    (source / "data" / "inner").symlink_to("../train.py")
    (source / "data" / "outer").symlink_to("../../outside")
    (source / "whole").symlink_to(tmp_path / "outside")
    (source / "dangling").symlink_to("nowhere")
    (source / "loop").symlink_to(".")
    (tmp_path / "deep" / "er").mkdir(parents=True)
    copy = taken(source, tmp_path / "deep" / "er" / "copy")
    assert str((copy / "data" / "inner").readlink()) == "../train.py"
    assert (copy / "data" / "inner").resolve() == copy / "train.py"
    assert (copy / "data" / "outer").read_text() == (copy / "whole").read_text() == "outside"
    assert str((copy / "dangling").readlink()) == "nowhere" and (copy / "loop").is_symlink()


def test_what_is_no_data_is_left_out(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in snapshot.NOT_COPIED:
        (source / name).mkdir()
        (source / name / "junk").touch()
    os.mkfifo(source / "pipe")
    listening = socket.socket(socket.AF_UNIX)
    # A socket's path is short: that of a temporary directory may be longer.
    monkeypatch.chdir(source)
    listening.bind("socket")
    inside = source / "state" / "jobs"
    inside.mkdir(parents=True)
    entries = snapshot.look(source, inside)
    snapshot.copy(source, inside / "copy", entries)
    listening.close()
    names = {str(path.relative_to(inside / "copy")) for path in (inside / "copy").rglob("*")}
    assert names == {"data", "data/big", "train.py", "run", "state"}


def test_too_much_is_refused_with_what_is_large_in_it(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "BYTES_MOST", 4_000_000)
    taken(source, tmp_path / "one")
    with pytest.raises(snapshot.TooLargeError) as caught:
        snapshot.look(source, tmp_path / "jobs", copies=2)
    assert "2.9 MiB in 4 files, for each of 2 jobs; at most 3.8 MiB" in str(caught.value)
    assert "The largest in it: data (2.9 MiB in 2 files)" in str(caught.value)
    monkeypatch.setattr(snapshot, "FILES_MOST", 3)
    with pytest.raises(snapshot.TooLargeError, match="in 3 files are copied"):
        snapshot.look(source, tmp_path / "jobs")


def test_a_file_that_goes_or_comes_meanwhile_does_no_harm(source: Path, tmp_path: Path) -> None:
    entries = snapshot.look(source, tmp_path / "jobs")
    (source / "train.py").unlink()
    (source / "run").unlink()
    os.mkfifo(source / "run")
    (source / "late").touch()
    snapshot.copy(source, tmp_path / "copy", entries)
    assert {path.name for path in (tmp_path / "copy").iterdir()} == {"data"}


def test_a_file_that_grows_while_it_is_copied_is_copied_once_more(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_content = snapshot._copy_content
    grown = []

    def growing(reading: int, writing: int, size: int) -> None:
        copy_content(reading, writing, size)
        if size == 9 and not grown:
            grown.append(True)
            with (source / "train.py").open("a") as file:
                file.write("print(2)\n")

    monkeypatch.setattr(snapshot, "_copy_content", growing)
    copy = taken(source, tmp_path / "copy")
    assert (copy / "train.py").read_text() == "print(1)\nprint(2)\n"


@pytest.mark.parametrize("missing", ["clone", "range"])
def test_where_blocks_cannot_be_shared_they_are_copied(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    def refuse(*_: object) -> Callable[..., int]:
        raise OSError(errno.EOPNOTSUPP, "no")

    monkeypatch.setattr(snapshot.fcntl, "ioctl", refuse)
    if missing == "range":
        monkeypatch.setattr(os, "copy_file_range", refuse)
    copy = taken(source, tmp_path / "copy")
    assert (copy / "data" / "big").read_bytes() == (source / "data" / "big").read_bytes()
