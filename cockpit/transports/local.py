"""The agent on this machine: its Unix socket, and how one is started when there is none."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import fcntl
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

from cockpit import codec, paths, protocol
from cockpit.errors import BoxError
from cockpit.settings import AgentSettings, settings_digest

START_S = 15.0
"""How long a new agent may take until it listens."""

END_S = 8.0
"""How long an agent may take to save and end before it is killed."""

POLL_S = 0.02
LOG_TAIL_LINES = 8

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class LocalTransport:
    """Leads to the agent called `settings.name`, and starts it with `settings` if need be."""

    local = True

    def __init__(self, settings: AgentSettings) -> None:
        if settings.replay_file is not None:
            # The agent works in another directory.
            absolute = str(Path(settings.replay_file).absolute())
            settings = dataclasses.replace(settings, replay_file=absolute)
        self.name = settings.name
        self.settings = settings
        self.settings_digest: str | None = settings_digest(settings)
        self._agent: subprocess.Popen[bytes] | None = None

    async def open(self) -> Streams:
        """A connection to the agent, which is started when nobody answers."""
        directory = self._private(paths.runtime_dir())
        socket_path = paths.socket_path(self.name)
        try:
            return await self._connect(socket_path)
        except (FileNotFoundError, ConnectionRefusedError):
            pass
        return await self._start(directory, socket_path)

    async def connect(self) -> Streams | None:
        """A connection if an agent is running, None if not: never starts one."""
        try:
            return await self._connect(paths.socket_path(self.name))
        except (FileNotFoundError, ConnectionRefusedError):
            return None

    async def restart(self) -> None:
        """End the running agent, gently if it listens; jobs go on in their shims."""
        lock = paths.runtime_dir() / f"agent-{self.name}.lock"
        with contextlib.suppress(OSError, BoxError):
            streams = await self.connect()
            if streams is not None:
                streams[1].write(protocol.encode_request("shutdown", {}, 1))
                await streams[1].drain()
                await self._until_free(lock, END_S)
                streams[1].close()
        for number in (signal.SIGTERM, signal.SIGKILL):
            pid = _holder(lock)
            if pid is None:
                return
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            await self._until_free(lock, END_S)

    async def end(self) -> None:
        """End the running agent; one that was started here is gone as a process afterwards."""
        await self.restart()
        deadline = time.monotonic() + END_S
        while self._agent is not None and self._agent.poll() is None:
            if time.monotonic() > deadline:
                self._agent.kill()
            await asyncio.sleep(POLL_S)

    async def place(self, folder: str) -> str:
        """Where `folder` is: the box is this machine."""
        return folder

    async def forward(self, port: int) -> int:
        """The port itself: the box is this machine."""
        return port

    async def close(self) -> None:
        """Nothing is shared by the streams."""

    async def _connect(self, path: Path) -> Streams:
        try:
            reader, writer = await asyncio.open_unix_connection(
                path, limit=protocol.MAX_LINE_BYTES + 1
            )
        except (FileNotFoundError, ConnectionRefusedError):
            raise
        except OSError as error:
            raise BoxError(
                f"the agent's socket {path} cannot be opened: {error.strerror or error}",
                "If it belongs to another user, unset XDG_RUNTIME_DIR or set it to your own.",
            ) from None
        owner = _peer_uid(writer)
        if owner != os.getuid():
            writer.close()
            raise BoxError(
                f"the agent at {path} runs as uid {owner}, not as you (uid {os.getuid()})",
                "Set XDG_RUNTIME_DIR to a directory of your own.",
            )
        return reader, writer

    async def _start(self, directory: Path, socket_path: Path) -> Streams:
        log = self._private(paths.box_state_dir(self.name)) / "agent.log"
        if self._agent is None or self._agent.poll() is not None:
            self._agent = self._spawn(log)
        lock = directory / f"agent-{self.name}.lock"
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
                return await self._connect(socket_path)
            code = self._agent.poll()
            if code:
                raise self._did_not_start(f"it ended with exit code {code}", log)
            if code == 0 and _holder(lock) is None:
                # It found an earlier agent in the act of ending; that one is gone now.
                self._agent = self._spawn(log)
            await asyncio.sleep(POLL_S)
        raise self._did_not_start(f"it did not listen within {START_S:.0f} s", log)

    def _spawn(self, log: Path) -> subprocess.Popen[bytes]:
        try:
            return _spawn(self.settings, log)
        except OSError as error:
            raise BoxError(
                f"the agent for {self.name} could not be started: {error}",
                f"Its log is {log}: is that disk full?" if error.filename == str(log) else "",
            ) from None

    def _did_not_start(self, reason: str, log: Path) -> BoxError:
        tail = _tail(log)
        advice = f"Its log {log} ends with:\n{tail}" if tail else f"Its log {log} is empty."
        return BoxError(f"the agent for {self.name} could not be started: {reason}", advice)

    async def _until_free(self, lock: Path, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while _holder(lock) is not None and time.monotonic() < deadline:
            if self._agent is not None:
                self._agent.poll()
            await asyncio.sleep(POLL_S)

    @staticmethod
    def _private(directory: Path) -> Path:
        try:
            return paths.make_private(directory)
        except OSError as error:
            raise BoxError(
                f"{directory} cannot be used: {error}",
                "Set XDG_RUNTIME_DIR and XDG_STATE_HOME to directories of your own.",
            ) from None


def _spawn(settings: AgentSettings, log: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "cockpit.agent", "--settings"]
    package_parent = Path(__file__).parents[2]
    # From a checkout that is not installed, `-m` finds the package by the working directory.
    checkout = (package_parent / "pyproject.toml").exists()
    with log.open("ab") as output:
        agent = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            cwd=package_parent if checkout else "/",
            start_new_session=True,
        )
    assert agent.stdin is not None
    # One that died at once has its reason in its log.
    with contextlib.suppress(BrokenPipeError), agent.stdin as pipe:
        pipe.write(codec.dumps(settings).encode())
    return agent


def _peer_uid(writer: asyncio.StreamWriter) -> int:
    peer: socket.socket = writer.get_extra_info("socket")
    size = struct.calcsize("3i")
    _, uid, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return int(uid)


def _holder(lock: Path) -> int | None:
    """The pid of the agent that holds the lock, None when nobody does."""
    try:
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return None
    except BlockingIOError:
        text = lock.read_text().strip()
        return int(text) if text.isdigit() else None
    return None


def _tail(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
    except OSError:
        return ""
    return "\n".join(f"  {line}" for line in lines)
