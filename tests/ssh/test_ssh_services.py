"""A service on another box is at a port of this machine, by itself, and again after a lost line."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import urllib.request
from pathlib import Path

from ssh_net import Net

from cockpit.model import JobRequest, ServiceWish

SERVER = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"from afar")
    def log_message(self, *a): pass
port = int(os.environ["COCKPIT_SERVICE_PORT"])
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:
        data: bytes = answer.read()
        return data


async def test_a_service_is_forwarded_and_again_after_the_line_broke(net: Net) -> None:
    server = net.server()
    box = net.box()
    wish = ServiceWish("http", "/")
    command = (sys.executable, "-c", SERVER)
    job = await box.submit(JobRequest("there", command, gpus=0, service=wish))
    while True:
        job = await box.job(job.id)
        assert job.service is not None
        if job.service.state == "ready":
            break
        await asyncio.sleep(0.1)
    access = await box.service(job.id)
    again = await box.service(job.id)
    assert access.base_url == again.base_url
    assert access.base_url != f"http://127.0.0.1:{job.service.port}"
    assert await asyncio.to_thread(fetch, access.base_url) == b"from afar"
    assert server.process is not None
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text()
    for pid in children.split():
        os.kill(int(pid), signal.SIGKILL)
    while box._link is not None and not box._link.closed:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    found = await box.service(job.id)
    assert await asyncio.to_thread(fetch, found.base_url) == b"from afar"
    await box.stop_job(job.id, 0)
