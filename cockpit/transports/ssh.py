"""A box at the other end of an SSH connection: its agent is used, or sent there and started."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncssh

from cockpit import codec, protocol
from cockpit.errors import BoxError
from cockpit.hosts import Host
from cockpit.link import LineReader, LineWriter
from cockpit.questions import Asker, nobody
from cockpit.settings import AgentSettings
from cockpit.transports import bridge, payload
from cockpit.transports.ssh_connection import SshConnection, unreachable

ANSWER_S = 30.0
"""How long the other side may take to start Python, unpack and start an agent."""
NOISE_MOST = 1 << 20
"""Bytes that a login shell may print before the answer."""
PYTHONS = ("python3", *(f"python3.{minor}" for minor in range(14, 9, -1)))

_FIRST = (
    'import sys; i=sys.stdin.buffer; exec(compile(i.read(int(i.readline())), "bridge", "exec"))'
)
_SCRIPT = (
    f"for p in {' '.join(PYTHONS)}; do"
    ' if "$p" -c "import sys; sys.exit(sys.version_info < (3, 10))" 2>/dev/null; then'
    ' exec "$p" -I -c \'' + _FIRST + "'; fi; done;"
    r' printf "\n\000COCKPIT {\042status\042: \042no python\042}\n"'
)
COMMAND = f"exec /bin/sh -c {shlex.quote(_SCRIPT)}"
"""Understood by any login shell: it only has to start /bin/sh."""


class SshTransport:
    """Leads to the agent called `settings.name` on a host."""

    local = False
    settings_digest: str | None = None
    """An agent that runs there was set up by its owner: it is taken as it is."""

    def __init__(
        self,
        host: Host,
        settings: AgentSettings,
        ask: Asker = nobody,
        config: list[str] | None = None,
    ) -> None:
        self.name = host.name
        self.settings = settings
        self.note = ""
        """What the person should know of how the agent runs there."""
        self._connection = SshConnection(host, ask, config)
        self._forwards: dict[int, tuple[asyncssh.SSHClientConnection | None, int]] = {}
        """Port of the box → the connection that leads to it, and the port here."""

    async def open(self) -> tuple[LineReader, LineWriter]:
        """A stream to the agent, which is sent and started when there is none."""
        talk = await self._talk("agent", settings=codec.dumps(self.settings))
        answer = await talk.answer(payload.agent_payload)
        self.note = str(answer.get("note", ""))
        return _Reader(talk.process.stdout, self.name), _Writer(talk.process)

    async def restart(self) -> None:
        """End the agent that runs there; jobs go on in their shims."""
        await self._ask_once("restart")

    async def forget(self) -> None:
        """Delete the code and folders that connections have left there."""
        await self._ask_once("forget")

    async def place(self, folder: str) -> str:
        """The path on the box of a folder of this machine, sent there once by its content."""
        content = await asyncio.to_thread(payload.folder_payload, Path(folder))
        answer = await self._ask_once("folder", lambda: content)
        return str(answer["path"])

    async def forward(self, port: int) -> int:
        """A port of this machine, on loopback alone, that leads to `port` of the box's loopback."""
        connection = await self._connection.get()
        made_by, local = self._forwards.get(port, (None, 0))
        if made_by is connection:
            return local
        try:
            # The port that it had over an earlier connection, if nobody has taken it meanwhile.
            listener = await connection.forward_local_port("127.0.0.1", local, "127.0.0.1", port)
        except OSError:
            listener = await connection.forward_local_port("127.0.0.1", 0, "127.0.0.1", port)
        except asyncssh.Error as error:
            raise unreachable(self.name, error) from None
        self._forwards[port] = connection, listener.get_port()
        return listener.get_port()

    async def close(self) -> None:
        """Leave the box. Its agent goes on as long as it is needed."""
        await self._connection.close()

    async def _ask_once(
        self, mode: str, content: Callable[[], payload.Payload] | None = None
    ) -> dict[str, Any]:
        talk = await self._talk(mode, content)
        try:
            return await talk.answer(content)
        finally:
            talk.process.close()

    async def _talk(
        self, mode: str, content: Callable[[], payload.Payload] | None = None, **told: str
    ) -> _Talk:
        connection = await self._connection.get()
        wanted = (content or payload.agent_payload)().digest
        told = {"mode": mode, "name": self.settings.name, "payload": wanted, **told}
        source = Path(bridge.__file__).read_bytes()
        try:
            process = await connection.create_process(COMMAND, encoding=None)
            process.stdin.write(b"%d\n" % len(source) + source + json.dumps(told).encode() + b"\n")
        except (OSError, asyncssh.Error) as error:
            raise unreachable(self.name, error) from None
        return _Talk(process, self.name)


