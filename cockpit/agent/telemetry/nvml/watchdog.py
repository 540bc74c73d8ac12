"""Driver calls under watch: one that does not return costs the GPU it was for, and nobody else."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from typing import Protocol

log = logging.getLogger(__name__)

_SECOND_PATIENCE_S = 0.5
"""Once a call has got stuck, a caller who has waited for it waits only so long for the next."""


class Turn(Protocol):
    """Something that calls the driver."""

    steps: int
    """Grows with every call that has returned."""
    busy: bool
    """Has been handed over, and has not ended."""
    stuck_since_s: float | None
    """Since when its call in progress does not return (monotonic), once that is too long."""

    def take(self) -> None:
        """Make the calls. Must not raise."""


class _Worker:
    """A thread that takes turns; when one gets stuck it is left behind with it."""

    def __init__(self, turns: deque[Turn]) -> None:
        self.current: Turn | None = None
        self.left_behind = False
        self.wake: SimpleQueue[bool] = SimpleQueue()
        self.done: SimpleQueue[None] = SimpleQueue()
        self._turns = turns
        threading.Thread(target=self._run, name="nvml-reader", daemon=True).start()

    def _run(self) -> None:
        while not self.left_behind and self.wake.get():
            while not self.left_behind and (turn := self._next()) is not None:
                self.current = turn
                try:
                    turn.take()
                except Exception:
                    log.exception("a turn at the driver failed")
                turn.stuck_since_s = None
                turn.busy = False
                self.current = None
            self.done.put(None)

    def _next(self) -> Turn | None:
        try:
            return self._turns.popleft()
        except IndexError:
            return None


class Watchdog:
    """Has turns taken one after another by a thread, and replaces it when one gets stuck."""

    def __init__(self, stuck_after_s: float) -> None:
        self._stuck_after_s = stuck_after_s
        self._turns: deque[Turn] = deque()
        self._worker: _Worker | None = None
        self._seen: tuple[Turn | None, int] = (None, -1)
        self._seen_s = 0.0
        self._waiting = False

    def run(self, turns: Sequence[Turn]) -> None:
        """Have every turn taken that is not busy already.

        Returns when all have ended or are stuck. After a call has got stuck it returns earlier if
        the driver makes no other progress either: the turns that are left go on meanwhile, and the
        next `run` waits for them instead of beginning anew.
        """
        if not self._waiting:
            ready = [turn for turn in turns if not turn.busy]
            if not ready:
                return
            for turn in ready:
                turn.busy = True
            self._turns.extend(ready)
            self._begin()
        self._wait()

    def close(self) -> None:
        """End the thread, unless it is stuck."""
        self._turns.clear()
        if self._worker is not None:
            self._worker.left_behind = True
            self._worker.wake.put(False)
            self._worker = None
        self._waiting = False

    def _begin(self) -> None:
        if self._worker is None:
            self._worker = _Worker(self._turns)
        self._waiting = True
        self._seen, self._seen_s = (None, -1), time.monotonic()
        self._worker.wake.put(True)

    def _wait(self) -> None:
        stuck_before = False
        while self._waiting and self._worker is not None:
            try:
                self._worker.done.get(timeout=self._stuck_after_s / 8)
            except Empty:
                quiet_s = self._quiet_s(self._worker)
                if quiet_s >= self._stuck_after_s:
                    self._leave_behind(self._worker)
                    stuck_before = True
                elif stuck_before and quiet_s >= min(_SECOND_PATIENCE_S, self._stuck_after_s / 2):
                    return
            else:
                self._waiting = False

    def _quiet_s(self, worker: _Worker) -> float:
        """For how long no call has returned."""
        turn = worker.current
        seen = (turn, turn.steps if turn is not None else -1)
        now = time.monotonic()
        if seen != self._seen:
            self._seen, self._seen_s = seen, now
        return now - self._seen_s

    def _leave_behind(self, worker: _Worker) -> None:
        turn = worker.current
        if turn is None:
            return
        turn.stuck_since_s = self._seen_s
        worker.left_behind = True
        worker.wake.put(False)
        self._worker = None
        self._waiting = False
        if self._turns:
            self._begin()
