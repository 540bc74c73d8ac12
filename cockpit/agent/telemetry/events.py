"""What happened on the box: numbered, kept, bounded."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from collections import deque
from collections.abc import Sequence

from cockpit import codec
from cockpit.agent.telemetry.store import Store
from cockpit.model import Event

IN_MEMORY = 1000
KEPT = 20_000
MOST_ASKED = 5000


class EventStore:
    """The newest events in memory, the others on disk. Numbers go on where the file left off."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._recent: deque[Event] = deque(self._stored("1", (), IN_MEMORY), IN_MEMORY)
        self._unsaved: deque[Event] = deque(maxlen=IN_MEMORY)
        self.last_id = self._recent[-1].id if self._recent else 0

    def number(self, event: Event) -> Event:
        """Give `event` the next number and keep it; `save` brings it to disk."""
        self.last_id += 1
        numbered = dataclasses.replace(event, id=self.last_id)
        self._recent.append(numbered)
        self._unsaved.append(numbered)
        return numbered

    def save(self) -> None:
        """Write what is new and forget the oldest. Blocks on the disk."""
        events = list(self._unsaved)
        if not events:
            return
        rows = [(event.id, event.time_s, codec.dumps(event)) for event in events]

        def write(database: sqlite3.Connection) -> None:
            database.executemany("REPLACE INTO events VALUES (?, ?, ?)", rows)
            database.execute("DELETE FROM events WHERE id <= ?", (rows[-1][0] - KEPT,))

        if self._store.try_run(write):
            while self._unsaved and self._unsaved[0].id <= rows[-1][0]:
                self._unsaved.popleft()

    def find(self, since_s: float = 0.0, after_id: int = 0, limit: int = 500) -> list[Event]:
        """The newest `limit` events since a time and after a number, oldest first."""
        limit = max(1, min(limit, MOST_ASKED))
        recent = list(self._recent)
        found = [each for each in recent if each.id > after_id and each.time_s >= since_s]
        found = found[-limit:]
        oldest = recent[0].id if recent else self.last_id + 1
        if len(found) < limit and after_id < oldest - 1:
            where = "id > ? AND id < ? AND time_s >= ?"
            older = self._stored(where, (after_id, oldest, since_s), limit - len(found))
            return older + found
        return found

    def _stored(self, where: str, values: Sequence[float], limit: int) -> list[Event]:
        def read(database: sqlite3.Connection) -> list[tuple[str]]:
            query = f"SELECT document FROM events WHERE {where} ORDER BY id DESC LIMIT ?"
            return database.execute(query, (*values, limit)).fetchall()

        rows: list[tuple[str]] = self._store.run(read, [])
        return [codec.loads(Event, json.loads(document)) for (document,) in reversed(rows)]
