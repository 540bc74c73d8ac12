"""How the benchmarks measure: CPU time of whole processes, and programs run in a terminal of their own."""

from __future__ import annotations

import ctypes
import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Have the kernel kill this process when its parent ends, however that ends.

    For `preexec_fn`: a benchmark that is killed must leave no program that goes on using the machine.
    """
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def cpu_seconds(pid: int) -> float:
    """CPU time of one process so far, ended threads included, to the nanosecond.

    Uses the process's own CPU clock (clock_getcpuclockid(3)): /proc/PID/stat counts in ticks of
    10 ms, which is too coarse for a program that uses a tenth of a percent.
    """
    return time.clock_gettime((~pid << 3) | 2)


class TerminalProgram:
    """A program on a pseudo-terminal whose output is read, counted and thrown away."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        columns: int = 200,
        rows: int = 60,
    ) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.bytes_read = 0
        self.last_output = 0.0
        self._changed = threading.Condition()
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**environment, "TERM": "xterm-256color", "COLORTERM": "truecolor"},
            start_new_session=True,
            preexec_fn=end_with_parent,
        )
        os.close(slave)
        threading.Thread(target=self._drain, daemon=True).start()

    @property
    def pid(self) -> int:
        return self.process.pid

    def _drain(self) -> None:
        while True:
            try:
                data = os.read(self.master, 1 << 16)
            except OSError:
                return
            if not data:
                return
            with self._changed:
                self.bytes_read += len(data)
                self.last_output = time.perf_counter()
                self._changed.notify_all()

    def wait_for_output(self, at_least: int, timeout_s: float) -> bool:
        """True once so many bytes have come in all."""
        with self._changed:
            return self._changed.wait_for(lambda: self.bytes_read >= at_least, timeout_s)

    def wait_until_quiet(self, quiet_s: float, timeout_s: float) -> None:
        """Return when nothing has come for `quiet_s`."""
        deadline = time.perf_counter() + timeout_s
        while time.perf_counter() < deadline:
            if time.perf_counter() - self.last_output > quiet_s:
                return
            time.sleep(0.005)

    def key_response_s(self, key: bytes, timeout_s: float = 5.0) -> float:
        """Seconds from writing a key to the first output after it."""
        before = self.bytes_read
        start = time.perf_counter()
        os.write(self.master, key)
        if not self.wait_for_output(before + 1, timeout_s):
            return timeout_s
        return self.last_output - start

    def alive(self) -> bool:
        return self.process.poll() is None

    def stop(self) -> None:
        """End the program and give its terminal back."""
        for sign in (signal.SIGTERM, signal.SIGKILL):
            if not self.alive():
                break
            with suppress(ProcessLookupError):
                self.process.send_signal(sign)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(3)
        with suppress(OSError):
            os.close(self.master)
