"""The frame ring: what a reader gets is always one whole frame."""

from __future__ import annotations

import multiprocessing
import struct
from collections.abc import Iterator
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

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


class Interleaved:
    """A map shared by a writer and a reader, where the writer's stores land one by one.

    Each store waits in a queue, long ones in two halves. Before every load of the reader as many
    of them land as `steps` says, so that any interleaving of the two can be played through.
    """

    def __init__(self, real: Any, steps: Iterator[int]) -> None:
        self.real = real
        self.stores: list[tuple[int, bytes]] = []
        self.steps = steps

    def __setitem__(self, place: slice, data: bytes) -> None:
        half = len(data) // 2 if len(data) > 8 else len(data)
        self.stores.append((place.start, data[:half]))
        if data[half:]:
            self.stores.append((place.start + half, data[half:]))

    def __getitem__(self, place: slice) -> bytes:
        self.land(next(self.steps, 0))
        return self.real[place]

    def land(self, count: int) -> None:
        for start, data in self.stores[:count]:
            self.real[start : start + len(data)] = data
        del self.stores[:count]


@given(steps=st.lists(st.integers(min_value=0, max_value=9), max_size=60))
@settings(max_examples=300, deadline=None)
def test_no_interleaving_of_writer_and_reader_tears_a_frame(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int]
) -> None:
    path = tmp_path_factory.getbasetemp() / "interleaved.ring"
    with FrameWriter(path, 4, 4) as writer, FrameReader(path) as reader:
        shared = Interleaved(writer._map, iter(steps))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(writer, "_map", shared)
            for number in range(1, 13):
                writer.write(bytes([number] * 16), number, number + 1, number, number)
            shared.land(8)  # the first frame is there
            private = reader._map
            patch.setattr(reader, "_map", shared)
            frames = [frame for _ in range(12) if (frame := reader.latest()) is not None]
            patch.setattr(reader, "_map", private)
    for frame in frames:
        number = frame.sequence
        assert frame.data == bytes([number] * 16)
        assert (frame.step, frame.time_s) == (number, number)
        assert (frame.low, frame.high) == (number, number + 1)


WIDTH, HEIGHT = 320, 160


def _write_until(path: Path, ready: Event, enough: Event) -> None:
    number = 0
    with FrameWriter(path, WIDTH, HEIGHT) as writer:
        while not enough.is_set():
            number += 1
            data = bytes([number % 251]) * (WIDTH * HEIGHT)
            writer.write(data, number, number + 1, number, number / 8)
            ready.set()


def test_no_frame_is_ever_torn_while_another_process_writes(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    path, ready, enough = tmp_path / "a.ring", context.Event(), context.Event()
    writer = context.Process(target=_write_until, args=(path, ready, enough), daemon=True)
    writer.start()
    try:
        assert ready.wait(30)
        seen = 0
        with FrameReader(path) as reader:
            for _ in range(150):
                frame = reader.latest(after=seen)
                while frame is None and writer.is_alive():
                    frame = reader.latest(after=seen)
                assert frame is not None, "the writer ended early"
                assert frame.sequence > seen
                seen = frame.sequence
                assert frame.data == bytes([seen % 251]) * (WIDTH * HEIGHT)
                assert (frame.step, frame.low, frame.high) == (seen, seen, seen + 1)
                assert frame.time_s == seen / 8
    finally:
        enough.set()
        writer.join()
