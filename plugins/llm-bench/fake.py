"""A server that does nothing but send: what it is asked by, it shows the limit of.

`--target self` measures this client against it. One process of its own, no model: the answer's
bytes are made once, and sent as fast as the client takes them.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

MODEL = "fast-fake"
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_MODELS = json.dumps({"object": "list", "data": [{"id": MODEL, "object": "model"}]}).encode()
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


@contextmanager
def served() -> Iterator[str]:
    """The base URL of one, in a process of its own, which ends with the block."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_run, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    try:
        yield f"http://127.0.0.1:{ours.recv()}/v1"
    finally:
        process.terminate()
        process.join()


def _run(pipe: Any) -> None:
    asyncio.run(_serve(pipe))


async def _serve(pipe: Any) -> None:
    server = await asyncio.start_server(_answer, "127.0.0.1", 0)
    pipe.send(server.sockets[0].getsockname()[1])
    async with server:
        await server.serve_forever()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"GET"):
                status = b"200 OK" if b"/models " in head else b"404 Not Found"
                body = _MODELS if b"/models " in head else b""
                length = str(len(body)).encode()
                writer.write(
                    b"HTTP/1.1 " + status + b"\r\nContent-Length: " + length + b"\r\n\r\n" + body
                )
                continue
            found = _LENGTH.search(head)
            asked = json.loads(await reader.readexactly(int(found[1]) if found else 0))
            await _stream(writer, asked)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def _stream(writer: asyncio.StreamWriter, asked: dict[str, Any]) -> None:
    tokens = int(asked.get("max_tokens") or 1)
    words = len(str(asked.get("prompt") or asked.get("messages") or "").split())
    piece = _chunk({"choices": [{"index": 0, "delta": {"content": " word"}, "text": " word"}]})
    writer.write(_HEAD)
    for _ in range(tokens):
        # One write each, as a server sends them that has computed something in between.
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0)
    usage = {"prompt_tokens": words, "completion_tokens": tokens}
    writer.write(
        _chunk({"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]})
        + _chunk({"choices": [], "usage": usage})
        + _framed(b"data: [DONE]\n\n")
        + b"0\r\n\r\n"
    )
    await writer.drain()


def _chunk(event: dict[str, Any]) -> bytes:
    return _framed(b"data: " + json.dumps(event).encode() + b"\n\n")


def _framed(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"
