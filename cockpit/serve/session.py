"""A session over SSH: the terminal app, or one command, for somebody with a role."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
from collections.abc import Callable, Mapping

import asyncssh

from cockpit.errors import CockpitError
from cockpit.roles import Person
from cockpit.serve.audit import Audit
from cockpit.serve.child import Child, Sinks, cockpit_command
from cockpit.serve.gate import Gate, Opener

COMMAND_MOST = 16_384
OUTPUT_HIGH_BYTES = 1 << 16
"""Of a channel whose client takes nothing; then the program is not read from."""
PASSED_ON = frozenset({"LANG", "LC_ALL", "LC_CTYPE", "COLORTERM", "NO_COLOR", "TERM_PROGRAM"})
"""What a client may say of its terminal. Nothing else of its environment counts."""
OURS = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "PYTHONPATH", "VIRTUAL_ENV"),
        *("XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"),
        *("XDG_DATA_HOME", "COCKPIT_CONFIG", "COCKPIT_THEME", "SSL_CERT_FILE"),
    }
)
SIGNALS = {"INT": signal.SIGINT, "TERM": signal.SIGTERM, "HUP": signal.SIGHUP}


class Session(asyncssh.SSHServerSession[bytes]):
    """One channel of a connection. `left` is called once it is over."""

    def __init__(
        self,
        person: Person,
        transport: Opener,
        box_name: str,
        audit: Audit,
        left: Callable[[Session], None],
    ) -> None:
        self._person, self._audit, self._left = person, audit, left
        self._gate = Gate(transport, person, audit)
        self._box_name = box_name
        self._channel: asyncssh.SSHServerChannel[bytes]
        self._terminal = ""
        self._size: tuple[int, int] | None = None
        self._words: list[str] = []
        self._problem = ""
        self._child: Child | None = None
        self._early = bytearray()
        self._input_ended = False
        self._gone = False
        self._starting: asyncio.Task[None] | None = None
        self._channel_full = self._line_full = False

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._channel = chan
        chan.set_write_buffer_limits(OUTPUT_HIGH_BYTES)

    def pty_requested(
        self, term_type: str, term_size: tuple[int, int, int, int], term_modes: Mapping[int, int]
    ) -> bool:
        self._terminal, self._size = term_type, term_size[:2]
        return True

    def shell_requested(self) -> bool:
        if self._size is None:
            self._problem = "the terminal app needs a terminal: ssh -t, or give a command"
        return True

    def exec_requested(self, command: str) -> bool:
        if len(command) > COMMAND_MOST:
            self._problem = f"a command line has at most {COMMAND_MOST} characters"
            return True
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            self._problem = f"this command line cannot be read: {error}"
        # `ssh box cockpit status` is what one types who is used to it.
        if self._words[:1] == ["cockpit"]:
            self._words = self._words[1:]
        return True

    def subsystem_requested(self, subsystem: str) -> bool:
        return False

    def session_started(self) -> None:
        self._starting = asyncio.get_running_loop().create_task(self._start())

    async def _start(self) -> None:
        shown = shlex.join(self._words)
        self._audit.write("session", self._person, command=shown or "the terminal app")
        if self._problem:
            self._refuse(self._problem)
            return
        try:
            path = await self._gate.start()
            if self._gone:
                await self._gate.close()
                return
            self._child = Child(
                cockpit_command(self._words),
                self._environment(str(path)),
                self._size,
                Sinks(self._channel.write, self._write_error, self._ended, self._input_full),
            )
        except (OSError, CockpitError) as error:
            self._refuse(str(error))
            await self._gate.close()
            return
        self._hold()
        if self._early:
            self._child.write(bytes(self._early))
            self._early.clear()
        if self._input_ended:
            self._child.end_input()

    def _environment(self, gate: str) -> dict[str, str]:
        found = {name: value for name, value in os.environ.items() if name in OURS}
        for name, value in self._channel.get_environment().items():
            if name in PASSED_ON and len(value) < 200 and value.isprintable():
                found[name] = value
        if self._size is not None:
            found["TERM"] = self._terminal if _plain(self._terminal) else "xterm-256color"
            found.setdefault("COLORTERM", "truecolor")
        found.setdefault("LANG", "C.UTF-8")
        return {
            **found,
            "COCKPIT_GATE": gate,
            "COCKPIT_GATE_BOX": self._box_name,
            "COCKPIT_ROLE": self._person.role,
            "COCKPIT_PERSON": self._person.name,
            # What asks the terminal waits longer for one that is far away.
            "SSH_CONNECTION": f"{self._person.address} 0 127.0.0.1 0",
        }

    def _refuse(self, reason: str) -> None:
        self._write_error(f"cockpit: {reason}\n".encode())
        self._channel.exit(2)

    def _write_error(self, data: bytes) -> None:
        self._channel.write_stderr(data)

    # What comes in

    def data_received(self, data: bytes, datatype: int | None) -> None:
        if self._child is None:
            self._early += data
        else:
            self._child.write(data)

    def eof_received(self) -> bool:
        self._input_ended = True
        if self._child is not None:
            self._child.end_input()
        # Half open: the answer of a command comes after the end of its input.
        return True

    def _input_full(self, full: bool) -> None:
        if self._channel.is_closing():
            return
        if full:
            self._channel.pause_reading()
        else:
            self._channel.resume_reading()

    def terminal_size_changed(self, width: int, height: int, pixwidth: int, pixheight: int) -> None:
        if self._size is not None:
            self._size = width, height
        if self._child is not None:
            self._child.resize(width, height)

    def break_received(self, msec: int) -> bool:
        self.signal_received("INT")
        return True

    def signal_received(self, signal: str) -> None:
        if self._child is not None and signal in SIGNALS:
            self._child.interrupt(SIGNALS[signal])

    # What goes out

    def pause_writing(self) -> None:
        self._channel_full = True
        self._hold()

    def resume_writing(self) -> None:
        self._channel_full = False
        self._hold()

    def line_full(self, full: bool) -> None:
        """The connection itself takes no more just now, or does again."""
        self._line_full = full
        self._hold()

    def _hold(self) -> None:
        if self._child is not None:
            self._child.hold(self._channel_full or self._line_full)

    # Its end

    def _ended(self, code: int) -> None:
        if not self._channel.is_closing():
            if code < 0:
                name = signal.Signals(-code).name.removeprefix("SIG")
                self._channel.exit_with_signal(name)
            else:
                self._channel.exit(code)
        self._audit.write("left", self._person, exit_code=code)
        self._over = asyncio.get_running_loop().create_task(self._gate.close())
        self._left(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone = True
        if self._child is not None:
            self._child.hang_up()
        else:
            self._left(self)

    @property
    def running(self) -> bool:
        """Whether a program of it is still there."""
        return self._child is not None and self._child.process.returncode is None

    async def end(self) -> None:
        """End the program, as when the person goes."""
        if self._child is not None:
            self._child.hang_up()
            self._channel.close()


def _plain(terminal: str) -> bool:
    return 0 < len(terminal) < 64 and all(each.isalnum() or each in "-+._" for each in terminal)
