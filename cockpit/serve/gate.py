"""The gate: the only way from a session to the agent, a Unix socket that knows the person's role.

It passes on the agent's protocol line by line. A method that the role may not call is answered here
and never reaches the agent; one that acts is written to the audit log, with how it went.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import socket
from pathlib import Path
from typing import Any, Protocol

from cockpit import paths, protocol
from cockpit.errors import BoxError
from cockpit.link import LineReader, LineWriter
from cockpit.protocol import MAX_LINE_BYTES, NOT_PERMITTED, Request, RpcError
from cockpit.roles import Person, may, role_for_method
from cockpit.serve.audit import Audit

CONNECTIONS_MOST = 16
"""Of one session: a program of cockpit needs one."""


class Opener(Protocol):
    """The way to the agent of the box that is served."""

    async def open(self) -> tuple[LineReader, LineWriter]:
        """A stream to the agent. Raises BoxError."""


class Gate:
    """Listens at `path` until it is closed."""

    def __init__(self, transport: Opener, person: Person, audit: Audit) -> None:
        self.path = paths.runtime_dir() / f"gate-{secrets.token_hex(6)}.sock"
        self._transport, self._person, self._audit = transport, person, audit
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def start(self) -> Path:
        """Bind in the private runtime directory. Raises OSError."""
        paths.make_private(self.path.parent)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            listener.bind(str(self.path))
        finally:
            os.umask(before)
        self._server = await asyncio.start_unix_server(
            self._accept, sock=listener, limit=MAX_LINE_BYTES + 1
        )
        return self.path

    async def close(self) -> None:
        """Cut every connection."""
        if self._server is not None:
            self._server.close()
        self.path.unlink(missing_ok=True)
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            if len(self._open) > CONNECTIONS_MOST:
                refusal = RpcError(protocol.REFUSED, "this session has too many connections open")
                writer.write(protocol.encode_error(None, refusal))
                return
            await self._relay(reader, writer)
        except BoxError as error:
            refusal = RpcError(error.code or protocol.REFUSED, error.message, error.advice)
            with contextlib.suppress(OSError):
                writer.write(protocol.encode_error(None, refusal))
        except (OSError, ValueError, asyncio.IncompleteReadError):
            pass
        finally:
            self._open.discard(task)
            writer.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        agent_reader, agent_writer = await self._transport.open()
        passage = Passage(self._person, self._audit)
        ways = [
            asyncio.create_task(passage.inwards(reader, agent_writer, writer)),
            asyncio.create_task(passage.outwards(agent_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            passage.left()
            agent_writer.close()


class Passage:
    """One connection through the gate."""

    def __init__(self, person: Person, audit: Audit) -> None:
        self._person, self._audit = person, audit
        self._acting: dict[int | str, Request] = {}

    async def inwards(self, client: LineReader, agent: LineWriter, back: LineWriter) -> None:
        """Requests: checked, then passed on as they are."""
        while line := await client.readline():
            if len(line) > MAX_LINE_BYTES:
                raise ValueError("a line is longer than the protocol allows")
            answer = self._refusal(line)
            if answer is None:
                agent.write(line)
                await agent.drain()
            elif answer:
                back.write(answer)
                await back.drain()

    async def outwards(self, agent: LineReader, client: LineWriter) -> None:
        """Answers and news; a client that does not read holds up the agent's line to it alone."""
        while line := await agent.readline():
            if self._acting:
                self._note(line)
            client.write(line)
            await client.drain()

    def left(self) -> None:
        """What was asked for and not answered yet, as the connection ended."""
        for request in self._acting.values():
            self._write(request, "no answer: the connection ended")
        self._acting.clear()

    def _refusal(self, line: bytes) -> bytes | None:
        """None for what may pass; else the answer to it, empty where none is due."""
        if not line.strip():
            return b""
        try:
            message = protocol.decode(line)
        except RpcError as error:
            return protocol.encode_error(None, error)
        if not isinstance(message, Request):
            return b""
        needed = role_for_method(message.method)
        if not may(self._person.role, needed):
            self._write(message, "refused", "refused")
            if message.id is None:
                return b""
            refusal = RpcError(
                NOT_PERMITTED,
                f"{self._person.name} is here as {self._person.role}, and {message.method[:80]}"
                f" needs {needed}",
                "Whoever runs `cockpit serve` can give another role.",
            )
            return protocol.encode_error(message.id, refusal)
        if needed != "viewer":
            if message.id is None:
                self._write(message, "")
            else:
                self._acting[message.id] = message
        return None

    def _note(self, line: bytes) -> None:
        """Whether this answers something that acted, and how."""
        try:
            answer = json.loads(line)
        except ValueError:
            return
        request = self._acting.pop(answer.get("id"), None) if "method" not in answer else None
        if request is not None:
            error = answer.get("error")
            self._write(request, str(error.get("message")) if error else "done", answer=answer)

    def _write(
        self, request: Request, outcome: str, event: str = "call", answer: Any = None
    ) -> None:
        result = answer.get("result") if isinstance(answer, dict) else None
        made = result.get("id") if isinstance(result, dict) else None
        told = {**_summary(request), "outcome": outcome}
        self._audit.write(event, self._person, **{"job": made, **told})


def _summary(request: Request) -> dict[str, Any]:
    """What is worth keeping of a call: never the values of secrets."""
    params = request.params
    names = {"id": "job", "name": "name", "plugin": "plugin", "command": "command", "pid": "pid"}
    names |= {"gpus": "gpus", "path": "path", "gpu": "gpu", "kind": "kind", "force": "force"}
    found = {told: params[name] for name, told in names.items() if params.get(name) is not None}
    return {"method": request.method[:80], **found}
