"""`cockpit` alone, on a real pseudo-terminal."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable

CONTROL = re.compile(rb"\x1b\[[0-9;?<>=]*[a-zA-Z]|\x1b[^\[]")


class Terminal:
    """`cockpit --simulate` on a pseudo-terminal of 120×30."""

    def __init__(self, start: Callable[..., subprocess.Popen[str]], term: str) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 120, 0, 0))
        ends = {"stdin": slave, "stdout": slave, "stderr": slave, "start_new_session": True}
        self.program = start("--simulate", variables={"TERM": term}, **ends)
        os.close(slave)
        self.seen = b""

    def until(self, holds: Callable[[str], bool], seconds: float = 60.0) -> str:
        """Read until what was printed, without control sequences, is as wanted."""
        deadline = time.monotonic() + seconds
        while not holds(text := CONTROL.sub(b"", self.seen).decode(errors="replace")):
            assert time.monotonic() < deadline, text[-2000:]
            if select.select([self.master], [], [], 0.2)[0]:
                try:
                    self.seen += os.read(self.master, 65536)
                except OSError:  # the other end was closed; the program is about to end
                    time.sleep(0.02)
        return text

    def end(self) -> int:
        code = self.program.wait(60)
        os.close(self.master)
        return code


def test_the_terminal_opens_says_what_is_simulated_and_leaves_with_q(start) -> None:
    terminal = Terminal(start, "xterm-256color")
    terminal.until(lambda text: "SIMULATED" in text)
    os.write(terminal.master, b"q")
    terminal.until(lambda text: terminal.program.poll() is not None)
    assert terminal.end() == 0


def test_a_terminal_that_cannot_move_its_cursor_gets_the_page(start) -> None:
    terminal = Terminal(start, "dumb")
    text = terminal.until(lambda text: "Total:" in text)
    assert "TERM is empty or dumb" in text and "SIMULATED" in text
    assert b"\x1b" not in terminal.seen
    assert terminal.end() == 0
