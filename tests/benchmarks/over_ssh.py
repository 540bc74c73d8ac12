"""What other boxes cost: 16 of them on one desk, the first picture of one, and a line that is slow.

`python -m tests.benchmarks.over_ssh [--boxes 16] [--seconds 60]` starts real OpenSSH servers on
loopback, each with a simulated box behind it, and ends them again. Everything is told beside a peer
of the same run: one box instead of many, a box that is there instead of one that is dead, a program
that draws regardless of its line.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import asyncssh

sys.path.insert(0, str(Path(__file__).parents[1] / "ssh"))
from slow_line import SlowLine
from sshd import Sshd

from tests.benchmarks.measure import TerminalProgram, cpu_seconds

COCKPIT = str(Path(sys.executable).parent / "cockpit")
DELAY_S, LOSS, BYTES_PER_S = 0.075, 0.02, 20_000.0
KEY_MOST_S = 60.0


class Desk:
    """A home whose ssh_config names the servers, and programs that run in it."""

    def __init__(self, directory: Path, boxes: int) -> None:
        self.directory = directory
        self.servers = [Sshd(directory, name=f"box{n}").start() for n in range(boxes)]
        ssh = directory / ".ssh"
        ssh.mkdir(mode=0o700)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1)
        dead = f"Host dead\n  HostName 127.0.0.1\n  Port {self.listener.getsockname()[1]}\n"
        (ssh / "config").write_text("".join(each.config_lines() for each in self.servers) + dead)
        self.environment = {**os.environ, "HOME": str(directory)}
        for name in ("RUNTIME_DIR", "STATE_HOME", "CONFIG_HOME", "CACHE_HOME"):
            (directory / name).mkdir(mode=0o700)
            self.environment[f"XDG_{name}"] = str(directory / name)
        for server in self.servers:
            server.know()

    def terminal(self, *hosts: str) -> TerminalProgram:
        command = [COCKPIT, "--simulate", "--host", ",".join(hosts)]
        return TerminalProgram(command, self.environment)

    def close(self) -> None:
        self.listener.close()
        for server in self.servers:
            self.end_agent(server)
            server.stop()

    def end_agent(self, server: Sshd) -> None:
        for lock in server.home.glob("run/cockpit/agent-*.lock"):
            with contextlib.suppress(OSError, ValueError):
                os.kill(int(lock.read_text()), signal.SIGKILL)


@contextlib.contextmanager
def running(program: TerminalProgram, warm_up_s: float) -> Iterator[TerminalProgram]:
    try:
        time.sleep(warm_up_s)
        assert program.alive(), "the terminal has ended"
        yield program
    finally:
        program.stop()


def sent_bytes(servers: list[Sshd]) -> int:
    """What the servers have sent so far, over connections that are open."""
    ports = {server.port for server in servers}
    out = subprocess.run(
        ["ss", "-tinH", "state", "established"], capture_output=True, text=True, check=True
    ).stdout
    total, ours = 0, False
    for line in out.splitlines():
        if not line.startswith(("\t", " " * 6)):
            ends = re.findall(r":(\d+)", line)
            ours = bool(ends) and int(ends[0]) in ports
        elif ours and (found := re.search(r"bytes_sent:(\d+)", line)):
            total += int(found[1])
    return total


def many(desk: Desk, seconds: float) -> None:
    """CPU and bytes of a terminal on every box, beside one on a single box."""
    found = {}
    for servers in (desk.servers[:1], desk.servers):
        warm_up_s = 5.0 + len(servers)
        with running(desk.terminal(*(each.name for each in servers)), warm_up_s) as program:
            cpu, sent, wrote, at = (
                cpu_seconds(program.pid), sent_bytes(servers), program.bytes_read, time.monotonic(),
            )  # fmt: skip
            time.sleep(seconds)
            span = time.monotonic() - at
            keys = [program.key_response_s(key) * 1e3 for key in (b"j", b"k") * 15]
            found[len(servers)] = (
                100 * (cpu_seconds(program.pid) - cpu) / span,
                (sent_bytes(servers) - sent) / span,
                (program.bytes_read - wrote) / span,
                statistics.median(keys),
            )
    (one, *_), (all_, *rest) = found.values()
    count = len(desk.servers)
    print(f"terminal on {count} boxes at 1 Hz: {all_:.1f} % of a core; on one: {one:.1f} %")
    print(f"  from the boxes {rest[0] / 1e3:.1f} kB/s, {rest[0] / count / 1e3:.2f} kB/s each")
    print(f"  to the terminal {rest[1] / 1e3:.1f} kB/s; a key is answered in {rest[2]:.1f} ms")


def first_picture(desk: Desk, rounds: int) -> None:
    """From the start of the program to the first figures of a box, its agent there or sent."""
    for words, bare in (("its agent runs", False), ("bare: its agent is sent", True)):
        took = []
        for _ in range(rounds):
            if bare:
                desk.end_agent(desk.servers[0])
                time.sleep(0.3)
            begun = time.perf_counter()
            shell = f"exec {COCKPIT} --simulate --host box0"
            out = _until_text([*["sh", "-c"], shell], desk.environment, b"SIMULATED")
            took.append(out - begun)
        median = statistics.median(took)
        print(f"first picture of a box, {words}: {median:.2f} s (limit 1.50: {median / 1.5:.2f})")


def _until_text(command: list[str], environment: dict[str, str], text: bytes) -> float:
    import pty

    master, slave = pty.openpty()
    program = subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
        env={**environment, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"},
    )  # fmt: skip
    os.close(slave)
    seen = b""
    while text not in seen:
        seen += os.read(master, 65536)
    at = time.perf_counter()
    program.kill()
    program.wait()
    os.close(master)
    return at


def beside_a_dead_box(desk: Desk) -> None:
    """Keys of a terminal on two boxes, one of which never answers, beside one on two that do."""
    for hosts in (("box0", "box1"), ("box0", "dead")):
        with running(desk.terminal(*hosts), 8.0) as program:
            keys = sorted(program.key_response_s(key) * 1e3 for key in (b"j", b"k") * 25)
            median, worst = statistics.median(keys), keys[-1]
            print(f"keys beside {hosts[1]}: median {median:.1f} ms, worst of 50 {worst:.1f} ms")


RESTLESS = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])
from dataclasses import replace
from fake_box import NOW_S, FakeBox, gpu, snapshot
from cockpit.settings import TerminalSettings
from cockpit.tui import run

class Restless(FakeBox):
    async def follow(self, topics=(), interval_s=1.0):
        step = 0
        async for update in super().follow(topics, interval_s):
            yield update
            while step or self._queue.empty():
                step += 1
                await asyncio.sleep(0.02)
                cards = [replace(gpu(n), power_w=100.0 + (step * 37 + n * 11) % 200) for n in range(10)]
                yield snapshot(gpus=cards, time_s=NOW_S + step, sequence=step + 1)

run([Restless.of()], TerminalSettings())
"""
"""The terminal on ten GPUs whose figures change fifty times a second: more than such a line takes."""


