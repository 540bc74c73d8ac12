"""A real OpenSSH server on loopback, with keys, state and a home of its own."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"


def key(path: Path, comment: str = "test", passphrase: str = "") -> Path:
    """A new ed25519 key pair at `path`."""
    command = [
        "ssh-keygen",
        "-q",
        "-t",
        "ed25519",
        "-N",
        passphrase,
        "-C",
        comment,
        "-f",
        str(path),
    ]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass
class Sshd:
    """One server; `home` is what its sessions take for their state and runtime directories."""

    directory: Path
    name: str = "gpubox"
    path: str = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    extra: tuple[str, ...] = ()
    """More lines of sshd_config."""
    environment: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.home = self.directory / self.name
        self.home.mkdir(mode=0o700)
        (self.home / "run").mkdir(mode=0o700)
        self.host_key = key(self.home / "host_key", self.name)
        self.client_key = self.directory / "id"
        if not self.client_key.exists():
            key(self.client_key)
        shutil.copy(self.client_key.with_suffix(".pub"), self.home / "authorized_keys")
        self.environment = {
            # Of its own, so that no start file of the person who runs the tests has a say.
            "HOME": str(self.home),
            "PATH": self.path,
            "XDG_RUNTIME_DIR": str(self.home / "run"),
            "XDG_STATE_HOME": str(self.home / "state"),
            "XDG_CACHE_HOME": str(self.home / "cache"),
            **self.environment,
        }

    def start(self) -> Sshd:
        """Listen on 127.0.0.1 until `stop`."""
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        config = self.home / "sshd_config"
        lines = [
            f"Port {self.port}",
            "ListenAddress 127.0.0.1",
            f"HostKey {self.host_key}",
            f"AuthorizedKeysFile {self.home}/authorized_keys",
            "PidFile none",
            "StrictModes no",
            "UsePAM no",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "PrintMotd no",
            "SetEnv " + " ".join(f'{name}="{value}"' for name, value in self.environment.items()),
            *self.extra,
        ]
        config.write_text("\n".join(lines) + "\n")
        with (self.home / "sshd.log").open("ab") as log:
            self.process = subprocess.Popen(
                [SSHD, "-D", "-e", "-f", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError((self.home / "sshd.log").read_text())

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
            self.process = None

    def config_lines(self, *more: str) -> str:
        """Its entry of a client's ssh_config."""
        lines = [
            f"Host {self.name}",
            "  HostName 127.0.0.1",
            f"  Port {self.port}",
            f"  User {getpass.getuser()}",
            f"  IdentityFile {self.client_key}",
            f"  UserKnownHostsFile {self.directory}/known_hosts",
            *(f"  {line}" for line in more),
        ]
        return "\n".join(lines) + "\n"

    def know(self) -> None:
        """Write its host key to the client's known_hosts."""
        public = self.host_key.with_suffix(".pub").read_text().strip()
        with (self.directory / "known_hosts").open("a") as file:
            file.write(f"[127.0.0.1]:{self.port} {public}\n")
