"""The frame ring: what a reader gets is always one whole frame."""

from __future__ import annotations

import multiprocessing
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cockpit.sdk.frames import HEADER_BYTES, SLOTS, FrameReader, FrameWriter


@pytest.fixture
def ring(tmp_path: Path) -> Iterator[tuple[FrameWriter, FrameReader]]:
    with FrameWriter(tmp_path / "speed.ring", 4, 2) as writer, FrameReader(writer.path) as reader:
        yield writer, reader


def test_there_is_no_frame_before_the_first(ring: tuple[FrameWriter, FrameReader]) -> None:
    assert ring[1].latest() is None


def test_a_frame_arrives_as_it_was_written(ring: tuple[FrameWriter, FrameReader]) -> None:
    writer, reader = ring
    assert writer.write(b"abcdefgh", -1.5, 2.25, 700, 1234.5) == 1
    frame = reader.latest()
    assert frame is not None
    assert (frame.sequence, frame.width, frame.height) == (1, 4, 2)
    assert (frame.low, frame.high, frame.step, frame.time_s) == (-1.5, 2.25, 700, 1234.5)
    assert frame.data == b"abcdefgh"


def test_only_a_newer_frame_is_given_after_one_that_was_seen(
    ring: tuple[FrameWriter, FrameReader],
) -> None:
    writer, reader = ring
    for step in range(5):
        writer.write(bytes([step] * 8), 0, 1, step, 0)
    frame = reader.latest(after=4)
    assert frame is not None
    assert (frame.sequence, frame.step) == (5, 4)
    assert reader.latest(after=5) is None


def test_a_frame_that_is_being_written_is_not_given(ring: tuple[FrameWriter, FrameReader]) -> None:
    writer, reader = ring
    writer.write(b"abcdefgh", 0, 1, 0, 0)
    with writer.path.open("r+b") as file:  # the writer begins to overwrite this very slot
        file.seek(HEADER_BYTES)
        file.write(struct.pack("<Q", 2 * (1 + SLOTS) - 1))
    assert reader.latest() is None


@given(offset=st.integers(min_value=0, max_value=7), change=st.integers(min_value=1, max_value=255))
@settings(max_examples=25, deadline=None)
def test_a_frame_whose_bytes_were_reordered_or_changed_is_not_given(
    tmp_path_factory: pytest.TempPathFactory, offset: int, change: int
) -> None:
    path = tmp_path_factory.mktemp("ring") / "a.ring"
    with FrameWriter(path, 4, 2) as writer, FrameReader(path) as reader:
        writer.write(b"abcdefgh", 0, 1, 0, 0)
        with path.open("r+b") as file:
            file.seek(2 * HEADER_BYTES + offset)
            file.write(bytes([b"abcdefgh"[offset] ^ change]))
        assert reader.latest() is None


def test_a_reader_keeps_its_file_when_a_new_one_takes_the_name(tmp_path: Path) -> None:
    path = tmp_path / "a.ring"
    with FrameWriter(path, 1, 1) as old, FrameReader(path) as reader:
        old.write(b"a", 0, 1, 0, 0)
        with FrameWriter(path, 2, 2) as new:
            new.write(b"bbbb", 0, 1, 0, 0)
        frame = reader.latest()
        assert frame is not None
        assert frame.data == b"a"


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "only 0 bytes"), (b"x" * 500, "not a frame file"), (None, "cut short")],
)
def test_a_file_that_is_no_ring_is_refused_with_its_name(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    path = tmp_path / "a.ring"
    if content is None:
        FrameWriter(path, 64, 64).close()
        content = path.read_bytes()[:-1]
    path.write_bytes(content)
    with pytest.raises(ValueError, match=words) as raised:
        FrameReader(path)
    assert str(path) in str(raised.value)


def test_data_of_another_size_is_refused(ring: tuple[FrameWriter, FrameReader]) -> None:
    with pytest.raises(ValueError, match="has 8 bytes, not 3"):
        ring[0].write(b"abc", 0, 1, 0, 0)


def _write_many(path: Path, count: int, start: multiprocessing.synchronize.Event) -> None:
    with FrameWriter(path, 64, 48) as writer:
        start.set()
        for number in range(1, count + 1):
            writer.write(bytes([number % 251]) * (64 * 48), number, number + 1, number, number / 8)


@pytest.mark.parametrize("count", [4000])
def test_no_frame_is_ever_torn_while_another_process_writes(tmp_path: Path, count: int) -> None:
    context = multiprocessing.get_context("spawn")
    path, start = tmp_path / "a.ring", context.Event()
    writer = context.Process(target=_write_many, args=(path, count, start))
    writer.start()
    try:
        assert start.wait(30)
        seen: list[int] = []
        with FrameReader(path) as reader:
            while not seen or seen[-1] < count:
                frame = reader.latest(after=seen[-1] if seen else 0)
                if frame is None:
                    assert writer.is_alive() or reader.latest(after=seen[-1] if seen else 0)
                    continue
                assert frame.data == bytes([frame.sequence % 251]) * (64 * 48)
                assert (frame.step, frame.low) == (frame.sequence, frame.sequence)
                assert (frame.high, frame.time_s) == (frame.sequence + 1, frame.sequence / 8)
                seen.append(frame.sequence)
    finally:
        writer.terminate()
        writer.join()
    assert seen == sorted(set(seen))
    assert len(seen) > 10, "the reader met the writer too rarely to prove anything"
