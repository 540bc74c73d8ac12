"""One program of cockpit for somebody who came in: on a terminal of its own, or on pipes."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

READ_BYTES = 1 << 16
UNSENT_MOST = 1 << 18
"""Bytes of input that wait for the program; then no more is taken from the line."""
GRACES_S = ((0.0, signal.SIGHUP), (2.0, signal.SIGTERM), (4.0, signal.SIGKILL))
"""What a program is told whose person has gone, and when."""
LARGEST = (1000, 500)
"""Columns and rows."""


@dataclass(frozen=True)
class Sinks:
    """Where the program's output and end go. `paused` is asked before more is read."""

    out: Callable[[bytes], None]
    error: Callable[[bytes], None]
    ended: Callable[[int], None]
    """Its exit code; negative for the signal that ended it."""
    input_full: Callable[[bool], None]
    """Whether input has to wait now."""


class Child:
    """`command` while it runs; everything happens in the event loop."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        size: tuple[int, int] | None,
        sinks: Sinks,
    ) -> None:
        """On a terminal of `size` (columns, rows), or without one on three pipes. Raises OSError."""
        self._loop = asyncio.get_running_loop()
        self._sinks = sinks
        self._unsent = bytearray()
        self._input_ended = False
        self._held = False
        self._said_end = False
        self._timers: list[asyncio.TimerHandle] = []
        self._exit: int | None = None
        self._outputs: dict[int, Callable[[bytes], None]] = {}
        self.terminal = size is not None
        if size is not None:
            self._start_on_terminal(command, environment, size)
        else:
            self._start_on_pipes(command, environment)
        for descriptor in self._outputs:
            os.set_blocking(descriptor, False)
            self._loop.add_reader(descriptor, self._read, descriptor)
        os.set_blocking(self._input, False)
        self._pidfd = os.pidfd_open(self.process.pid)
        self._loop.add_reader(self._pidfd, self._has_ended)

    def _start_on_terminal(
        self, command: Sequence[str], environment: Mapping[str, str], size: tuple[int, int]
    ) -> None:
        ours, theirs = pty.openpty()
        try:
            self.process = subprocess.Popen(
                command, stdin=theirs, stdout=theirs, stderr=theirs, env=dict(environment),
                start_new_session=True, cwd="/",
            )  # fmt: skip
        except OSError:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        self._input = ours
        self._outputs[ours] = self._sinks.out
        self.resize(*size)

    def _start_on_pipes(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        pipes = [os.pipe() for _ in range(3)]
        (read_in, self._input), (out, write_out), (error, write_error) = pipes
        try:
            self.process = subprocess.Popen(
                command, stdin=read_in, stdout=write_out, stderr=write_error,
                env=dict(environment), start_new_session=True, cwd="/",
            )  # fmt: skip
        except OSError:
            for descriptor in (self._input, out, error):
                os.close(descriptor)
            raise
        finally:
            for descriptor in (read_in, write_out, write_error):
                os.close(descriptor)
        self._outputs = {out: self._sinks.out, error: self._sinks.error}

    # The terminal

    def resize(self, columns: int, rows: int) -> None:
        """Tell the program; the kernel sends SIGWINCH."""
        if self.terminal and self._input >= 0:
            columns, rows = (
                max(1, min(*pair)) for pair in zip((columns, rows), LARGEST, strict=True)
            )
            fcntl.ioctl(self._input, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))

    # Input

    def write(self, data: bytes) -> None:
        """Pass on what was typed or sent."""
        if self._input >= 0 and not self._input_ended:
            self._unsent += data
            self._send()

    def end_input(self) -> None:
        """No more comes: the end of the file for a pipe, and ^D for a terminal."""
        if self._input < 0 or self._input_ended:
            return
        if self.terminal:
            self.write(b"\x04")
        self._input_ended = True
        self._send()

    def _send(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: os.write(self._input, self._unsent[:READ_BYTES])]
        except BlockingIOError:
            self._loop.add_writer(self._input, self._send)
        except OSError:
            # It reads no more; what it says until its end still counts.
            self._unsent.clear()
            self._input_ended = True
        else:
            self._loop.remove_writer(self._input)
        if self._input_ended and not self._unsent and not self.terminal:
            self._loop.remove_writer(self._input)
            os.close(self._input)
            self._input = -1
        self._sinks.input_full(len(self._unsent) > UNSENT_MOST)

    # Output

    def hold(self, held: bool) -> None:
        """While the line is full nothing is read, so that the program waits and draws less."""
        if held == self._held:
            return
        self._held = held
        for descriptor in self._outputs:
            if held:
                self._loop.remove_reader(descriptor)
            else:
                self._loop.add_reader(descriptor, self._read, descriptor)
        if not held and self._exit is not None:
            self._end_output()

    def _read(self, descriptor: int) -> None:
        try:
            data = os.read(descriptor, READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            # The other end of a terminal was closed.
            data = b""
        if data:
            self._outputs[descriptor](data)
            return
        self._close_output(descriptor)
        self._finish()

    def _close_output(self, descriptor: int) -> None:
        self._loop.remove_reader(descriptor)
        del self._outputs[descriptor]
        if descriptor == self._input:
            self._loop.remove_writer(descriptor)
            self._input = -1
        os.close(descriptor)

    # Its end

    def hang_up(self) -> None:
        """The person has gone: nothing of the program is left in a few seconds."""
        self.hold(True)
        for descriptor in list(self._outputs):
            self._close_output(descriptor)
        self._finish()
        if not self._timers:
            self._timers = [
                self._loop.call_later(delay, self._tell, number) for delay, number in GRACES_S
            ]

    def interrupt(self, number: int) -> None:
        """Send a signal to the program, if it is still there."""
        if self._exit is None:
            # A pidfd never means another process that was given the same number.
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)

    def _tell(self, number: int) -> None:
        if self._exit is None:
            # Its group too: a program that it started has no terminal any more either.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)

    def _has_ended(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._exit = self.process.wait()
        for timer in self._timers:
            timer.cancel()
        if not self._held:
            self._end_output()
        self._finish()

    def _end_output(self) -> None:
        """Pass on what it wrote last; whoever else holds its terminal open is not waited for."""
        for descriptor in list(self._outputs):
            self._drain(descriptor)
        self._finish()

    def _drain(self, descriptor: int) -> None:
        while descriptor in self._outputs:
            try:
                data = os.read(descriptor, READ_BYTES)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if not data:
                self._close_output(descriptor)
                return
            self._outputs[descriptor](data)

    def _finish(self) -> None:
        """Once the program has ended and everything it wrote is passed on, say so, once."""
        if self._exit is None or self._said_end:
            return
        if self._outputs and self._held:
            return
        self._said_end = True
        for descriptor in list(self._outputs):
            self._close_output(descriptor)
        if self._input >= 0:
            self._loop.remove_writer(self._input)
            os.close(self._input)
            self._input = -1
        self._sinks.ended(self._exit)


def cockpit_command(words: Sequence[str]) -> list[str]:
    """This cockpit, run for a session."""
    return [sys.executable, "-m", "cockpit.cli.served", *words]
