"""One SSH connection to a box, shared by everything that goes there, with the person's own setup."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path
from typing import Any

import asyncssh

from cockpit.errors import BoxError
from cockpit.hosts import Host, Target, split_target
from cockpit.questions import Asker, Question, nobody
from cockpit.transports.ssh_trust import PORT, KnownHosts, Verdict, judge, known_hosts, settle

CONNECT_S = 15.0
LOGIN_S = 60.0
"""Long enough for a person to type a password or to touch a security key."""
KEEPALIVE_S, KEEPALIVES = 5.0, 3
"""A peer that is silent for their product is taken for gone."""
CONFIG_FILES = ("~/.ssh/config", "/etc/ssh/ssh_config")
HOPS_MOST = 8


class _Client(asyncssh.SSHClient):
    """Asks the person where keys alone are not enough, and judges keys that no file knows."""

    def __init__(self, host: str, known: KnownHosts, verdict: Verdict, ask: Asker | None) -> None:
        self._host, self._known, self._verdict, self._ask = host, known, verdict, ask
        self._passwords_asked = 0

    def validate_host_public_key(
        self, host: str, addr: str, port: int, key: asyncssh.SSHKey
    ) -> bool:
        return judge(self._verdict, self._known, host, addr, port, key)

    async def password_auth_requested(self) -> str | None:
        if self._ask is None or self._passwords_asked >= 3:
            return None
        again = "That was not it. " if self._passwords_asked else ""
        self._passwords_asked += 1
        return await self._ask(Question("secret", self._host, f"{again}Password for {self._host}"))

    def kbdint_auth_requested(self) -> str | None:
        return None if self._ask is None else ""

    async def kbdint_challenge_received(
        self, name: str, instructions: str, lang: str, prompts: Any
    ) -> list[str] | None:
        answers: list[str] = []
        for text, echo in prompts:
            assert self._ask is not None
            kind: Any = "text" if echo else "secret"
            words = f"{self._host}: {text.strip() or 'answer'}"
            answer = await self._ask(Question(kind, self._host, words, instructions))
            if answer is None:
                return None
            answers.append(answer)
        return answers


class SshConnection:
    """Connects when it is first needed, and again after a loss."""

    def __init__(self, host: Host, ask: Asker = nobody, config: list[str] | None = None) -> None:
        """`config` replaces the usual files of ssh_config."""
        self.host = host.name
        self._target = host.target
        self._ask = ask
        self._config = config
        self._connection: asyncssh.SSHClientConnection | None = None
        self._jumps: list[asyncssh.SSHClientConnection] = []
        self._connecting = asyncio.Lock()

    async def get(self) -> asyncssh.SSHClientConnection:
        """The live connection. Raises BoxError in words."""
        async with self._connecting:
            if self._connection is None or self._connection.is_closed():
                self._connection = await self._connect(self._target, 0)
            return self._connection

    async def close(self) -> None:
        """Leave: every channel ends with it."""
        connections = [each for each in (self._connection, *reversed(self._jumps)) if each]
        self._connection, self._jumps = None, []
        for each in connections:
            each.close()
        for each in connections:
            with contextlib.suppress(OSError, asyncssh.Error):
                await each.wait_closed()

    async def _connect(self, target: str, hops: int) -> asyncssh.SSHClientConnection:
        if hops > HOPS_MOST:
            raise BoxError(
                f"{self.host} is reached by more than {HOPS_MOST} jumps", "See ~/.ssh/config."
            )
        parts = split_target(target)
        config = self._config or [
            path
            for path in (str(Path(name).expanduser()) for name in CONFIG_FILES)
            if Path(path).is_file()
        ]
        options = await asyncio.to_thread(_options, parts, config)
        tunnel: Any = ()
        jumps = options.tunnel
        if isinstance(jumps, str) and jumps.lower() != "none":
            tunnel = None
            for jump in jumps.split(","):
                tunnel = await self._connect(jump.strip(), hops + 1)
                self._jumps.append(tunnel)
        return await self._attempts(parts.host, options, tunnel)

    async def _attempts(
        self, host: str, options: asyncssh.SSHClientConnectionOptions, tunnel: Any
    ) -> asyncssh.SSHClientConnection:
        """First with keys alone, then with a trusted new host key, then with what the person says."""
        known = known_hosts(options.known_hosts)
        verdict = Verdict()
        asking = False
        while True:
            client = _Client(host, known, verdict, self._ask if asking else None)
            secrets: dict[str, Any] = {"passphrase": self._passphrase} if asking else {}
            try:
                return await asyncssh.connect(
                    host,
                    options=options,
                    tunnel=tunnel,
                    known_hosts=known.matcher,
                    client_factory=lambda client=client: client,
                    **secrets,
                )
            except asyncssh.HostKeyNotVerifiable as error:
                if verdict.offered is None:
                    raise BoxError(
                        f"the host key of {host} cannot be verified: {error.reason}",
                        "Look at it with: ssh -v " + host,
                    ) from None
                address = options.host_key_alias or options.host or host
                await settle(verdict, host, (address, options.port or PORT), known, self._ask)
                verdict.offered = None
            except asyncssh.PermissionDenied as error:
                if asking or self._ask is nobody:
                    raise _denied(host, error) from None
                asking = True
            except (OSError, asyncssh.Error, asyncssh.ConfigParseError) as error:
                raise unreachable(host, error) from None

    async def _passphrase(self, filename: str) -> str | None:
        return await self._ask(Question("secret", self.host, f"Passphrase of the key {filename}"))


def _options(target: Target, config: list[str]) -> asyncssh.SSHClientConnectionOptions:
    """What ssh_config says of a target; read in a thread, since `Match exec` may run programs."""
    said: dict[str, Any] = {}
    if target.user is not None:
        said["username"] = target.user
    if target.port is not None:
        said["port"] = target.port
    try:
        return asyncssh.SSHClientConnectionOptions(
            host=target.host,
            config=config or None,
            connect_timeout=CONNECT_S,
            login_timeout=LOGIN_S,
            keepalive_interval=KEEPALIVE_S,
            keepalive_count_max=KEEPALIVES,
            # Readings are text that repeats itself: a fifth of the bytes for a slow line.
            compression_algs=["zlib@openssh.com", "none"],
            **said,
        )
    except (
        OSError,
        ValueError,
        asyncssh.Error,
        asyncssh.ConfigParseError,
        asyncssh.KeyImportError,
    ) as error:
        raise BoxError(
            f"the SSH configuration for {target.host} cannot be used: {error}", "See ~/.ssh/config."
        ) from None


def _denied(host: str, error: asyncssh.PermissionDenied) -> BoxError:
    return BoxError(
        f"{host} let none of your keys in: {error.reason}",
        f"Does `ssh {host}` work? A passphrase or password can be typed in a terminal only.",
    )


def unreachable(host: str, error: Exception) -> BoxError:
    """Why a box could not be reached, in words."""
    if isinstance(error, socket.gaierror):
        words, advice = f"there is no host {host}", "Is its name right, in ~/.ssh/config too?"
    elif isinstance(error, ConnectionRefusedError):
        words, advice = (
            f"{host} takes no SSH connection (refused)",
            "Does sshd run there, on that port?",
        )
    elif isinstance(error, (TimeoutError, asyncio.TimeoutError)):
        words, advice = (
            f"{host} did not answer in {CONNECT_S:.0f} s",
            "Is it on, and in this network?",
        )
    else:
        reason = getattr(error, "reason", "") or str(error) or type(error).__name__
        words, advice = f"{host} cannot be reached: {reason}", f"Does `ssh {host}` work?"
    return BoxError(words, advice, away=True)
