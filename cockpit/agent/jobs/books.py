"""The books of the jobs: an account of each that runs, and a line in the ledger when it has ended."""

from __future__ import annotations

import contextlib
import getpass
import logging
import os
import time
from collections.abc import Iterable
from pathlib import Path

from cockpit.agent.jobs.accounting import Account, Rates
from cockpit.agent.jobs.ledger import Ledger, merged, touches
from cockpit.agent.jobs.record import Record
from cockpit.model import LedgerEntry, Run, Snapshot

SAVE_EVERY_S = 10.0
SAVES_AT_ONCE = 8
"""Each is synced, which takes a while: nothing else is served until the last one is done."""
LEDGER = "ledger.jsonl"
log = logging.getLogger(__name__)


class Books:
    """Everything that is written down about what jobs used. One event loop's own."""

    def __init__(self, directory: Path, rates: Rates) -> None:
        self._ledger = Ledger(directory / LEDGER)
        self._rates = rates
        self._user = _user()
        self._unwritten: list[LedgerEntry] = []
        """Lines that a full disk did not take."""

    def open(self, record: Record, snapshot: Snapshot | None) -> None:
        """Begin, or go on with, the account of a job that has its devices."""
        self.reopen(record)
        assert record.account is not None
        if snapshot is not None:
            record.account.observe(snapshot, record.started_s or time.time(), None)

    def reopen(self, record: Record) -> None:
        """Take the account as it was kept."""
        saved = record.directory.read("accounting.json")
        grant = record.grant
        record.account = Account(record.id, grant.gpus, grant.slices, saved)

    def observe(self, records: Iterable[Record], snapshot: Snapshot) -> None:
        """Take in what their GPUs say now, and keep the accounts that were not for the longest."""
        due: list[tuple[float, Account, Record]] = []
        for record in records:
            account = record.account
            if account is None or record.started_s is None:
                continue
            account.observe(snapshot, record.started_s, record.ended_s)
            record.observed_s = snapshot.time_s
            if snapshot.time_s - account.saved_s >= SAVE_EVERY_S:
                due.append((account.saved_s, account, record))
        for _, account, record in sorted(due, key=lambda each: each[0])[:SAVES_AT_ONCE]:
            account.saved_s = snapshot.time_s
            self.save(record)

    def save(self, record: Record) -> None:
        """Keep the account for an agent after this one."""
        if record.account is not None:
            with contextlib.suppress(OSError):
                record.directory.write("accounting.json", record.account.plain())

    def close(self, record: Record) -> None:
        """A job has ended: enter it into the ledger, unless it never had anything."""
        if record.account is None and record.earlier:
            self.reopen(record)
        self.save(record)
        if record.started_s is not None or record.earlier:
            self._unwritten.append(self.entry(record))
            self.catch_up()

    def catch_up(self) -> None:
        """Write what is still to be written; with a disk that takes nothing, later."""
        while self._unwritten:
            try:
                self._ledger.append(self._unwritten[0])
            except OSError as error:
                log.warning("the ledger cannot be written: %s", error)
                return
            del self._unwritten[0]

    def entry(self, record: Record) -> LedgerEntry:
        """What a job used so far."""
        job, account = record.job("", self._rates), record.account
        last = record.earlier[-1] if record.earlier and not record.status else {}
        return LedgerEntry(
            job=job.id,
            name=job.name,
            plugin=job.plugin,
            user=self._user,
            state=job.state,
            submitted_s=job.submitted_s,
            runs=_runs(record),
            gpus=job.gpus or tuple(last.get("gpus", ())),
            slices=job.slices or tuple(last.get("slices", ())),
            gpu_seconds=job.gpu_seconds or 0.0,
            energy_j=job.energy_j,
            gpu_energy_j=account.gpu_energy_j if account else {},
            cost=job.cost,
            co2_g=job.co2_g,
            reason=job.errors.get("energy_j", ""),
        )

    def running(self, live: Iterable[Record]) -> list[LedgerEntry]:
        """What is in no file yet."""
        found = [self.entry(record) for record in live if record.started_s or record.earlier]
        return [*self._unwritten, *found]

    def usage(
        self, since_s: float, until_s: float, running: Iterable[LedgerEntry]
    ) -> list[LedgerEntry]:
        """Every job that had its devices in this span. Reads the ledger; may be called in a thread."""
        live = [entry for entry in running if touches(entry, since_s, until_s)]
        return merged(self._ledger.entries(since_s, until_s), live)


def _runs(record: Record) -> tuple[Run, ...]:
    runs = [
        Run(float(status["started_s"]), float(status["ended_s"]))
        for status in record.earlier
        if "started_s" in status and "ended_s" in status
    ]
    if record.started_s is not None:
        until_s = record.ended_s or record.observed_s or record.started_s
        runs.append(Run(record.started_s, max(record.started_s, until_s)))
    return tuple(runs)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return str(os.getuid())
