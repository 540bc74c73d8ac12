"""Real OpenSSH servers, and boxes behind them."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from sshd import SSHD, Sshd

from cockpit.client import Box
from cockpit.errors import BoxError
from cockpit.hosts import Host
from cockpit.questions import Asker, Question
from cockpit.settings import AgentSettings
from cockpit.transports.ssh import SshTransport

SETTINGS = AgentSettings(name="simulated-pcie", source="simulated", interval_s=0.2, idle_exit_s=30)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not Path(SSHD).exists() or shutil.which("ssh-keygen") is None:
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="there is no OpenSSH server here"))


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


@pytest.fixture
async def net(tmp_path: Path) -> AsyncIterator[Net]:
    net = Net(tmp_path)
    yield net
    for box in net.boxes:
        await box.close()
    for server in net.servers:
        _end_agents(server)
        server.stop()


def _end_agents(server: Sshd) -> None:
    """The agents that were started behind a server end with the test."""
    for lock in server.home.glob("run/cockpit/agent-*.lock"):
        text = lock.read_text().strip()
        if text.isdigit():
            try:
                command = Path(f"/proc/{text}/cmdline").read_bytes()
            except OSError:
                continue
            if b"--settings" in command:
                os.kill(int(text), signal.SIGKILL)


@pytest.fixture
def fails() -> Callable[[Awaitable[object]], Awaitable[BoxError]]:
    async def failure(work: Awaitable[object]) -> BoxError:
        with pytest.raises(BoxError) as caught:
            await work
        return caught.value

    return failure
