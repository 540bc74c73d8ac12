"""Which host keys are trusted: known_hosts, strictly, and a question about a key never seen."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh

from cockpit.errors import BoxError
from cockpit.questions import Asker, Question

PORT = 22


@dataclass
class Verdict:
    """What a handshake found: the key that was offered and is not trusted, if so."""

    offered: asyncssh.SSHKey | None = None
    changed: bool = False
    accepted: set[str] = field(default_factory=set)
    """Fingerprints that the person has said yes to."""


@dataclass(frozen=True)
class KnownHosts:
    """The person's files of known hosts: those to match against, and the one that learns."""

    files: tuple[str, ...]
    own: Path

    @property
    def matcher(self) -> list[str] | bytes:
        """As asyncssh takes it; with no file at all nothing is known."""
        return list(self.files) or b""


def known_hosts(configured: object) -> KnownHosts:
    """As ssh_config has them, or the usual ones. A file need not exist."""
    names = [str(name) for name in configured] if isinstance(configured, (list, tuple)) else []
    usual = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2", "/etc/ssh/ssh_known_hosts")
    paths = [Path(name).expanduser() for name in names or usual]
    there = tuple(str(path) for path in paths if path.is_file() and os.access(path, os.R_OK))
    return KnownHosts(there, paths[0])


def judge(
    verdict: Verdict, known: KnownHosts, host: str, addr: str, port: int, key: asyncssh.SSHKey
) -> bool:
    """Whether a key that no file vouches for may be used: only if the person has just said so."""
    if key.get_fingerprint() in verdict.accepted:
        return True
    trusted = asyncssh.match_known_hosts(known.matcher, host, addr, None if port == PORT else port)[
        0
    ]
    verdict.offered, verdict.changed = key, bool(trusted)
    return False


async def settle(
    verdict: Verdict, host: str, address: tuple[str, int], known: KnownHosts, ask: Asker
) -> None:
    """After a handshake that failed for its key: ask once, or refuse. Raises BoxError.

    `host` is what the person calls it, `address` the name and port that known_hosts goes by.
    """
    key = verdict.offered
    assert key is not None
    print_, kind = key.get_fingerprint(), key.get_algorithm()
    name = address[0] if address[1] == PORT else f"[{address[0]}]:{address[1]}"
    if verdict.changed:
        raise BoxError(
            f"the host key of {host} has CHANGED: it now shows {kind} {print_}",
            "Somebody may be listening in, or the box was installed anew. If you know why, remove"
            f" the old key (ssh-keygen -R '{name}') and connect again.",
        )
    question = Question(
        "trust",
        host,
        f"{host} is not known yet. Trust its key?",
        f"{kind} {print_}",
    )
    if await ask(question) != "yes":
        raise BoxError(
            f"the host key of {host} is not known: {kind} {print_}",
            f"Compare it with the box's own (ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub), then"
            f" connect once from a terminal and say yes, or run: ssh {host}",
        )
    verdict.accepted.add(print_)
    remember(name, key, known.own)


def remember(name: str, key: asyncssh.SSHKey, path: Path) -> None:
    """Add a trusted key to a file of known hosts; one that takes nothing is no reason to fail."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=0o700, exist_ok=True)
        with path.open("a") as file:
            file.write(f"{name} {key.export_public_key().decode().strip()}\n")
