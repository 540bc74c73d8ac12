"""`cockpit serve ssh`: the terminal app over SSH, for keys of its own file, each with a role."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import asyncssh

from cockpit.errors import CockpitError
from cockpit.roles import Person
from cockpit.serve.audit import Audit
from cockpit.serve.gate import Opener
from cockpit.serve.keys import Entry, Keys, host_key, read_keys
from cockpit.serve.session import Session

LOGIN_S = 20.0
"""From the first byte to a login; a line that says nothing is cut then."""
KEEPALIVE_S, KEEPALIVES = 15.0, 3
SEND_BUFFER_BYTES = 32 << 10
"""Of the kernel, for each connection: what is in it cannot be replaced by something newer."""
FAILURES_MOST, FAILURES_S = 10, 60.0
"""Failed logins from one address, after which it is not listened to for a while."""
KEYS_EVERY_S = 1.0
"""How old the list of keys may be that a login is judged by."""


@dataclass(frozen=True)
class Limits:
    """How many there may be at once."""

    sessions: int = 32
    sessions_each: int = 8
    """Of one key."""
    logins: int = 16
    """Connections that have not logged in yet; of one address half as many."""


@dataclass
class Hall:
    """What all connections of a server share."""

    transport: Opener
    box_name: str
    audit: Audit
    limits: Limits
    say: Callable[[str], None]
    keys: Callable[[], Keys] = read_keys
    clock: Callable[[], float] = time.monotonic
    sessions: dict[Session, str] = field(default_factory=dict)
    """Session → the fingerprint of its key."""
    waiting: Counter[str] = field(default_factory=Counter)
    """Address → connections of it that have not logged in."""
    failures: dict[str, deque[float]] = field(default_factory=dict)
    empty: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while there is no session."""
    _keys: Keys | None = None
    _keys_read: float = 0.0
    _told: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.empty.set()

    def entered(self, session: Session, fingerprint: str) -> None:
        """A session has begun."""
        self.sessions[session] = fingerprint
        self.empty.clear()

    def left(self, session: Session) -> None:
        """A session and its program are over."""
        self.sessions.pop(session, None)
        if not self.sessions:
            self.empty.set()

    def known_keys(self) -> Keys:
        """The keys as they are, read anew when they may have changed. Raises CockpitError."""
        now = self.clock()
        if self._keys is None or now - self._keys_read > KEYS_EVERY_S:
            self._keys, self._keys_read = self.keys(), now
            if self._keys.problems != self._told:
                self._told = self._keys.problems
                for problem in self._told:
                    self.say(problem)
        return self._keys

    def failed(self, address: str) -> None:
        """A login from there did not come about."""
        times = self.failures.setdefault(address, deque(maxlen=FAILURES_MOST))
        times.append(self.clock())
        if len(self.failures) > 10_000:
            self.failures.pop(next(iter(self.failures)))

    def barred(self, address: str) -> bool:
        """Whether too many logins from there have failed lately."""
        times = self.failures.get(address)
        if times is None:
            return False
        return len(times) >= FAILURES_MOST and self.clock() - times[0] < FAILURES_S

    def full(self, fingerprint: str) -> str:
        """Why there can be no further session; empty if there can."""
        if len(self.sessions) >= self.limits.sessions:
            return f"there are {self.limits.sessions} sessions, the most that are allowed"
        mine = sum(each == fingerprint for each in self.sessions.values())
        if mine >= self.limits.sessions_each:
            return f"this key has {mine} sessions, the most that one may have"
        return ""


