"""What every GPU did: second by second for an hour, in coarser tiers for a day and for 30 days.

The last hour lives in memory (`Ring`). Whole minutes of it are written to the 1 s tier on disk;
when ten minutes or an hour of those are complete they are condensed to a block of the 10 s or the
60 s tier, so that a tick costs no arithmetic and a restart loses at most a minute.
"""

from __future__ import annotations

import json
import math
import sqlite3
import time
from array import array
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter

from cockpit.agent.telemetry import tiers
from cockpit.agent.telemetry.ring import SIZE, Ring
from cockpit.agent.telemetry.store import Store
from cockpit.agent.telemetry.tiers import BLOCK, KEPT_S, MINUTES, NAN, SECONDS, TENS, WIDTH
from cockpit.model import HISTORY_METRICS, THROTTLE_BITS, Gpu, Series

MOST_POINTS = 5000
CONDENSE_GRACE_S = 3600
"""Seconds of the 1 s tier kept beyond its reach, so that an hour is condensed from whole minutes."""

_readings = attrgetter(*HISTORY_METRICS[:-1])


class History:
    """All tiers of all GPUs. `add` belongs to one thread; the rest may come from another."""

    def __init__(
        self, store: Store, persist: bool = True, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._persist = persist
        self._clock = clock
        self._rings: dict[str, Ring] = {}
        self._masks: dict[tuple[str, ...], float] = {}
        self._last_s = 0.0
        self._unsaved_from: int | None = None

    # Filling

    def add(self, time_s: float, gpus: Iterable[Gpu], step_s: float = 1.0) -> None:
        """Keep the readings of one tick, which stand for the `step_s` seconds up to `time_s`."""
        second = int(time_s)
        # Two ticks a second apart can fall on either side of a whole second: no gap is meant.
        first = second
        if 0 < time_s - self._last_s <= max(step_s, 1.0) * 1.6:
            first = min(second, int(self._last_s) + 1)
        for gpu in gpus:
            ring = self._rings.get(gpu.uuid)
            if ring is None:
                ring = self._rings.setdefault(gpu.uuid, Ring())
            row = [NAN if value is None else value for value in _readings(gpu)]
            row.append(NAN if gpu.state == "lost" else self._mask(gpu.throttle_reasons))
            for each in range(first, second + 1):
                ring.put(each, row)
        if self._unsaved_from is None:
            self._unsaved_from = first
        self._last_s = time_s

    def _mask(self, reasons: tuple[str, ...]) -> float:
        mask = self._masks.get(reasons)
        if mask is None:
            mask = float(sum(THROTTLE_BITS.get(reason, 0) for reason in set(reasons)))
            self._masks[reasons] = mask
        return mask

    # Disk

    def load(self) -> None:
        """Take the last hour back from disk; a second that has been read since then stays."""

        def read(database: sqlite3.Connection) -> list[tuple[str, int, bytes]]:
            self._check_metrics(database)
            rows = database.execute(
                "SELECT gpu, start, data FROM blocks WHERE tier = ? AND start > ?",
                (SECONDS, self._clock() - SIZE + BLOCK),
            )
            return rows.fetchall()

        rows: list[tuple[str, int, bytes]] = self._store.run(read, [])
        for gpu, start, data in rows:
            ring = self._rings.setdefault(gpu, Ring())
            values = tiers.unpack(data)
            for offset in range(BLOCK):
                row = values[offset::BLOCK]
                if not ring.has(start + offset) and any(value == value for value in row):
                    ring.put(start + offset, row)

    @staticmethod
    def _check_metrics(database: sqlite3.Connection) -> None:
        """Blocks are columns without names: those of another set of metrics cannot be read."""
        metrics = json.dumps(HISTORY_METRICS)
        row = database.execute("SELECT value FROM meta WHERE key = 'metrics'").fetchone()
        if row is None or row[0] != metrics:
            database.execute("DELETE FROM blocks")
            database.execute("REPLACE INTO meta VALUES ('metrics', ?)", (metrics,))

    def save(self, whole_minutes: bool = True) -> None:
        """Write what is new, condense what is complete, forget what is too old. Blocks on the disk."""
        if not self._persist or self._unsaved_from is None:
            return
        end = int(self._last_s) + 1
        if whole_minutes:
            end -= end % BLOCK
        begin = max(self._unsaved_from, end - SIZE + BLOCK)
        rows = [
            (SECONDS, gpu, start, tiers.pack(columns))
            for gpu, ring in list(self._rings.items())
            for start in range(begin - begin % BLOCK, end, BLOCK)
            if (columns := ring.minute(start)) is not None
        ]

        def write(database: sqlite3.Connection) -> None:
            self._check_metrics(database)
            database.executemany("REPLACE INTO blocks VALUES (?, ?, ?, ?)", rows)
            for tier in (TENS, MINUTES):
                _condense_due(database, tier, end)
            for tier, kept in KEPT_S.items():
                reach = kept + (CONDENSE_GRACE_S if tier == SECONDS else BLOCK * tier)
                database.execute(
                    "DELETE FROM blocks WHERE tier = ? AND start < ?", (tier, end - reach)
                )

        if self._store.try_run(write):
            self._unsaved_from = end

    # Asking

    def knows(self, gpu: str) -> bool:
        """Whether anything was ever kept of that GPU."""
        if gpu in self._rings:
            return True

        def look(database: sqlite3.Connection) -> bool:
            found = database.execute("SELECT 1 FROM blocks WHERE gpu = ? LIMIT 1", (gpu,))
            return found.fetchone() is not None

        return self._store.run(look, False)

    def series(
        self, gpu: str, metric: str, since_s: float, until_s: float, points: int = 400
    ) -> Series:
        """`metric` between two times in at most `points` buckets, each keeping minimum and maximum.

        The finest tier that reaches back to `since_s` is used. ValueError for an unknown metric.
        """
        if metric not in HISTORY_METRICS:
            raise ValueError(
                f"there is no history of {metric!r}; there is: {', '.join(HISTORY_METRICS)}"
            )
        column = HISTORY_METRICS.index(metric)
        points = max(1, min(points, MOST_POINTS))
        newest = self._last_s or self._clock()
        oldest = newest - KEPT_S[MINUTES]
        since_s = max(since_s, oldest - BLOCK * MINUTES)
        until_s = max(since_s, min(until_s, newest + 86_400))
        tier = next((each for each in (SECONDS, TENS) if newest - since_s <= KEPT_S[each]), MINUTES)
        width = tiers.bucket_width(since_s, until_s, tier, points)
        found = self._points(gpu, column, tier, since_s, until_s)
        buckets = _gather(found, since_s, until_s, width, column == tiers.MASK)
        return _series(gpu, metric, width, since_s, buckets)

    def _points(
        self, gpu: str, column: int, tier: int, since_s: float, until_s: float
    ) -> list[tiers.Point]:
        """Buckets of one tier in order: from disk, then from memory where the disk ends."""
        begin = math.floor(since_s / tier) * tier
        end = math.floor(until_s) + 1
        found: list[tiers.Point] = []
        if tier != SECONDS:
            found, begin = self._stored_points(gpu, column, tier, begin, end)
        ring = self._rings.get(gpu)
        if ring is None:
            return found
        begin = max(begin, (ring.newest - SIZE) // tier * tier + tier)
        merge = tiers.masks if column == tiers.MASK else tiers.numbers
        for start in range(begin, min(end, ring.newest + 1), tier):
            values = [ring.get(start + offset, column) for offset in range(tier)]
            found.append((start, *merge(values)))
        return found

    def _stored_points(
        self, gpu: str, column: int, tier: int, begin: int, end: int
    ) -> tuple[list[tiers.Point], int]:
        """What the disk has, and the time from which memory is to be asked."""

        def read(database: sqlite3.Connection) -> list[tuple[int, bytes]]:
            return database.execute(
                "SELECT start, data FROM blocks WHERE tier = ? AND gpu = ? AND start > ?"
                " AND start < ? ORDER BY start",
                (tier, gpu, begin - BLOCK * tier, end),
            ).fetchall()

        found: list[tiers.Point] = []
        rows: list[tuple[int, bytes]] = self._store.run(read, [])
        for start, data in rows:
            values = tiers.unpack(data)
            first = column * 3 * BLOCK
            low, mean, high = (
                values[first + part * BLOCK : first + (part + 1) * BLOCK] for part in range(3)
            )
            found.extend(
                (start + offset * tier, low[offset], mean[offset], high[offset])
                for offset in range(BLOCK)
                if begin <= start + offset * tier < end
            )
        return found, int(found[-1][0]) + tier if found else begin


def _condense_due(database: sqlite3.Connection, tier: int, now: int) -> None:
    """Make the block of `tier` for every stretch of the 1 s tier that is over and has none yet."""
    length = BLOCK * tier
    due = database.execute(
        "SELECT DISTINCT gpu, start / ? * ? AS span FROM blocks AS seconds WHERE tier = ?"
        " AND span + ? <= ? AND NOT EXISTS (SELECT 1 FROM blocks WHERE tier = ?"
        " AND gpu = seconds.gpu AND start = seconds.start / ? * ?)",
        (length, length, SECONDS, length, now, tier, length, length),
    ).fetchall()
    for gpu, span in due:
        rows = database.execute(
            "SELECT start, data FROM blocks WHERE tier = ? AND gpu = ? AND start >= ? AND start < ?",
            (SECONDS, gpu, span, span + length),
        ).fetchall()
        columns = [array("f", [NAN]) * length for _ in range(WIDTH)]
        for start, data in rows:
            values = tiers.unpack(data)
            offset = start - span
            for metric, column in enumerate(columns):
                column[offset : offset + BLOCK] = values[metric * BLOCK : (metric + 1) * BLOCK]
        block = tiers.pack(tiers.condense(columns, tier))
        database.execute("REPLACE INTO blocks VALUES (?, ?, ?, ?)", (tier, gpu, span, block))


def _gather(
    found: Sequence[tiers.Point], since_s: float, until_s: float, width: int, mask: bool
) -> list[tiers.Bucket]:
    """Points sorted into aligned buckets of `width` seconds."""
    first = math.floor(since_s / width)
    members: list[list[tiers.Point]] = [[] for _ in range(first, math.floor(until_s / width) + 1)]
    for point in found:
        members[math.floor(point[0] / width) - first].append(point)
    return [tiers.merge_points(each, mask) for each in members]


def _series(
    gpu: str, metric: str, width: int, since_s: float, buckets: Sequence[tiers.Bucket]
) -> Series:
    first = math.floor(since_s / width)
    parts: list[list[float | None]] = [
        # float32 shows as 312.34500122: the digits beyond the third are not measured ones.
        [None if bucket[part] != bucket[part] else round(bucket[part], 3) for bucket in buckets]
        for part in range(3)
    ]
    return Series(
        gpu,
        metric,
        float(width),
        tuple([float((first + number) * width) for number in range(len(buckets))]),
        tuple(parts[0]),
        tuple(parts[1]),
        tuple(parts[2]),
    )
