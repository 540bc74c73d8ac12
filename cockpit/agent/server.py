"""The agent's Unix socket: who is connected, and what goes to all of them."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path

from cockpit import protocol
from cockpit.agent.connection import Connection, Dispatch
from cockpit.agent.encoding import SnapshotEncoder
from cockpit.model import Event, Job, Snapshot


class Server:
    """Listens on `path` (mode 0600) and broadcasts. `idle_changed` hears when nobody is left."""

    def __init__(
        self, path: Path, dispatch: Dispatch, idle_changed: Callable[[bool], None]
    ) -> None:
        self.path = path
        self.newest: Snapshot | None = None
        self._encoder = SnapshotEncoder()
        self._dispatch = dispatch
        self._idle_changed = idle_changed
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Bind and listen. The caller holds the lock of this name, so an old socket is a dead one."""
        self.path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            listener.bind(str(self.path))
        finally:
            os.umask(before)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(
            lambda: Connection(self._dispatch, self._connection_changed), sock=listener
        )

    async def close(self) -> None:
        """Stop listening, end every connection and remove the socket."""
        if self._server is not None:
            self._server.close()
        self.path.unlink(missing_ok=True)
        for connection in list(self._connections):
            connection.close()
        # One turn of the loop lets the last answers reach their sockets.
        await asyncio.sleep(0)

    @property
    def clients(self) -> int:
        """How many are connected."""
        return len(self._connections)

    def _connection_changed(self, connection: Connection, connected: bool) -> None:
        if connected:
            self._connections.add(connection)
        else:
            self._connections.discard(connection)
        self._idle_changed(not self._connections)

    # To everyone

    def subscribed(self, connection: Connection) -> None:
        """A new subscriber gets the newest snapshot at once."""
        if self.newest is not None and connection.wants(self.newest.sequence):
            line = self._encoder.line(self.newest)
            connection.send_snapshot(line, self.newest.sequence)

    def send_snapshot(self, snapshot: Snapshot) -> None:
        """Encoded once for all who are due it, and not at all when nobody is."""
        self.newest = snapshot
        due = [each for each in self._connections if each.wants(snapshot.sequence)]
        if due:
            line = self._encoder.line(snapshot)
            for connection in due:
                connection.send_snapshot(line, snapshot.sequence)

    def send_event(self, event: Event) -> None:
        """To every subscriber of events."""
        wanting = [each for each in self._connections if "event" in each.topics]
        if wanting:
            line = protocol.encode_request("event", event)
            for connection in wanting:
                connection.send_event(line)

    def send_job(self, job: Job) -> None:
        """To every subscriber of jobs."""
        wanting = [each for each in self._connections if "job" in each.topics]
        if wanting:
            line = protocol.encode_request("job", job)
            for connection in wanting:
                connection.send_job(job.id, line)
