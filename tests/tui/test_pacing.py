"""Over a slow line pictures are drawn as they arrive: none is waiting behind others."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cockpit.tui.pacing import (
    LEAST_BYTES,
    MOST_BYTES,
    QUESTION,
    QUEUE_S,
    SILENT_S,
    Pacer,
    is_far,
)


class Line:
    """Where a pacer writes to, and whether it holds."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.asked = 0
        self.redrawn = 0
        self.held = False
        self.pacer = Pacer(self.ask, self.hold, self.redraw, lambda: self.now_s)

    def ask(self, text: str) -> None:
        assert text == QUESTION
        self.asked += 1

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        assert not self.held
        self.held = True
        yield
        self.held = False

    def redraw(self) -> None:
        assert not self.held
        self.redrawn += 1


@given(
    sizes=st.lists(st.integers(20, 40_000), min_size=1, max_size=80),
    rate=st.floats(500.0, 1e6),
    delay_s=st.floats(0.0, 0.4),
)
def test_what_waits_on_the_line_is_over_soon_whatever_the_line(
    sizes: list[int], rate: float, delay_s: float
) -> None:
    line = Line()
    # A first large picture alone tells what the line takes, its delay included.
    line.pacer.drawn(MOST_BYTES)
    line.now_s = free_s = MOST_BYTES / rate + delay_s
    line.pacer.answered()
    assert line.pacer.bytes_per_s <= rate * 1.001
    arrivals: list[float] = []
    for size in sizes:
        line.now_s += 0.05
        while arrivals and (arrivals[0] <= line.now_s or line.held):
            line.now_s = max(line.now_s, arrivals.pop(0))
            line.pacer.answered()
        assert not line.held
        waiting_s = max(0.0, free_s - line.now_s)
        # Before this picture little more waits than the line takes in QUEUE_S, or the least.
        assert waiting_s <= max(2 * QUEUE_S, LEAST_BYTES / rate) + 1e-6
        line.pacer.drawn(size)
        free_s = max(free_s, line.now_s) + size / rate
        arrivals.append(free_s + delay_s)


def test_a_picture_that_was_missed_is_drawn_when_there_is_room() -> None:
    line = Line()
    line.pacer.drawn(MOST_BYTES)
    assert line.held and line.pacer.holding
    line.pacer.missed()
    line.now_s = 1.0
    line.pacer.answered()
    assert not line.held and line.redrawn == 1


def test_many_small_changes_on_a_quick_line_are_held_up_by_none() -> None:
    line = Line()
    for _ in range(200):
        line.pacer.drawn(800)
        line.now_s += 0.1
        line.pacer.answered()
    assert not line.held and line.asked == 200


def test_a_terminal_that_answers_nothing_is_drawn_on_all_the_same() -> None:
    line = Line()
    line.pacer.drawn(MOST_BYTES)
    assert line.held
    line.now_s = SILENT_S + 1
    line.pacer.tick()
    assert not line.held
    for _ in range(10):
        line.pacer.drawn(MOST_BYTES)
    assert not line.held and line.asked == 1


def test_an_answer_that_is_lost_holds_nothing_up_for_ever() -> None:
    line = Line()
    line.pacer.drawn(100)
    line.now_s = 0.1
    line.pacer.answered()
    line.pacer.drawn(1 << 20)
    assert line.held
    line.now_s = 31.0
    line.pacer.tick()
    assert not line.held


def test_only_a_terminal_far_away_is_asked() -> None:
    assert is_far({"SSH_CONNECTION": "192.0.2.1 5 192.0.2.2 22"})
    assert is_far({"SSH_TTY": "/dev/pts/1"})
    assert not is_far({"TERM": "xterm"})


_CHILD = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])
from dataclasses import replace
from fake_box import NOW_S, FakeBox, gpu, snapshot
from cockpit.settings import TerminalSettings
from cockpit.tui import run

class Restless(FakeBox):
    async def follow(self, topics=(), interval_s=1.0):
        step = 0
        async for update in super().follow(topics, interval_s):
            yield update
            while step or self._queue.empty():
                step += 1
                await asyncio.sleep(0.02)
                cards = [replace(gpu(n), power_w=100.0 + (step * 37 + n * 11) % 200) for n in range(10)]
                yield snapshot(gpus=cards, time_s=NOW_S + step, sequence=step + 1)

run([Restless.of()], TerminalSettings())
"""


class Far:
    """The app on a terminal whose answers are ours to give."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.master, slave = pty.openpty()
        self.child = subprocess.Popen(
            [sys.executable, "-c", _CHILD, str(Path(__file__).parent)],
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40",
                 "COLORTERM": "truecolor", **environment},
        )  # fmt: skip
        os.close(slave)
        self.questions = 0

    def read(self, seconds: float) -> bytes:
        """What is written in this time."""
        seen, deadline = b"", time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if select.select([self.master], [], [], left)[0]:
                seen += os.read(self.master, 65536)
        self.questions += seen.count(QUESTION.encode())
        return seen

    def until(self, text: bytes) -> None:
        seen, deadline = b"", time.monotonic() + 60
        while text not in seen:
            assert time.monotonic() < deadline, seen[-500:]
            seen += self.read(0.1)

    def answer(self) -> None:
        """The cursor's place, for every question so far."""
        os.write(self.master, b"\x1b[1;1R" * self.questions)
        self.questions = 0

    def close(self) -> None:
        self.child.kill()
        self.child.wait()
        os.close(self.master)


@pytest.fixture
def far() -> Iterator[Far]:
    terminal = Far({"SSH_CONNECTION": "192.0.2.1 5 192.0.2.2 22"})
    yield terminal
    terminal.close()


def test_while_the_terminal_does_not_answer_nothing_more_is_written(far: Far) -> None:
    far.until(b"SIMULATED")
    for _ in range(10):
        far.read(0.3)
        far.answer()
    # It is known by now what this line takes; without answers it is soon full.
    far.read(3.0)
    assert far.questions > 0
    assert QUESTION.encode() not in far.read(1.5)
    # Keys are taken meanwhile: what they did is in the next picture.
    os.write(far.master, b"?")
    assert QUESTION.encode() not in far.read(0.5)
    seen = b""
    for _ in range(8):
        far.answer()
        seen += far.read(0.3)
    assert b"Keys of this place" in seen


def test_a_terminal_that_is_near_is_not_asked() -> None:
    terminal = Far({"SSH_CONNECTION": "", "SSH_TTY": ""})
    try:
        terminal.until(b"SIMULATED")
        assert terminal.read(1.0).count(QUESTION.encode()) == 0 and terminal.questions == 0
    finally:
        terminal.close()