class Visitor(asyncssh.SSHServer):
    """One connection."""

    def __init__(self, hall: Hall) -> None:
        self._hall = hall
        self._connection: asyncssh.SSHServerConnection
        self._address = ""
        self._offered: Entry | None = None
        self._person: Person | None = None
        self._counted = False
        self._sessions: list[Session] = []

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        peer = conn.get_extra_info("peername") or ("unknown",)
        self._address = str(peer[0])
        hall = self._hall
        waiting = sum(hall.waiting.values())
        own = hall.waiting[self._address]
        hall.waiting[self._address] += 1
        self._counted = True
        if hall.barred(self._address):
            self._turn_away("too many logins from there have failed")
        elif waiting >= hall.limits.logins or own >= max(1, hall.limits.logins // 2):
            self._turn_away("too many are logging in")
        self._tighten(conn)

    def _turn_away(self, reason: str) -> None:
        self._hall.audit.write("turned away", reason=reason, address=self._address)
        self._connection.abort()

    def _tighten(self, conn: asyncssh.SSHServerConnection) -> None:
        """Let little wait on the way: a screen that is late is worth nothing."""
        line: Any = conn.get_extra_info("socket")
        if line is not None:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        # asyncio tells its protocol that the line is full, and asyncssh does nothing about it.
        conn.pause_writing = lambda: self._line_full(True)  # type: ignore[method-assign]
        conn.resume_writing = lambda: self._line_full(False)  # type: ignore[method-assign]

    def _line_full(self, full: bool) -> None:
        for session in self._sessions:
            session.line_full(full)

    # Logging in

    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        try:
            keys = self._hall.known_keys()
        except CockpitError as error:
            self._hall.say(str(error))
            return False
        # The key that is asked about last is the one that then signs.
        self._offered = keys.find(key, self._address, self._address)
        return self._offered is not None

    def auth_completed(self) -> None:
        entry = self._offered
        assert entry is not None
        self._person = Person(entry.name, entry.role, entry.fingerprint, self._address)
        self._no_longer_waiting()
        self._hall.failures.pop(self._address, None)
        self._hall.audit.write("login", self._person)

    def _no_longer_waiting(self) -> None:
        if self._counted:
            self._counted = False
            self._hall.waiting[self._address] -= 1
            if self._hall.waiting[self._address] <= 0:
                del self._hall.waiting[self._address]

    def connection_lost(self, exc: Exception | None) -> None:
        self._no_longer_waiting()
        if self._person is None:
            self._hall.failed(self._address)
            self._hall.audit.write("no login", reason=_reason(exc), address=self._address)
        else:
            self._hall.audit.write("logout", self._person)

    # Sessions. Everything else that SSH knows (forwarding, agents, X11) is refused by asyncssh.

    def session_requested(self) -> Any:
        person = self._person
        assert person is not None
        if reason := self._hall.full(person.fingerprint):
            self._hall.audit.write("refused", person, reason=reason)
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_RESOURCE_SHORTAGE, reason)
        session = Session(
            person, self._hall.transport, self._hall.box_name, self._hall.audit, self._session_left
        )
        self._hall.entered(session, person.fingerprint)
        self._sessions.append(session)
        return session

    def _session_left(self, session: Session) -> None:
        self._hall.left(session)
        if session in self._sessions:
            self._sessions.remove(session)


def _reason(error: Exception | None) -> str:
    if error is None:
        return "the connection was closed"
    return str(getattr(error, "reason", "") or error)


async def listen(hall: Hall, address: str, port: int) -> asyncssh.SSHAcceptor:
    """Serve there until the acceptor is closed. Raises CockpitError and OSError."""
    return await asyncssh.create_server(
        lambda: Visitor(hall),
        address,
        port,
        server_host_keys=[host_key()],
        encoding=None,
        line_editor=False,
        login_timeout=LOGIN_S,
        keepalive_interval=KEEPALIVE_S,
        keepalive_count_max=KEEPALIVES,
        password_auth=False,
        kbdint_auth=False,
        gss_host=None,
        allow_pty=True,
        agent_forwarding=False,
        x11_forwarding=False,
        server_version="cockpit",
        compression_algs=["zlib@openssh.com", "none"],
        reuse_address=True,
    )


async def end_sessions(hall: Hall, seconds: float = 6.0) -> None:
    """End every session's program, and wait until they are gone, at most so long."""
    for session in list(hall.sessions):
        await session.end()
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(hall.empty.wait(), seconds)
