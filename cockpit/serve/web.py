"""`cockpit serve web`: the terminal app in a browser, by textual-serve, for whoever has the link.

textual-serve alone lets in whatever reaches its port, and that is every page that the browser shows:
a page of somebody else may open a WebSocket to 127.0.0.1. So the link holds a secret, which becomes
a cookie; a request without it, under another name than this machine's or from another page is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import ipaddress
import os
import secrets
import signal
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

import aiohttp_jinja2
from aiohttp import web
from textual_serve.app_service import AppService
from textual_serve.download_manager import DownloadManager
from textual_serve.server import Server, to_int

from cockpit.roles import Person
from cockpit.serve.audit import Audit
from cockpit.serve.child import cockpit_command
from cockpit.serve.gate import Gate, Opener

COOKIE = "cockpit"
END_S = 4.0
"""How long a program may take to end after its page is gone."""
MESSAGE_MOST = 1 << 20
"""Of what a page sends at once: a paste."""
LARGEST = (1000, 500)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Page:
    """What is served, and to whom."""

    transport: Opener
    box_name: str
    person: Person
    audit: Audit
    address: str
    sessions_most: int
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(24))


class WebSession(AppService):
    """The program behind one page."""

    def __init__(
        self,
        page: Page,
        person: Person,
        websocket: web.WebSocketResponse,
        downloads: DownloadManager,
    ) -> None:
        super().__init__(
            "cockpit",
            write_bytes=websocket.send_bytes,
            write_str=websocket.send_str,
            close=self._close_page,
            download_manager=downloads,
        )
        self._websocket = websocket
        self._page, self._person = page, person
        self._gate = Gate(page.transport, person, page.audit)

    async def _close_page(self) -> None:
        await self._websocket.close()

    async def _open_app_process(self, width: int = 80, height: int = 24) -> Process:
        path = await self._gate.start()
        environment = {
            **self._build_environment(width, height),
            "COCKPIT_GATE": str(path),
            "COCKPIT_GATE_BOX": self._page.box_name,
            "COCKPIT_ROLE": self._person.role,
            "COCKPIT_PERSON": self._person.name,
        }
        self._process = await asyncio.create_subprocess_exec(
            *cockpit_command([]),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
            cwd="/",
            start_new_session=True,
        )
        self._stdin = self._process.stdin
        return self._process

    async def stop(self) -> None:
        """End the program, gently and then not; nothing of it is left."""
        process = self._process
        try:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(super().stop(), END_S)
        finally:
            if process is not None and process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
            await self._gate.close()


class WebServer(Server):
    """textual-serve's pages and scripts, for those who have the secret."""

    def __init__(self, page: Page, host: str, port: int) -> None:
        super().__init__("cockpit", host=host, port=port, title="cockpit")
        self._page = page
        self._sessions: set[WebSession] = set()

    async def application(self) -> web.Application:
        """The web application, every request of which is judged."""
        app = await self._make_app()
        app.middlewares.append(self._judge)
        return app

    async def on_startup(self, app: web.Application) -> None:
        """Say nothing: the command has said it."""

    async def on_shutdown(self, app: web.Application) -> None:
        """End every program."""
        await asyncio.gather(*(each.stop() for each in list(self._sessions)))

    @web.middleware
    async def _judge(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not _ours(request.host, self._page.address):
            raise web.HTTPForbidden(text="This page has another name.")
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != request.host:
            raise web.HTTPForbidden(text="Another page asks for this.")
        if request.path == "/" and "key" in request.query:
            if not self._is_secret(request.query["key"]):
                raise web.HTTPForbidden(text="This link is not valid any more: see the terminal.")
            # Out of the address: it would stay in the history and on the screen.
            response: web.StreamResponse = web.HTTPFound("/")
            response.set_cookie(COOKIE, self._page.secret, httponly=True, samesite="Strict")
            return _guarded(response)
        if not self._is_secret(request.cookies.get(COOKIE, "")):
            raise web.HTTPForbidden(text="Open the link that `cockpit serve web` has printed.")
        return _guarded(await handler(request))

    def _is_secret(self, offered: str) -> bool:
        return hmac.compare_digest(offered.encode(), self._page.secret.encode())

    @aiohttp_jinja2.template("app_index.html")
    async def handle_index(self, request: web.Request) -> dict[str, object]:
        """The page, by the name that it was asked for: a tunnel may have another port."""
        return {
            "font_size": to_int(request.query.get("fontsize", "16"), 16),
            "app_websocket_url": f"ws://{request.host}/ws",
            "config": {"static": {"url": f"http://{request.host}/static/"}},
            "application": {"name": f"cockpit · {self._page.box_name}"},
        }

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """Run the terminal app for as long as the page is there."""
        page = self._page
        person = replace(page.person, address=request.remote or "")
        if len(self._sessions) >= page.sessions_most:
            page.audit.write("refused", person, reason="too many pages")
            raise web.HTTPServiceUnavailable(text="There are too many pages open already.")
        websocket = web.WebSocketResponse(heartbeat=15, max_msg_size=MESSAGE_MOST)
        await websocket.prepare(request)
        session = WebSession(page, person, websocket, self.download_manager)
        self._sessions.add(session)
        page.audit.write("session", person, command="the page")
        try:
            size = (to_int(request.query.get(name, ""), 80) for name in ("width", "height"))
            width, height = (max(1, min(*pair)) for pair in zip(size, LARGEST, strict=True))
            await session.start(width, height)
            # What is no message of the page's own script ends the page, and nothing else.
            with contextlib.suppress(ValueError, LookupError, TypeError, AssertionError):
                await self._process_messages(websocket, session)
        finally:
            await session.stop()
            self._sessions.discard(session)
            page.audit.write("left", person)
        return websocket


def _ours(host: str, address: str) -> bool:
    """Whether a request names this machine: another name that leads here is a trick.

    DNS rebinding: a page's own name is made to lead to 127.0.0.1, so that its script may talk to it.
    """
    name = urlsplit(f"//{host}").hostname or ""
    if name in ("localhost", address):
        return True
    with contextlib.suppress(ValueError):
        found = ipaddress.ip_address(name)
        return found.is_loopback or not ipaddress.ip_address(address).is_loopback
    return False


def _guarded(response: web.StreamResponse) -> web.StreamResponse:
    """Nothing is loaded from elsewhere, and no other page shows this one in itself."""
    if not response.prepared:
        response.headers["Content-Security-Policy"] = (
            "default-src 'self'; style-src 'self' 'unsafe-inline'; script-src 'self'"
            " 'unsafe-inline' 'unsafe-eval'; img-src 'self' data:; font-src 'self' data:;"
            " connect-src 'self'; frame-ancestors 'none'"
        )
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cache-Control"] = "no-store"
    return response