class _Talk:
    """The conversation with a bridge up to its last answer."""

    def __init__(self, process: asyncssh.SSHClientProcess[bytes], host: str) -> None:
        self.process, self._host = process, host

    async def answer(self, content: Callable[[], payload.Payload] | None) -> dict[str, Any]:
        """Its last answer; what it asks for meanwhile is sent. Raises BoxError."""
        try:
            while True:
                found = await asyncio.wait_for(self._line(), ANSWER_S)
                if found["status"] != "send":
                    break
                assert content is not None or found
                data = (content or payload.agent_payload)().data
                self.process.stdin.write(b"%d\n" % len(data) + data)
                await self.process.stdin.drain()
        except asyncio.TimeoutError:
            self.process.close()
            late = f"{self._host} did not start an agent in {ANSWER_S:.0f} s"
            raise BoxError(late, away=True) from None
        except (OSError, asyncssh.Error) as error:
            raise unreachable(self._host, error) from None
        if found["status"] == "no python":
            raise BoxError(
                f"{self._host} has no Python 3.10 or newer",
                "Install python3 there; nothing else is needed.",
            )
        if found["status"] == "error":
            raise BoxError(f"{self._host}: {found['message']}", found["advice"])
        return found

    async def _line(self) -> dict[str, Any]:
        noise = b""
        while line := await self.process.stdout.readline():
            if line.startswith(bridge.MARK):
                found = json.loads(line[len(bridge.MARK) :])
                return dict(found)
            noise += line
            if len(noise) > NOISE_MOST:
                break
        with contextlib.suppress(asyncio.TimeoutError):
            noise += await asyncio.wait_for(self.process.stderr.read(2000), 1.0)
        words = noise.decode(errors="replace").strip().splitlines()[-3:]
        raise BoxError(
            f"{self._host} did not run what was sent to it",
            "It said: " + " / ".join(words) if words else "Does `ssh` run a command there?",
        )


class _Reader:
    """The agent's lines, with asyncssh's errors turned into those of a stream."""

    def __init__(self, stream: asyncssh.SSHReader[bytes], host: str) -> None:
        self._stream, self._host = stream, host

    async def readline(self) -> bytes:
        try:
            line = await self._stream.readline()
        except asyncssh.Error as error:
            raise ConnectionError(
                f"the connection to {self._host} was lost: {error.reason}"
            ) from None
        if len(line) > protocol.MAX_LINE_BYTES:
            raise ValueError("a line is longer than the protocol allows")
        return line


class _Writer:
    """Lines to the agent; closing it ends the bridge."""

    def __init__(self, process: asyncssh.SSHClientProcess[bytes]) -> None:
        self._process = process

    def write(self, data: bytes) -> None:
        try:
            self._process.stdin.write(data)
        except asyncssh.Error as error:
            raise ConnectionError(error.reason) from None

    async def drain(self) -> None:
        try:
            await self._process.stdin.drain()
        except asyncssh.Error as error:
            raise ConnectionError(error.reason) from None

    def close(self) -> None:
        self._process.close()

    async def wait_closed(self) -> None:
        with contextlib.suppress(asyncssh.Error):
            await self._process.wait_closed()
