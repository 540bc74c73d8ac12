"""The way to the agent of a session that is served: through its gate, and no other."""

from __future__ import annotations

import asyncio
from pathlib import Path

from cockpit import protocol
from cockpit.errors import BoxError


class GateTransport:
    """Leads to the agent behind the socket that `cockpit serve` made for this session."""

    local = True
    settings_digest: str | None = None
    """Whoever serves the box has set up its agent: it is taken as it is."""

    def __init__(self, path: Path, name: str) -> None:
        self.name = name
        self._path = path

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A stream to the agent, which the other side of the gate starts if need be."""
        try:
            return await asyncio.open_unix_connection(self._path, limit=protocol.MAX_LINE_BYTES + 1)
        except OSError as error:
            raise BoxError(
                f"this session has ended: {error.strerror or error}", "Connect again."
            ) from None

    async def restart(self) -> None:
        """It is not for a session to end the agent of everybody."""
        raise BoxError(
            "the agent of this box is another version than this cockpit",
            "Whoever runs `cockpit serve` has to start it again.",
        )

    async def place(self, folder: str) -> str:
        """Where `folder` is: the session runs on the box."""
        return folder

    async def forward(self, port: int) -> int:
        """The port itself: the session runs on the box."""
        return port

    async def close(self) -> None:
        """Nothing is shared by the streams."""
