"""jobs.sqlite: queue, allocations and history in one table each, for a quick start and for sums.

The job directories are the truth. This file holds nothing that they do not: it can be deleted or be
damaged at any time and is made again from them. It is written a moment after things happen, many
changes in one transaction, in a thread, so that no submission and no start ever waits for it.

`jobs` has one row for each job: the figures that sums are made of as columns of their own, the whole
Job as JSON in `document`, and in `stamp` which `ended.json` that was (empty while the job lives).
`allocations` has one row for each device that a job has or had.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from cockpit import codec
from cockpit.model import Job

T = TypeVar("T")
log = logging.getLogger(__name__)

FILE = "jobs.sqlite"
LAYOUT = 1
"""`PRAGMA user_version` of the file; one of another layout is made anew."""
SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id INTEGER PRIMARY KEY, name TEXT, plugin TEXT, state TEXT, array_id TEXT, token TEXT,
    submitted_s REAL, started_s REAL, ended_s REAL, gpu_seconds REAL, energy_j REAL, cost REAL,
    co2_g REAL, stamp TEXT, document TEXT);
CREATE INDEX IF NOT EXISTS jobs_ended ON jobs (ended_s);
CREATE TABLE IF NOT EXISTS allocations (
    uuid TEXT, job INTEGER, from_s REAL, until_s REAL, PRIMARY KEY (uuid, job)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS allocations_job ON allocations (job);
"""
COLUMNS = (
    *("id", "name", "plugin", "state", "array_id", "token", "submitted_s", "started_s"),
    *("ended_s", "gpu_seconds", "energy_j", "cost", "co2_g", "stamp", "document"),
)
_INSERT = (
    f"INSERT OR REPLACE INTO jobs ({', '.join(COLUMNS)})"
    f" VALUES ({', '.join(':' + name for name in COLUMNS)})"
)
_SELECT = f"SELECT {', '.join(COLUMNS)} FROM jobs"


@dataclass(frozen=True)
class Row:
    """One job as the index has it; the columns are those of the table."""

    id: int
    name: str
    plugin: str | None
    state: str
    array_id: str | None
    token: str | None
    submitted_s: float
    started_s: float | None
    ended_s: float | None
    gpu_seconds: float | None
    energy_j: float | None
    cost: float | None
    co2_g: float | None
    stamp: str
    document: str


@dataclass(frozen=True)
class Note:
    """What is to be written of one job."""

    job: Job
    token: str | None
    stamp: str


class JobIndex:
    """The file, and what is still to be written to it. Safe to use from any thread."""

    def __init__(self, directory: Path, everything: Callable[[], Iterable[Note]]) -> None:
        """`everything` makes the file whole again when it has been lost while in use."""
        self.path = directory / FILE
        self._everything = everything
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._changed: dict[str, Note] = {}
        self._removed: set[str] = set()

    def ended(self, since_s: float, until_s: float) -> list[Row]:
        """The jobs that ended from `since_s` on and before `until_s`, in the order of their end.

        What is still to be written is written first, so that no job is missing. Empty when the file
        cannot be used just now.
        """
        query = f"{_SELECT} WHERE ended_s >= ? AND ended_s < ? ORDER BY ended_s, id"
        found: list[Row] | None = None
        for _ in range(2):
            self.flush()
            found = self._run(lambda db: _rows(db.execute(query, (since_s, until_s))), None)
            if found is not None:
                break
        return found or []

    def rows(self) -> dict[str, Row]:
        """Every job by id. A file that is damaged is deleted, and then there is none."""
        found: list[Row] = self._run(lambda db: _rows(db.execute(_SELECT)), [])
        return {str(row.id): row for row in found}

    def note(self, job: Job, token: str | None, stamp: str = "") -> None:
        """Remember to write this job as it is now. Costs nothing: `flush` does the work."""
        with self._lock:
            self._changed[job.id] = Note(job, token, stamp)

    def forget(self, job_id: str) -> None:
        """Remember to take a job out."""
        with self._lock:
            self._changed.pop(job_id, None)
            self._removed.add(job_id)

    @property
    def waiting(self) -> bool:
        """True while there is something to write."""
        return bool(self._changed or self._removed)

    def flush(self) -> None:
        """Write everything that is remembered, in one transaction. Blocks; never raises."""
        with self._lock:
            changed, self._changed = self._changed, {}
            removed, self._removed = self._removed, set()
        if not changed and not removed:
            return
        if not self._run(lambda db: _write(db, changed.values(), removed), False):
            with self._lock:
                self._changed = {**changed, **self._changed}
                self._removed |= removed

    def close(self) -> None:
        """Write what is left and let go of the file."""
        self.flush()
        with self._lock:
            self._drop()

    def _run(self, work: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        """`work` in one transaction; `otherwise` if the file is damaged or cannot be written."""
        with self._lock:
            try:
                connection = self._connection or self._open()
                with connection:
                    return work(connection)
            except sqlite3.DatabaseError as error:
                log.warning("%s: %s", self.path, error)
                self._drop()
                if not isinstance(error, sqlite3.OperationalError):
                    self._delete()
                    self._changed.update({note.job.id: note for note in self._everything()})
            except OSError as error:
                log.warning("%s: %s", self.path, error)
        return otherwise

    def _open(self) -> sqlite3.Connection:
        with contextlib.suppress(sqlite3.DatabaseError):
            return self._connect()
        self._delete()
        return self._connect()

    def _connect(self) -> sqlite3.Connection:
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.close(descriptor)
        connection = sqlite3.connect(self.path, timeout=5.0, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            # A power cut may cost the last changes: their directories have them.
            connection.execute("PRAGMA synchronous=OFF")
            if connection.execute("PRAGMA user_version").fetchone()[0] not in (0, LAYOUT):
                raise sqlite3.DatabaseError("written by another version of cockpit")
            connection.executescript(SCHEMA)
            connection.execute(f"PRAGMA user_version={LAYOUT}")
            if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                raise sqlite3.DatabaseError("damaged")
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

    def _delete(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(OSError):
                self.path.with_name(self.path.name + suffix).unlink()


def _rows(cursor: Iterable[tuple[object, ...]]) -> list[Row]:
    return [Row(*values) for values in cursor]  # type: ignore[arg-type]


def _write(db: sqlite3.Connection, changed: Iterable[Note], removed: set[str]) -> bool:
    notes = list(changed)
    gone = [(int(job_id),) for job_id in removed]
    db.executemany("DELETE FROM jobs WHERE id = ?", gone)
    db.executemany(
        "DELETE FROM allocations WHERE job = ?", [*gone, *((int(note.job.id),) for note in notes)]
    )
    db.executemany(_INSERT, [_values(note) for note in notes])
    db.executemany(
        "INSERT INTO allocations VALUES (?, ?, ?, ?)",
        [row for note in notes for row in _allocations(note.job)],
    )
    return True


def _values(note: Note) -> dict[str, object]:
    job = note.job
    array_id = job.array.id if job.array else None
    own = {
        "token": note.token,
        "stamp": note.stamp,
        "array_id": array_id,
        "document": codec.dumps(job),
    }
    return {**{name: getattr(job, name) for name in COLUMNS if name not in own}, **own}


def _allocations(job: Job) -> Iterator[tuple[str, int, float | None, float | None]]:
    for uuid in dict.fromkeys((*job.gpus, *job.slices)):
        yield uuid, int(job.id), job.started_s, job.ended_s
