"""A real `cockpit serve` on a simulated box, and those who come in to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import asyncssh
import pyte

WAIT_S = 60.0
DIRECTORIES = ("RUNTIME_DIR", "STATE_HOME", "CONFIG_HOME", "CACHE_HOME")


class Served:
    """`cockpit serve ssh` or `web` as a process, with directories of its own."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="cks-", dir="/tmp"))
        for name in DIRECTORIES:
            (self.directory / name).mkdir(mode=0o700)
        self.environment = {
            **os.environ,
            **{f"XDG_{name}": str(self.directory / name) for name in DIRECTORIES},
            "HOME": str(self.directory),
        }
        self.keys: dict[str, asyncssh.SSHKey] = {}
        self.process: asyncio.subprocess.Process | None = None
        self.said: list[str] = []
        self.port = 0
        self._reading: asyncio.Task[None] | None = None

    async def run(self, *words: str, stdin: bytes = b"") -> tuple[int, str, str]:
        """A command of cockpit on this machine: exit code, stdout, stderr."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "cockpit", *words),
            env=self.environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, error = await asyncio.wait_for(process.communicate(stdin), WAIT_S)
        assert process.returncode is not None
        return process.returncode, out.decode(), error.decode()

    async def let_in(self, name: str, role: str) -> Path:
        """A new key for somebody; the path of its private half."""
        key = asyncssh.generate_private_key("ssh-ed25519", name)
        self.keys[name] = key
        path = self.directory / name
        path.touch(mode=0o600)
        path.write_bytes(key.export_private_key("openssh"))
        public = key.export_public_key("openssh")
        code, _, error = await self.run("serve", "keys", "add", "-", "--role", role, stdin=public)
        assert code == 0, error
        return path

    async def start(self, what: str = "ssh", *words: str, ready: str = "come in with") -> None:
        """Serve, and wait until it says that it does."""
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "cockpit", "serve", what, "--simulate"),
            *("--listen", "127.0.0.1:0", *words),
            env=self.environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        assert self.process.stderr is not None
        while True:
            line = (await asyncio.wait_for(self.process.stderr.readline(), WAIT_S)).decode()
            assert line, self.said
            self.said.append(line)
            if found := re.search(r"127\.0\.0\.1:(\d+)", line):
                self.port = int(found[1])
            if ready in line:
                break
        self._reading = asyncio.create_task(self._listen(self.process.stderr))

    async def _listen(self, stream: asyncio.StreamReader) -> None:
        while line := await stream.readline():
            self.said.append(line.decode())

    async def stop(self) -> int:
        """End it as systemd would; its exit code."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self.process.wait(), WAIT_S)

    async def close(self) -> None:
        """End everything, the agent too."""
        if self.process is not None and self.process.returncode is None:
            await self.stop()
        if self._reading is not None:
            await self._reading
        _, out, _ = await self.run("jobs", "--simulate", "--json")
        running = [job["id"] for job in json.loads(out)["jobs"] if job["ended_s"] is None]
        if running:
            await self.run("stop", "--simulate", "--grace", "0", *running)
        await self.run("agent", "stop", "--all")
        shutil.rmtree(self.directory, ignore_errors=True)

    def connect(self, name: str, **options: Any) -> Any:
        """A connection of somebody, as an async context."""
        return asyncssh.connect(
            "127.0.0.1",
            self.port,
            username="anybody",
            client_keys=[self.keys[name]],
            known_hosts=None,
            config=None,
            agent_path=None,
            **options,
        )

    async def ask(
        self, name: str, command: str, stdin: str | None = None
    ) -> asyncssh.SSHCompletedProcess:
        """One command of somebody, to its end."""
        async with self.connect(name) as connection:
            return await asyncio.wait_for(connection.run(command, input=stdin), WAIT_S)

    def audit(self) -> list[dict[str, Any]]:
        """What is in the audit log."""
        path = self.directory / "STATE_HOME/cockpit/serve/audit.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()]

    def programs(self) -> list[int]:
        """The pids of the programs of its sessions."""
        assert self.process is not None
        found = []
        for directory in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (directory / "cmdline").read_bytes()
                parent = (directory / "stat").read_text().rpartition(")")[2].split()[1]
                if b"cockpit.cli.served" in words and int(parent) == self.process.pid:
                    found.append(int(directory.name))
        return found

    async def until_programs(self, count: int) -> None:
        """Wait until there are so many; more than WAIT_S is a failure."""
        deadline = time.monotonic() + WAIT_S
        while len(found := self.programs()) != count:
            assert time.monotonic() < deadline, found
            await asyncio.sleep(0.05)


class Screen:
    """Somebody's terminal: what it shows, and what they type."""

    def __init__(self, process: asyncssh.SSHClientProcess[bytes], columns: int, rows: int) -> None:
        self.process = process
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)

    @property
    def text(self) -> str:
        """What it shows now."""
        return "\n".join(self._screen.display)

    async def until(self, *texts: str, gone: str = "") -> None:
        """Wait until it shows all of this at once and not `gone`; more than WAIT_S is a failure."""
        deadline = time.monotonic() + WAIT_S
        while not all(text in self.text for text in texts) or (gone and gone in self.text):
            left_s = deadline - time.monotonic()
            assert left_s > 0, f"{texts} in\n{self.text}"
            with contextlib.suppress(asyncio.TimeoutError):
                data = await asyncio.wait_for(self.process.stdout.read(65536), left_s)
                assert data, (texts, self.text)
                self._stream.feed(_PRIVATE.sub(b"", data))

    def type(self, keys: str) -> None:
        """Send keys."""
        self.process.stdin.write(keys.encode())

    def resize(self, columns: int, rows: int) -> None:
        """Make the window another size."""
        self._screen.resize(rows, columns)
        self._screen.reset()
        self.process.change_terminal_size(columns, rows)


_PRIVATE = re.compile(rb"\x1b\[[<>=][0-9;]*[a-zA-Z]|\x1b\[\?[0-9;]*\$p|\x1b_.*?\x1b\\\\")
"""Questions and modes newer than pyte, which would print them."""


async def open_screen(connection: Any, columns: int = 120, rows: int = 40) -> Screen:
    """The terminal app, on a terminal of that size."""
    process = await connection.create_process(
        term_type="xterm-256color", term_size=(columns, rows), encoding=None
    )
    return Screen(process, columns, rows)
