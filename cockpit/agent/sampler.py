"""The one thread that reads the box: on a fixed schedule that neither drifts nor catches up."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

log = logging.getLogger(__name__)


def next_due(due: float, now: float, interval: float) -> float:
    """The first time of the schedule `due + n·interval` (n ≥ 1) after `now`: missed ones are skipped."""
    return due + interval * (1 + max(0, math.floor((now - due) / interval)))


class Sampler:
    """Calls `tick` every `interval_s` from its own thread, after `prepare` has run there once."""

    def __init__(
        self,
        prepare: Callable[[], None],
        tick: Callable[[], None],
        interval_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._prepare, self._tick = prepare, tick
        self._interval_s = interval_s
        self._clock = clock
        self._stopping = False
        self._wake = threading.Event()
        self._requests: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)

    def start(self) -> None:
        """Begin; the first tick comes at once."""
        self._thread.start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """End the thread. One that is stuck in the driver is left behind after `timeout_s`."""
        self._stopping = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def run(self, work: Callable[[], Any]) -> Future[Any]:
        """Have `work` done in the sampler's thread, between two ticks."""
        future: Future[Any] = Future()
        self._requests.append((work, future))
        self._wake.set()
        return future

    def _run(self) -> None:
        self._guarded(self._prepare)
        due = self._clock()
        while not self._stopping:
            self._guarded(self._tick)
            due = next_due(due, self._clock(), self._interval_s)
            self._sleep_until(due)

    def _sleep_until(self, due: float) -> None:
        while not self._stopping:
            self._serve_requests()
            left = due - self._clock()
            if left <= 0 or not self._wake.wait(left):
                return
            self._wake.clear()

    def _serve_requests(self) -> None:
        while self._requests:
            work, future = self._requests.popleft()
            try:
                future.set_result(work())
            except Exception as error:
                future.set_exception(error)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception:
            # A fault in one pass must not end the watch over the box.
            log.exception("a pass over the box failed")
