"""Looking after a job that runs, until nothing of it is left."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable

from cockpit.agent.jobs import retries
from cockpit.agent.jobs.executor import Executor
from cockpit.agent.jobs.record import Record

log = logging.getLogger(__name__)

LOOK_FIRST_S, LOOK_MOST_S = 0.25, 1.0
"""How often a running job's files are looked at: more often while it reports; never more than four
times a second, which is also the most often that a job is published."""


class Follower:
    """One task for each job that runs. `looked` is called after every look at one that goes on,
    `ended` when it is over, `again` when it failed and is to have another attempt."""

    def __init__(
        self,
        executor: Executor,
        looked: Callable[[Record], None],
        ended: Callable[[Record], None],
        again: Callable[[Record], None],
    ) -> None:
        self._executor = executor
        self._looked, self._ended, self._again = looked, ended, again
        self._tasks: set[asyncio.Task[None]] = set()

    def follow(self, record: Record) -> None:
        """Begin to look after a job."""
        task = asyncio.create_task(self._follow(record))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Look after none any more; the jobs go on."""
        # Before Python 3.12 wait_for loses a cancellation that comes together with what it waits for.
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(tuple(self._tasks), timeout=0.5)

    async def _follow(self, record: Record) -> None:
        loop, running = asyncio.get_running_loop(), record.running
        delay_s = LOOK_FIRST_S
        if running is not None:
            loop.add_reader(running.news, _drain, running.news, record.wake)
        try:
            while not await self._over(record):
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(record.wake.wait(), delay_s)
                # Only a job that was started here has a pipe that tells of its end.
                quick = record.reported or running is None
                delay_s = LOOK_FIRST_S if quick else min(1.5 * delay_s, LOOK_MOST_S)
                record.wake.clear()
            if retries.due(record) and await retries.put_aside(record):
                self._again(record)
            else:
                self._ended(record)
        finally:
            if running is not None:
                loop.remove_reader(running.news)
                os.close(running.news)
        if running is not None:
            await asyncio.to_thread(running.process.wait)

    async def _over(self, record: Record) -> bool:
        try:
            return await self._look(record)
        except OSError:
            # Too many open files, or a disk that does not answer: neither ends a job.
            return False
        except Exception:
            # Files that make no sense: a job that is not looked after would keep its GPUs for ever.
            log.exception("job %s could not be looked at", record.spec.id)
            return False

    async def _look(self, record: Record) -> bool:
        """Take in what is new; True when the job has ended."""
        alive = self._executor.alive(record.directory)
        record.refresh()
        record.reported = record.events().read()
        if not alive and not record.ended:
            with contextlib.suppress(OSError):
                await asyncio.to_thread(self._executor.bury, record.directory)
            record.refresh()
            if not record.directory.path.exists():
                record.lose_directory()
        if not record.ended:
            self._looked(record)
        return record.ended


def _drain(descriptor: int, wake: asyncio.Event) -> None:
    """The shim wrote its status, or is gone."""
    wake.set()
    try:
        if not os.read(descriptor, 4096):
            asyncio.get_running_loop().remove_reader(descriptor)
    except BlockingIOError:
        pass
