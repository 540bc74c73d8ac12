"""Load on an endpoint: a closed loop (so many at once) or an open one (so many a second)."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from client import Client
from figures import Loop, Trace, Window
from watch import Observed, Watch

TICK_S = 0.1
PAUSE_AFTER_FAILURE_S = 0.2
"""A worker whose request failed waits so long: a server that refuses is not to be hammered."""
MOST_WINDOWS = 4
"""A window in which too few requests have ended goes on, up to so many times its length."""
MOST_OPEN = 20_000
"""Requests under way at once in an open loop; more are not sent, which is said."""


@dataclass(frozen=True)
class Plan:
    """How long a level goes on."""

    warmup_s: float
    window_s: float


@dataclass(frozen=True)
class Measured:
    """What came of one level."""

    loop: Loop
    level: float
    traces: tuple[Trace, ...]
    window: Window
    observed: Observed
    dead: bool = False
    """Nothing at all was answered in the warm-up: there was nothing to measure."""
    held_back: int = 0
    """Requests of an open loop that were not sent, as too many were under way."""


class StopAsked(Exception):  # noqa: N818 (a wish, no error)
    """The person asked the job to end."""


class Load:
    """Makes levels. `stopping` says whether to end, `tick` hears how it goes: requests under way
    and pieces of text so far."""

    def __init__(
        self,
        client: Client,
        plan: Plan,
        watch: Watch,
        stopping: Callable[[], bool],
        tick: Callable[[int, int], None],
    ) -> None:
        self._client, self._plan, self._watch = client, plan, watch
        self._stopping, self._tick = stopping, tick

    async def closed(self, prompts: Iterator[str], concurrency: int) -> Measured:
        """`concurrency` requests at all times: each answer is followed by the next request."""
        traces: list[Trace] = []
        workers = [asyncio.create_task(self._work(prompts, traces)) for _ in range(concurrency)]
        begin_s = time.monotonic()
        try:
            warm_s = begin_s + self._plan.warmup_s
            await self._until(traces, lambda: _ended(traces) >= concurrency and _past(warm_s))
            if not _answered(traces):
                observed = self._watch.nothing()
                window = Window(begin_s, time.monotonic())
                return Measured("closed", concurrency, tuple(traces), window, observed, dead=True)
            await self._watch.begin()
            begin_s = time.monotonic()
            least_s, most_s = self._plan.window_s, MOST_WINDOWS * self._plan.window_s
            await self._until(
                traces,
                lambda: (
                    _past(begin_s + least_s)
                    and (_ended(traces, begin_s) >= concurrency or _past(begin_s + most_s))
                ),
            )
            end_s = time.monotonic()
            observed = await self._watch.end()
        finally:
            await _cancel(workers)
        return Measured("closed", concurrency, tuple(traces), Window(begin_s, end_s), observed)

    async def open(self, prompts: Iterator[str], rate_per_s: float, seed: int) -> Measured:
        """Requests at random times (a Poisson process), whether the earlier are answered or not.

        Those due in the window count; the load goes on until they have ended, so that the last of
        them do not have the server for themselves.
        """
        traces: list[Trace] = []
        held_back = [0]
        start_s = time.monotonic()
        begin_s = start_s + self._plan.warmup_s
        end_s = begin_s + self._plan.window_s
        sender = asyncio.create_task(self._send(prompts, traces, rate_per_s, seed, held_back))
        try:
            await self._until(traces, lambda: _past(begin_s))
            await self._watch.begin()
            await self._until(traces, lambda: _past(end_s))
            observed = await self._watch.end()
            due = Window(begin_s, end_s)
            last_s = end_s + self._client.timeout_s
            await self._until(
                traces,
                lambda: (
                    _past(last_s)
                    or all(each.ended_s is not None for each in traces if each.due_s in due)
                ),
            )
        finally:
            await _cancel([sender])
        window = Window(begin_s, end_s)
        return Measured("open", rate_per_s, tuple(traces), window, observed, held_back=held_back[0])

    async def _work(self, prompts: Iterator[str], traces: list[Trace]) -> None:
        while True:
            trace = Trace(time.monotonic())
            traces.append(trace)
            await self._client.ask(next(prompts), trace)
            if trace.outcome == "failed":
                await asyncio.sleep(PAUSE_AFTER_FAILURE_S)

    async def _send(
        self,
        prompts: Iterator[str],
        traces: list[Trace],
        rate_per_s: float,
        seed: int,
        held_back: list[int],
    ) -> None:
        chooser = random.Random(f"{seed}-{rate_per_s}")
        due_s = time.monotonic()
        under_way: set[asyncio.Task[Trace]] = set()
        try:
            while True:
                due_s += chooser.expovariate(rate_per_s)
                await asyncio.sleep(max(0.0, due_s - time.monotonic()))
                if len(under_way) >= MOST_OPEN:
                    held_back[0] += 1
                    continue
                trace = Trace(due_s)
                traces.append(trace)
                task = asyncio.create_task(self._client.ask(next(prompts), trace))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
        finally:
            await _cancel(list(under_way))

    async def _until(self, traces: list[Trace], reached: Callable[[], bool]) -> None:
        told_s = 0.0
        while not reached():
            if self._stopping():
                raise StopAsked
            if _past(told_s + 0.5):
                told_s = time.monotonic()
                open_now = sum(1 for each in traces if each.ended_s is None)
                self._tick(open_now, sum(len(each.arrivals_s) for each in traces))
            await asyncio.sleep(TICK_S)


def _past(time_s: float) -> bool:
    return time.monotonic() >= time_s


def _ended(traces: list[Trace], since_s: float = 0.0) -> int:
    return sum(1 for each in traces if each.ended_s is not None and each.ended_s >= since_s)


def _answered(traces: list[Trace]) -> bool:
    return any(each.outcome == "answered" for each in traces)


async def _cancel(tasks: list[asyncio.Task[None]] | list[asyncio.Task[Trace]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
