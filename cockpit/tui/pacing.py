"""Pacing: over a slow line the screen is drawn as often as it arrives, and no oftener.

What has been written to a terminal that is far away lies in buffers that nobody can take anything
out of again: those of the pseudo-terminal, of SSH and of TCP. A program that draws regardless fills
them, and then every key is answered by seconds of old pictures first. So each picture is followed
by a question that every terminal answers, where its cursor is (DSR 6). The answers tell what the
line takes; while more is under way than it takes in QUEUE_S, nothing is drawn. What changes
meanwhile is drawn once, as it is by then.

The estimate is that of BBR (Cardwell et al., ACM Queue 14(5), 2016): what arrived from the last
answer before the sending of a picture to its own, over that time. While little is sent such a
figure says little, and counts only if it is higher than what is known.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType
from textual import events
from textual._compositor import ChopsUpdate
from textual.app import App
from textual.geometry import Region
from textual.screen import Screen

QUESTION = "\x1b[6n"
QUEUE_S = 0.2
"""What may wait on the line before something newer."""
LEAST_BYTES = 2048
"""So much may be under way on any line: a few figures that changed."""
MOST_BYTES = 1 << 16
"""On any line, however quick it was: it may be another one by now. Also as long as nothing is known."""
PATIENCE_S = 30.0
"""After so long without an answer a picture is given up: it may have been eaten on the way."""
SILENT_S = 5.0
"""A terminal that has not answered the first one after so long does not answer at all."""


def is_far(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the terminal is at the other end of an SSH connection."""
    return bool(environment.get("SSH_CONNECTION") or environment.get("SSH_TTY"))


@dataclass(frozen=True)
class _Picture:
    sent_s: float
    size: int
    since_s: float
    arrived_before: int
    """Bytes that had arrived at `since_s`: when the line was last heard of, or was empty."""


class Pacer:
    """Counts what was sent and what has arrived; holds drawing up in between."""

    def __init__(
        self,
        ask: Callable[[str], None],
        hold: Callable[[], AbstractContextManager[None]],
        redraw: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`ask` writes to the terminal, within `hold` nothing is drawn, `redraw` draws all of it."""
        self._ask, self._hold, self._redraw, self._clock = ask, hold, redraw, clock
        self._under_way: deque[_Picture] = deque()
        self._waiting_bytes = self._arrived_bytes = 0
        self._rate = 0.0
        self._heard_s = 0.0
        self._was_held = False
        self._held: ExitStack | None = None
        self._missed = False
        self._answered = False
        self._deaf = False

    @property
    def holding(self) -> bool:
        """Whether nothing is to be drawn now."""
        return self._held is not None

    @property
    def bytes_per_s(self) -> float:
        """What the line takes, as far as is known; 0 before the first answer."""
        return self._rate

    @property
    def room_bytes(self) -> float:
        """How much may be under way."""
        if not self._rate:
            return MOST_BYTES
        return min(MOST_BYTES, max(LEAST_BYTES, self._rate * QUEUE_S))

    def drawn(self, size: int) -> None:
        """A picture of so many bytes was written."""
        if self._deaf:
            return
        now_s = self._clock()
        if not self._under_way:
            self._heard_s = now_s
        self._under_way.append(_Picture(now_s, size, self._heard_s, self._arrived_bytes))
        self._waiting_bytes += size
        self._ask(QUESTION)
        if self._waiting_bytes >= self.room_bytes and self._held is None:
            self._was_held = True
            self._held = ExitStack()
            self._held.enter_context(self._hold())

    def missed(self) -> None:
        """A picture was made while nothing is drawn: what it showed is drawn again later."""
        self._missed = True

    def answered(self) -> None:
        """The terminal has drawn a picture, and everything before it."""
        self._answered = True
        if not self._under_way:
            return
        picture, self._heard_s = self._drop(), self._clock()
        took_s = max(1e-3, self._heard_s - picture.since_s)
        arrived = self._arrived_bytes - picture.arrived_before
        rate = arrived / took_s
        # Answers come in bunches: from a few bytes the rate would look like anything.
        if rate > self._rate and (arrived >= LEAST_BYTES or not self._rate):
            self._rate = rate
        elif self._was_held:
            self._rate += (rate - self._rate) * 0.3
        if not self._under_way:
            self._was_held = False
        self._go_on()

    def tick(self) -> None:
        """From time to time: no longer wait for what will not come."""
        now_s = self._clock()
        if not self._answered and self._under_way and now_s - self._under_way[0].sent_s > SILENT_S:
            self._deaf = True
            while self._under_way:
                self._drop()
        while self._under_way and now_s - self._under_way[0].sent_s > PATIENCE_S:
            self._drop()
        self._go_on()

    def _drop(self) -> _Picture:
        picture = self._under_way.popleft()
        self._waiting_bytes -= picture.size
        self._arrived_bytes += picture.size
        return picture

    def _go_on(self) -> None:
        if self._held is not None and self._waiting_bytes < self.room_bytes:
            held, self._held = self._held, None
            held.close()
            if self._missed:
                self._missed = False
                self._redraw()


class Paced(App[None]):
    """An app that draws at the pace of its line, if that leads far away."""

    _pacer: Pacer | None = None
    _written = 0

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._missed: set[Region] = set()
        self._missed_all = False
        super().__init__(*arguments, **options)

    def start_pacing(self) -> None:
        """Begin, once there is a terminal."""
        driver = self._driver
        if driver is None or self.is_headless or self.is_web or not is_far():
            return
        write = driver.write

        def count(data: str) -> None:
            self._written += len(data)
            write(data)

        # Of the driver alone, which is this app's own.
        driver.write = count  # type: ignore[method-assign]
        self._pacer = Pacer(write, self.batch_update, self._draw_missed)

    def tick_pacing(self) -> None:
        """From time to time."""
        if self._pacer is not None:
            self._pacer.tick()

    def on_cursor_position(self, event: events.CursorPosition) -> None:
        """The terminal has answered."""
        if self._pacer is not None:
            self._pacer.answered()

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        # Textual has no public place where a picture is written.
        pacer, paused = self._pacer, self._batch_count > 0
        if pacer is not None and pacer.holding and renderable is not None:
            pacer.missed()
            self._keep_missed(screen, renderable)
        before = self._written
        super()._display(screen, renderable)
        if pacer is not None and not paused and self._written > before:
            pacer.drawn(self._written - before)

    def _keep_missed(self, screen: Screen[Any], renderable: RenderableType) -> None:
        """Remember what a picture would have drawn: all of it would fill the line again."""
        if isinstance(renderable, ChopsUpdate) and screen is self.screen:
            self._missed |= {Region(x, y, end - x, 1) for y, x, end in renderable.spans}
        else:
            self._missed_all = True

    def _draw_missed(self) -> None:
        regions, self._missed = self._missed, set()
        everything, self._missed_all = self._missed_all, False
        if everything or not regions:
            self.screen.refresh()
        else:
            self.screen.refresh(*regions)
