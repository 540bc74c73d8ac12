"""The agent's SQLite file: whatever happens to it, telemetry goes on."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from cockpit.model import Event, Severity

T = TypeVar("T")
log = logging.getLogger(__name__)

LAYOUT = 1
"""`PRAGMA user_version` of the file."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS blocks (tier INTEGER, gpu TEXT, start INTEGER, data BLOB,
    PRIMARY KEY (tier, gpu, start)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS energy (day TEXT, gpu TEXT, joules REAL, PRIMARY KEY (day, gpu))
    WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counters (gpu TEXT PRIMARY KEY, joules REAL, time_s REAL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (id INTEGER PRIMARY KEY, time_s REAL, document TEXT);
"""

_BUSY = ("locked", "busy")
_DAMAGED = ("malformed", "not a database", "encrypted", "no such table", "no such column")


class Store:
    """A database that is set aside when it is damaged and done without when the disk is full.

    `path` None keeps everything in memory. `tell` gets an Event (id 0) whenever something is wrong;
    it may be called from any thread. Methods may too, one at a time holds the connection.
    """

    def __init__(self, path: Path | None, tell: Callable[[Event], None]) -> None:
        self.path = path
        self._tell = tell
        self._lock = threading.Lock()
        self._failing = False
        self._closed = False
        self._connection: sqlite3.Connection | None = None
        with self._lock, self._guarded():
            self._open()

    def run(self, work: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        """`work` in one transaction; `otherwise` when the file cannot be used just now."""
        with self._lock:
            if self._closed:
                return otherwise
            with self._guarded():
                connection = self._connection or self._open()
                with connection:
                    result = work(connection)
                self._recovered()
                return result
        return otherwise

    def try_run(self, work: Callable[[sqlite3.Connection], object]) -> bool:
        """Whether `work` was done and is on disk."""

        def done(connection: sqlite3.Connection) -> bool:
            work(connection)
            return True

        return self.run(done, False)

    def close(self) -> None:
        """Write back the log of changes and let go of the file."""
        with self._lock:
            self._closed = True
            self._drop()

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if any(word in str(error) for word in _DAMAGED):
                self._set_aside(error)
            else:
                self._failed(error)
        except OSError as error:
            self._failed(error)

    def _open(self) -> sqlite3.Connection:
        if self.path is not None:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path or ":memory:", timeout=2.0, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute("PRAGMA journal_size_limit=4194304")
            if connection.execute("PRAGMA user_version").fetchone()[0] not in (0, LAYOUT):
                raise sqlite3.DatabaseError("malformed: written by another version of cockpit")
            with connection:
                connection.executescript(SCHEMA)
                connection.execute(f"PRAGMA user_version={LAYOUT}")
            if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                raise sqlite3.DatabaseError("malformed: it fails SQLite's own check")
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _drop(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _set_aside(self, error: sqlite3.Error) -> None:
        self._drop()
        assert self.path is not None
        stamp = time.strftime("%Y%m%d-%H%M%S")
        aside = self.path.with_name(f"{self.path.name}.corrupt-{stamp}")
        try:
            for suffix in ("-wal", "-shm"):
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
            self.path.replace(aside)
            self._open()
        except (sqlite3.Error, OSError) as trouble:
            self._failed(trouble)
            return
        self._event(
            "warning",
            f"The history file was damaged ({error}) and has been set aside as {aside.name}",
            "A new one has been started; delete the old one when you do not need it.",
        )

    def _failed(self, error: Exception) -> None:
        if self._failing:
            return
        self._failing = True
        self._event(
            "warning",
            f"History cannot be written to {self.path}: {error}",
            "Live figures and the last hour go on in memory; free some space on that disk.",
        )

    def _recovered(self) -> None:
        if self._failing:
            self._failing = False
            self._event("info", "History is being written again")

    def _event(self, severity: Severity, text: str, advice: str = "") -> None:
        log.warning("%s", text)
        self._tell(Event(0, time.time(), "agent", severity, text, advice))
