"""Energy per GPU and local day, from the differences of NVML's energy counters."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator
from typing import Any

from cockpit.agent.telemetry.store import Store
from cockpit.model import Gpu

MOST_W = 2000.0
"""No GPU draws more: a counter that ran ahead of this belongs to another life of the driver."""

SLACK_S = 10.0
"""Counters are refreshed in steps; a difference may belong to a little more time than has passed."""

KEPT_DAYS = 400


class Energy:
    """Joules by day and GPU. A stretch in which nobody looked is spread evenly over its days.

    A counter that went back (the driver was loaded anew) counts from zero: that much was used at
    least. `add` belongs to one thread; `days` and `save` may come from another.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._joules: dict[tuple[str, str], float] = {}
        self._counters: dict[str, tuple[float, float]] = {}
        self._today, self._midnight = "", (0.0, 0.0)
        self._today_j = 0.0
        self._load()

    def _load(self) -> None:
        def read(database: sqlite3.Connection) -> tuple[list[Any], list[Any]]:
            since = _day(time.time() - 2 * 86_400)
            return (
                database.execute("SELECT * FROM energy WHERE day >= ?", (since,)).fetchall(),
                database.execute("SELECT gpu, joules, time_s FROM counters").fetchall(),
            )

        nothing: tuple[list[Any], list[Any]] = ([], [])
        days, counters = self._store.run(read, nothing)
        self._joules = {(day, gpu): joules for day, gpu, joules in days}
        self._counters = {gpu: (joules, time_s) for gpu, joules, time_s in counters}

    def add(self, time_s: float, gpus: Iterable[Gpu]) -> float | None:
        """Count one tick; the joules of the box since local midnight, None if no counter answers."""
        if not self._midnight[0] <= time_s < self._midnight[1]:
            self._turn_page(time_s)
        start = self._midnight[0]
        counters, readable = self._counters, False
        for gpu in gpus:
            counter = gpu.energy_j
            if counter is None:
                continue
            readable = True
            before = counters.get(gpu.uuid)
            counters[gpu.uuid] = (counter, time_s)
            if before is None:
                continue
            joules = used(before, (counter, time_s))
            if before[1] >= start:
                self._today_j += joules
                key = (self._today, gpu.uuid)
                self._joules[key] = self._joules.get(key, 0.0) + joules
            else:
                self._spread(gpu.uuid, before[1], time_s, joules)
        return self._today_j if readable else None

    def _turn_page(self, time_s: float) -> None:
        self._midnight = _bounds(time_s)
        self._today = _day(time_s)
        self._today_j = sum(
            joules for (day, _), joules in self._joules.items() if day == self._today
        )

    def _spread(self, gpu: str, since_s: float, until_s: float, joules: float) -> None:
        for day, share in shares(since_s, until_s):
            self._joules[day, gpu] = self._joules.get((day, gpu), 0.0) + joules * share
            if day == self._today:
                self._today_j += joules * share

    def save(self) -> None:
        """Write the days and counters. Blocks on the disk."""
        days = [(day, gpu, joules) for (day, gpu), joules in list(self._joules.items())]
        counters = [(gpu, *value) for gpu, value in list(self._counters.items())]

        def write(database: sqlite3.Connection) -> None:
            database.executemany("REPLACE INTO energy VALUES (?, ?, ?)", days)
            database.executemany("REPLACE INTO counters VALUES (?, ?, ?)", counters)
            oldest = time.time() - KEPT_DAYS * 86_400
            database.execute("DELETE FROM energy WHERE day < ?", (_day(oldest),))
            database.execute("DELETE FROM counters WHERE time_s < ?", (oldest,))

        if self._store.try_run(write):
            for day, gpu, _ in days:
                if day < _day(time.time() - 2 * 86_400):
                    self._joules.pop((day, gpu), None)

    def days(self, since_s: float, until_s: float) -> list[dict[str, Any]]:
        """`{"day", "gpu", "energy_j"}` of every local day that touches the time, oldest first."""
        first, last = _day(since_s), _day(until_s)

        def read(database: sqlite3.Connection) -> list[tuple[str, str, float]]:
            return database.execute(
                "SELECT day, gpu, joules FROM energy WHERE day BETWEEN ? AND ?", (first, last)
            ).fetchall()

        rows: list[tuple[str, str, float]] = self._store.run(read, [])
        found = {(day, gpu): joules for day, gpu, joules in rows}
        found.update({key: j for key, j in list(self._joules.items()) if first <= key[0] <= last})
        return [
            {"day": day, "gpu": gpu, "energy_j": round(joules, 3)}
            for (day, gpu), joules in sorted(found.items())
        ]


def used(before: tuple[float, float], after: tuple[float, float]) -> float:
    """Joules between two (counter, time) readings; 0 when the difference cannot be energy."""
    joules = after[0] - before[0] if after[0] >= before[0] else after[0]
    elapsed = max(0.0, after[1] - before[1])
    return joules if joules <= MOST_W * (elapsed + SLACK_S) else 0.0


def shares(since_s: float, until_s: float) -> Iterator[tuple[str, float]]:
    """The local days between two times, each with its share of the time."""
    whole = until_s - since_s
    while since_s < until_s:
        end = min(until_s, _bounds(since_s)[1])
        yield _day(since_s), (end - since_s) / whole
        since_s = end


def _day(time_s: float) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(time_s))


def _bounds(time_s: float) -> tuple[float, float]:
    """Midnight before and midnight after, in local time; days of 23 and 25 hours included."""
    local = time.localtime(time_s)
    start = (local.tm_year, local.tm_mon, local.tm_mday, 0, 0, 0, 0, 0, -1)
    end = (local.tm_year, local.tm_mon, local.tm_mday + 1, 0, 0, 0, 0, 0, -1)
    return time.mktime(start), time.mktime(end)