async def slow_line(desk: Desk, rounds: int) -> None:
    """How long a key takes on a line that is full, with pacing and without."""
    server = desk.servers[0]
    script = desk.directory / "restless.py"
    script.write_text(RESTLESS)
    program = f"{sys.executable} {script} {Path(__file__).parents[1] / 'tui'}"
    for words, prefix in (
        ("paced", ""),
        ("regardless of its line", "env -u SSH_CONNECTION -u SSH_TTY "),
    ):
        took = [await _key(server, prefix + program) for _ in range(rounds)]
        told = f"median {statistics.median(took):.2f} s, worst of {rounds} {max(took):.2f} s"
        print(f"a key over {BYTES_PER_S / 1e3:.0f} kB/s, 150 ms, 2 % loss, {words}: {told}")


async def _key(server: Sshd, program: str) -> float:
    """From typing `?` to the help, after ten seconds of a program that draws all the time."""
    line = SlowLine(server.port, DELAY_S, LOSS, BYTES_PER_S)
    port = await line.start()
    try:
        async with asyncssh.connect(
            "127.0.0.1", port, client_keys=[str(server.client_key)], known_hosts=None, config=None
        ) as connection:
            process = await connection.create_process(
                program, term_type="xterm-256color", term_size=(120, 40), encoding=None
            )
            terminal = _Answering(process)
            await asyncio.wait_for(terminal.until(b"SIMULATED"), KEY_MOST_S)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(terminal.until(b"\0"), 10.0)
            begun = time.monotonic()
            process.stdin.write(b"?")
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(terminal.until(b"Keys of this place"), KEY_MOST_S)
            took_s = time.monotonic() - begun
            process.kill()
            return took_s
    finally:
        await line.stop()


class _Answering:
    """A terminal that answers where its cursor is."""

    def __init__(self, process: asyncssh.SSHClientProcess[bytes]) -> None:
        self._process = process
        self._tail = b""

    async def until(self, text: bytes) -> None:
        seen = b""
        while text not in seen:
            data = await self._process.stdout.read(65536)
            # A question may be split between two reads.
            questions = (self._tail + data).count(b"\x1b[6n")
            self._process.stdin.write(b"\x1b[1;1R" * questions)
            self._tail = (self._tail + data)[-3:]
            seen = (seen + data)[-200_000:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--boxes", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", choices=("many", "first", "dead", "slow"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cko-", dir="/tmp") as directory:
        desk = Desk(
            Path(directory), max(2, arguments.boxes if arguments.only in (None, "many") else 2)
        )
        try:
            if arguments.only in (None, "first"):
                first_picture(desk, arguments.rounds)
            if arguments.only in (None, "dead"):
                beside_a_dead_box(desk)
            if arguments.only in (None, "slow"):
                asyncio.run(slow_line(desk, arguments.rounds))
            if arguments.only in (None, "many"):
                many(desk, arguments.seconds)
        finally:
            desk.close()


if __name__ == "__main__":
    main()
