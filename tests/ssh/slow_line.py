"""A line between two loopback ports that is slow: a delay, and stalls as TCP has them after a loss."""

from __future__ import annotations

import asyncio
import random
from collections import deque


class SlowLine:
    """Passes on everything, in order, late. `loss` is the share of segments that stall the line.

    It takes `bytes_per_s` and no more: what is too much waits at its sender, as with TCP.
    """

    def __init__(
        self, to: int, delay_s: float, loss: float, bytes_per_s: float = 1e9, seed: int = 1
    ) -> None:
        self._to, self._delay_s, self._loss = to, delay_s, loss
        self._bytes_per_s = bytes_per_s
        self._random = random.Random(seed)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> int:
        """Listen on 127.0.0.1; the port."""
        self._server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
        for ends in ((reader, far_writer), (far_reader, writer)):
            task = asyncio.create_task(self._pass_on(*ends))
            self._tasks.add(task)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        waiting: deque[tuple[float, bytes]] = deque()
        news = asyncio.Event()

        async def send() -> None:
            while True:
                while not waiting:
                    news.clear()
                    await news.wait()
                due, data = waiting.popleft()
                await asyncio.sleep(due - loop.time())
                if not data:
                    writer.close()
                    return
                writer.write(data)
                await writer.drain()

        sending = asyncio.create_task(send())
        due = 0.0
        try:
            while True:
                data = await reader.read(1448)
                # What is behind a lost segment waits for its second sending: a round trip and more.
                stall = 3 * self._delay_s if self._random.random() < self._loss else 0.0
                due = max(due, loop.time() + self._delay_s) + stall
                due += len(data) / self._bytes_per_s
                waiting.append((due, data))
                news.set()
                if not data:
                    break
                await asyncio.sleep(due - self._delay_s - loop.time())
            await sending
        except OSError:
            pass
        finally:
            sending.cancel()
            writer.close()
