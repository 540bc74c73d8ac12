"""The client's side of the tests over SSH: its ssh_config, its person, and its boxes."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from sshd import Sshd

from cockpit.client import Box
from cockpit.hosts import Host
from cockpit.questions import Asker, Question
from cockpit.settings import AgentSettings
from cockpit.transports.ssh import SshTransport

SETTINGS = AgentSettings(name="simulated-pcie", source="simulated", interval_s=0.2, idle_exit_s=30)


class Person:
    """Answers what is asked, and remembers that it was."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked: list[Question] = []

    async def __call__(self, question: Question) -> str | None:
        self.asked.append(question)
        return self.answers.pop(0) if self.answers else None


class Net:
    """Servers, the client's ssh_config, and boxes at the end of it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.config = directory / "config"
        self.servers: list[Sshd] = []
        self.boxes: list[Box] = []

    def server(self, name: str = "gpubox", known: bool = True, **options: object) -> Sshd:
        """A running server that the client's ssh_config names."""
        server = Sshd(self.directory, name=name, **options)  # type: ignore[arg-type]
        self.servers.append(server.start())
        self.add(server.config_lines())
        if known:
            server.know()
        return server

    def add(self, text: str) -> None:
        """More of the client's ssh_config."""
        with self.config.open("a") as file:
            file.write(text)

    def box(
        self, name: str = "gpubox", ask: Asker | None = None, settings: AgentSettings = SETTINGS
    ) -> Box:
        """The box of that name; nothing is connected yet."""
        host = Host(name, name, "ssh_config")
        transport = SshTransport(host, settings, ask or Person(), [str(self.config)])
        box = Box(transport)
        self.boxes.append(box)
        return box

    async def close(self) -> None:
        """Leave every box; the agents that were started behind the servers end too."""
        for box in self.boxes:
            await box.close()
        for server in self.servers:
            _end_agents(server)
            server.stop()


def _end_agents(server: Sshd) -> None:
    for lock in server.home.glob("run/cockpit/agent-*.lock"):
        with contextlib.suppress(OSError, ValueError):
            pid = int(lock.read_text())
            if b"--settings" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
