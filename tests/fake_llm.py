"""A small OpenAI-compatible server with known delays and troubles, in threads of this process."""

from __future__ import annotations

import itertools
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "sesame"


@dataclass
class FakeLlm:
    """How it behaves, to be changed at any time, and what it was asked."""

    first_s: float = 0.0
    gap_s: float = 0.0
    strict: bool = False
    """Refuses fields that OpenAI's API does not have."""
    counts: bool = True
    trouble: str = ""
    """A status such as `429`, `slow`, `cut`, `silent` or `error`: of every second answer."""
    dies_after: int | None = None
    """After so many answers it takes no more connections."""
    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=itertools.count)


@contextmanager
def serving(**behaviour: Any) -> Iterator[FakeLlm]:
    """One on a free port of 127.0.0.1, which ends with the block."""
    fake = FakeLlm(**behaviour)

    class Handler(_Handler):
        told = fake

    server = _Server(("127.0.0.1", 0), Handler)
    fake.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that one of both ends has closed is what these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    told: FakeLlm
    protocol_version = "HTTP/1.1"

    def log_message(self, *words: Any) -> None:
        pass

    def do_GET(self) -> None:
        if self.path != "/v1/models":
            self._whole(404, {})
        elif self.headers["Authorization"] != f"Bearer {KEY}":
            self._whole(401, {"error": {"message": "wrong key"}})
        else:
            self._whole(200, {"data": [{"id": "tiny"}, {"id": "other"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        fake = self.told
        if fake.strict and {"ignore_eos", "generation_config"} & set(body):
            self._whole(422, {"detail": "Unexpected fields"})
            return
        number = next(fake.numbers)
        fake.asked.append(body)
        if fake.dies_after is not None and number >= fake.dies_after:
            self._hang_up()
            return
        # The first three questions only find out how the server is asked.
        trouble = fake.trouble if number > 3 and number % 2 else ""
        if trouble.isdigit():
            self._whole(int(trouble), {"error": {"message": "in trouble"}})
            return
        self._stream(body, trouble)

    def _stream(self, body: dict[str, Any], trouble: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        fake, tokens = self.told, body["max_tokens"]
        try:
            time.sleep(fake.first_s + (30.0 if trouble == "slow" else 0.0))
            for number in range(tokens):
                if number:
                    time.sleep(fake.gap_s)
                if trouble == "cut" and number == tokens // 2:
                    self._hang_up()
                    return
                text = "" if trouble == "silent" else " word"
                self._send({"choices": [{"delta": {"content": text}, "text": text}]})
            if trouble == "error":
                self._send({"error": {"message": "out of memory"}})
            self._send({"choices": [{"delta": {}, "finish_reason": "length"}]})
            if fake.counts:
                usage = {"prompt_tokens": 2 * _words(body) + 10, "completion_tokens": tokens}
                self._send({"choices": [], "usage": usage})
            self._chunk(b"data: [DONE]\n\n")
            self._chunk(b"")
        except OSError:
            self.close_connection = True

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _send(self, event: dict[str, Any]) -> None:
        self._chunk(b"data: " + json.dumps(event).encode() + b"\n\n")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def _whole(self, status: int, told: dict[str, Any]) -> None:
        data = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _words(body: dict[str, Any]) -> int:
    return len(
        str(body["messages"][0]["content"] if "messages" in body else body["prompt"]).split()
    )
