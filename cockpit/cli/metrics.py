"""`cockpit metrics`: the figures for Prometheus, once on stdout or served over HTTP."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys

from cockpit.cli.command import Command
from cockpit.cli.connect import open_box, run_async
from cockpit.cli.exposition import exposition
from cockpit.cli.listening import parse_address, shown_address
from cockpit.cli.status import read
from cockpit.client import Box
from cockpit.errors import BoxError, CockpitError

DEFAULT_ADDRESS = "127.0.0.1:9400"
REQUEST_TIMEOUT_S = 5.0
MAX_REQUEST_BYTES = 8192
MAX_CLIENTS = 32
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Names, labels and units are dcgm-exporter's. Without --listen: printed once."
    parser.add_argument(
        "--listen",
        nargs="?",
        const=DEFAULT_ADDRESS,
        metavar="ADDRESS:PORT",
        help=f"serve http://ADDRESS:PORT/metrics (default: {DEFAULT_ADDRESS})",
    )
    parser.add_argument(
        "--allow-remote",
        action="store_true",
        help="let --listen take an address that other machines reach; anyone there can read it",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print or serve the figures."""
    box = open_box(arguments)
    if arguments.listen is None:
        return run_async(_once(box))
    host, port = parse_address(
        arguments.listen, arguments.allow_remote, DEFAULT_ADDRESS, "read along"
    )
    return run_async(_serve(box, host, port))


metrics = Command(add_arguments, run)


async def _once(box: Box) -> int:
    async with box:
        print(exposition(*await read(box)), end="")
    return 0


async def _serve(box: Box, host: str, port: int) -> int:
    exporter = Exporter(box)
    try:
        server = await asyncio.start_server(exporter.answer, host, port, limit=MAX_REQUEST_BYTES)
    except OSError as error:
        raise CockpitError(
            f"cannot listen on {host}:{port}: {error.strerror}", "Choose another port."
        ) from None
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    async with server:
        address = shown_address(server.sockets[0].getsockname())
        print(f"cockpit: http://{address}/metrics", file=sys.stderr, flush=True)
        await stop.wait()
    await exporter.close()
    return 0


class Exporter:
    """Answers scrapes. One reading serves all who ask while it is under way."""

    def __init__(self, box: Box) -> None:
        self._box = box
        self._clients: set[asyncio.Task[None]] = set()
        self._reading: asyncio.Task[str] | None = None

    async def close(self) -> None:
        """Drop everyone and leave the box."""
        for task in self._clients:
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        await self._box.close()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, one response, whatever the client sends or fails to send."""
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            await asyncio.wait_for(self._exchange(reader, writer), REQUEST_TIMEOUT_S * 2)
        except (asyncio.TimeoutError, OSError):
            writer.transport.abort()
        finally:
            self._clients.discard(task)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._clients) > MAX_CLIENTS:
            status, body = "503 Service Unavailable", "too many connections at once\n"
        else:
            status, body = await self._respond(reader)
        data = body.encode()
        head = (
            f"HTTP/1.1 {status}\r\nContent-Type: {CONTENT_TYPE}\r\n"
            f"Content-Length: {len(data)}\r\nConnection: close\r\n\r\n"
        )
        writer.write(head.encode() + data)
        await writer.drain()

    async def _respond(self, reader: asyncio.StreamReader) -> tuple[str, str]:
        try:
            request = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), REQUEST_TIMEOUT_S)
        except asyncio.LimitOverrunError:
            return "431 Request Header Fields Too Large", "the request is too long\n"
        except (asyncio.IncompleteReadError, asyncio.TimeoutError):
            return "408 Request Timeout", "no whole request came\n"
        words = request.split(b"\r\n", 1)[0].split(b" ")
        if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
            return "400 Bad Request", "this is no HTTP request\n"
        if words[0] != b"GET":
            return "405 Method Not Allowed", "only GET is answered\n"
        path = words[1].split(b"?", 1)[0]
        if path == b"/":
            return "200 OK", "cockpit: the figures are at /metrics\n"
        if path != b"/metrics":
            return "404 Not Found", "the figures are at /metrics\n"
        try:
            return "200 OK", await self._page()
        except BoxError as error:
            return "503 Service Unavailable", f"{error}\n"

    async def _page(self) -> str:
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
        return await asyncio.shield(self._reading)

    async def _read(self) -> str:
        return exposition(*await read(self._box))
