"""What a job has told, as a list: its events, kept in a bounded number, newest last."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from cockpit.reports import Report, report
from cockpit.tui import phrases
from cockpit.tui.widgets.table import Column, Row

KEPT = 2000
READ_MOST = 1000
QUIET = ("metrics", "kernel", "progress")
"""Of these only the newest is listed: they come many times a second."""

COLUMNS: tuple[Column, ...] = (
    Column("time", 12),
    Column("", 1),
    Column("kind", 10),
    Column("what", 20, flex=True),
)
_LEVELS = {"info": ("·", "muted"), "warning": ("▲", "warning"), "error": ("✗", "error")}

Ask = Callable[[int, int], Awaitable[dict[str, Any]]]
"""(offset, limit) → the answer of `job.events`."""


class ToldEvents:
    """The events of one job, read on from where the last reading ended."""

    def __init__(self) -> None:
        self.kept: deque[tuple[int, Report]] = deque(maxlen=KEPT)
        self.newest: dict[str, Report] = {}
        self.count = 0
        self._offset = 0

    async def read(self, ask: Ask) -> bool:
        """Read what is new, a part at a time; whether there may be more. Raises CockpitError."""
        answer = await ask(self._offset, READ_MOST)
        for event in answer["events"]:
            self._take(report(event))
        moved = int(answer["end"]) > self._offset
        self._offset = int(answer["end"])
        return moved

    def _take(self, told: Report) -> None:
        self.count += 1
        if told.kind in QUIET:
            self.newest[told.kind] = told
        else:
            self.kept.append((self.count, told))


def told_rows(told: ToldEvents, now_s: float, needle: str = "") -> list[Row]:
    """The newest figures first, then everything else, newest first."""
    latest = sorted(told.newest.values(), key=lambda each: each.kind, reverse=True)
    rows = [_row(each.kind, each, now_s, "newest ") for each in latest]
    rows += [_row(str(number), each, now_s) for number, each in reversed(told.kept)]
    return [row for row in rows if row.matches(needle)]


def _row(key: str, told: Report, now_s: float, before: str = "") -> Row:
    mark, ink = _LEVELS[told.level]
    text = "text" if told.level == "info" else ink
    return Row(
        key,
        (
            (phrases.clock(told.time_s, now_s), "muted"),
            (mark, ink),
            (told.kind, "primary" if told.kind in ("checkpoint", "image") else "muted"),
            ((before, "muted"), (told.text, text)),
        ),
    )


def summary(told: ToldEvents) -> str:
    """How many there were, and how many of them are listed."""
    left = told.count - len(told.kept) - len(told.newest)
    hidden = f", {phrases.number(left)} older figures not listed" if left > 0 else ""
    return f"{phrases.number(told.count)} events{hidden}"
