"""The ledger: a line for each job that has ended, which stays when the job is removed.

A line is appended before the job is closed for good. A crash in between writes it a second time, so
readers take the last line of each job; half a line, which a crash leaves too, is passed over.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from cockpit import codec
from cockpit.model import LedgerEntry


class Ledger:
    """One file of JSON lines."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, entry: LedgerEntry) -> None:
        """Write a line for good. Raises OSError."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            line = codec.dumps(entry).encode() + b"\n"
            data = b"\n" + line if torn else line
            if os.write(descriptor, data) != len(data):
                raise OSError(f"{self.path}: the disk is full")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def entries(self, since_s: float, until_s: float) -> list[LedgerEntry]:
        """Every job that had its devices at some time in this span, by its end. Raises OSError."""
        found: dict[tuple[str, float], LedgerEntry] = {}
        try:
            with self.path.open("rb") as file:
                for line in file:
                    entry = _read(line)
                    if entry is not None and touches(entry, since_s, until_s):
                        found[entry.job, entry.submitted_s] = entry
        except FileNotFoundError:
            return []
        return list(found.values())


def touches(entry: LedgerEntry, since_s: float, until_s: float) -> bool:
    """Whether any of its runs lies in the span."""
    return any(run.started_s < until_s and run.ended_s >= since_s for run in entry.runs)


def merged(ended: Iterable[LedgerEntry], live: Iterable[LedgerEntry]) -> list[LedgerEntry]:
    """Both, where a job that is still being closed stands in both: then its line counts."""
    found = {(entry.job, entry.submitted_s): entry for entry in (*live, *ended)}
    return list(found.values())


def _read(line: bytes) -> LedgerEntry | None:
    try:
        return codec.loads(LedgerEntry, json.loads(line))
    except (ValueError, TypeError):
        return None
