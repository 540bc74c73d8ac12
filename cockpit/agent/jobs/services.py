"""Services: jobs that serve on a port of this box until they are stopped, and how they are.

Each attempt gets a port and a key of its own. Both are in `service.json`, which nobody but the
user can read; the key reaches the workload as a secret does, and no other file, log or argument.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cockpit.agent.jobs.events import ToldService
from cockpit.agent.jobs.store import JobDirectory
from cockpit.model import JobService, ServiceWish

KEY = "COCKPIT_SERVICE_KEY"
PORT = "COCKPIT_SERVICE_PORT"
FILE = "service.json"
PORT_TRIES = 20
ASK_EVERY_S = 1.0
ASK_AGAIN_S = 5.0
"""Of one that was ready at the last look."""
ANSWER_S = 3.0
FAILURES_MOST = 3
"""Looks in a row without an answer, after which one that was ready has failed."""


@dataclass(frozen=True)
class Access:
    """How a service is reached on its box."""

    port: int
    key: str


def prepare(directory: JobDirectory, taken: Iterable[int]) -> Access:
    """A free port and a new key for the attempt that begins now, written down. Raises OSError."""
    access = Access(_free_port(set(taken)), secrets.token_urlsafe(24))
    path = directory.path / FILE
    draft = path.with_name(f".{FILE}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, json.dumps(vars(access)).encode())
    finally:
        os.close(descriptor)
    draft.replace(path)
    return access


def access_of(directory: Path) -> Access | None:
    """What was prepared for the present attempt; None if nothing was, or it cannot be read."""
    try:
        data: Any = json.loads((directory / FILE).read_text(encoding="utf-8"))
        return Access(int(data["port"]), str(data["key"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _free_port(taken: set[int]) -> int:
    """A port of the loopback that nobody has now. Another program may take it before the workload
    does; that then fails to bind, says so, and its next attempt gets another one."""
    for _ in range(PORT_TRIES):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port not in taken:
            return port
    raise OSError("no free port was found on the loopback")


@dataclass
class Look:
    """What the agent itself has seen of a service that it asks by a path."""

    state: str = "starting"
    since_s: float = 0.0
    detail: str = ""
    failures: int = 0
    next_s: float = 0.0
    """On the monotonic clock."""


def shown(
    wish: ServiceWish,
    directory: Path,
    job_state: str,
    started_s: float | None,
    ended: bool,
    told: ToldService | None,
    look: Look | None,
) -> JobService:
    """How a service is, from what its job is, what it told and what the agent has seen."""
    access = access_of(directory) if started_s is not None else None
    port = access.port if access else None
    if told is not None and (started_s is None or told.since_s < started_s):
        # Of an earlier attempt.
        told = None
    models = told.models if told else ()
    if ended:
        return JobService(wish.protocol, "ended", None, models, None, "")
    if started_s is None:
        return JobService(wish.protocol, "starting", None, (), None, "")
    if told is not None and told.state == "failed":
        return JobService(wish.protocol, "failed", port, models, told.since_s, told.detail)
    if job_state == "COMPLETING" or (directory / "cancel.json").exists():
        return JobService(wish.protocol, "draining", port, models, None, "it is being stopped")
    if told is not None and told.state == "draining":
        return JobService(wish.protocol, "draining", port, models, told.since_s, told.detail)
    if wish.ready == "event":
        state = "ready" if told is not None and told.state == "ready" else "starting"
        since_s = told.since_s if told else None
        detail = told.detail if told else ""
    else:
        state = look.state if look else "starting"
        since_s = look.since_s if look and look.since_s else None
        detail = look.detail if look else ""
    known: Any = state
    return JobService(wish.protocol, known, port, models, since_s, detail)


@dataclass(frozen=True)
class Asked:
    """A service whose readiness the agent has to find out."""

    path: str
    directory: Path
    look: Look
    changed: Callable[[], None]


class Watch:
    """Asks the services that cannot tell by themselves whether they are ready."""

    def __init__(self, find: Callable[[], Iterable[Asked]]) -> None:
        self._find = find
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Ask no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            now_s = time.monotonic()
            due = [each for each in self._find() if each.look.next_s <= now_s]
            # Together: one that hangs holds up none of the others.
            await asyncio.gather(*(self._look(each) for each in due))
            await asyncio.sleep(ASK_EVERY_S)

    async def _look(self, asked: Asked) -> None:
        access = access_of(asked.directory)
        if access is None:
            return
        look, before = asked.look, asked.look.state
        problem = await ask(access.port, asked.path, access.key)
        if not problem:
            look.failures, look.state, look.detail = 0, "ready", ""
        elif look.state == "ready":
            look.failures += 1
            if look.failures >= FAILURES_MOST:
                look.state, look.detail = "failed", f"it does not answer any more: {problem}"
        elif look.state == "failed":
            look.detail = f"it does not answer any more: {problem}"
        if look.state != before:
            look.since_s = time.time()
            asked.changed()
        again_s = ASK_AGAIN_S if look.state == "ready" else ASK_EVERY_S
        look.next_s = time.monotonic() + again_s


async def ask(port: int, path: str, key: str) -> str:
    """Why a service does not answer `path` with 200; empty if it does."""
    writer = None
    try:
        reader, writer = await asyncio.wait_for(
            asyncio.open_connection("127.0.0.1", port), ANSWER_S
        )
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n"
        writer.write(f"{head}Authorization: Bearer {key}\r\n\r\n".encode())
        await asyncio.wait_for(writer.drain(), ANSWER_S)
        line = await asyncio.wait_for(reader.readline(), ANSWER_S)
    except asyncio.TimeoutError:
        return f"no answer in {ANSWER_S:.0f} s"
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error)
    finally:
        if writer is not None:
            writer.close()
            with contextlib.suppress(OSError, asyncio.TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), 0.1)
    words = line.decode("latin-1").split()
    if len(words) < 2 or not words[0].startswith("HTTP/") or not words[1].isdecimal():
        return "what it says is no HTTP"
    return "" if words[1] == "200" else f"it answered {words[1]}"
