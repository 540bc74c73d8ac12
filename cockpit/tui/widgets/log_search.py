"""LogSearch: what is looked for in a log, where it was found, and how often it is in there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from cockpit.errors import CockpitError

Match = tuple[int, int]
"""Byte offset and length."""


class AskSearch(Protocol):
    """`Box.job_search` of one job."""

    def __call__(
        self,
        pattern: str,
        offset: int,
        *,
        until: int | None = None,
        backwards: bool = False,
        regex: bool = False,
        limit: int = 100,
    ) -> Awaitable[dict[str, Any]]: ...


class LogSearch:
    """One pattern in one log. The log is searched where it lies; only matches come here."""

    def __init__(self, ask: AskSearch, changed: Callable[[], None]) -> None:
        self.pattern = ""
        self.regex = False
        self.current: Match | None = None
        self.count = 0
        self.counted = 0
        """How far the counting has come, in bytes."""
        self.rank: int | None = None
        """Which of all matches the current one is, from 1."""
        self.whole = False
        """Whether all of the log has been counted."""
        self.problem = ""
        self.seen: tuple[Match, ...] = ()
        """The matches in the part that was highlighted last."""
        self._seen_key: object = None
        self._ask, self._changed = ask, changed

    def begin(self, pattern: str, regex: bool) -> None:
        """Look for something else; nothing for an empty pattern."""
        self.pattern, self.regex = pattern, regex
        self.current, self.rank, self.problem = None, None, ""
        self.count = self.counted = 0
        self.whole = False
        self.seen, self._seen_key = (), None

    async def next(self, size: int, start: int, backwards: bool) -> bool:
        """Find the nearest match from byte `start` on, going round at the end of the log."""
        for offset, until in (
            ((start, 0), (size, start)) if backwards else ((start, size), (0, start))
        ):
            match = await self._first(offset, until, backwards)
            if match is not None:
                self.current, self.rank = match, None
                self._changed()
                return True
        return False

    async def _first(self, offset: int, until: int, backwards: bool) -> Match | None:
        pattern = self.pattern
        while pattern == self.pattern and not self.problem:
            answer = await self._asked(offset, until, backwards, 1)
            if answer is None or answer["matches"] or answer["done"]:
                matches = answer["matches"] if answer else ()
                return (int(matches[0][0]), int(matches[0][1])) if matches else None
            offset = int(answer["reached"])
        return None

    async def count_on(self) -> None:
        """Count what is in the log from where the counting stands to the end, part by part."""
        pattern, regex = self.pattern, self.regex
        while pattern and not self.problem:
            answer = await self._asked(self.counted, None, False, 0)
            if answer is None or (pattern, regex) != (self.pattern, self.regex):
                return
            self.count += int(answer["count"])
            self.counted = int(answer["reached"])
            self.whole = bool(answer["done"])
            self._changed()
            if self.whole:
                return

    async def rank_current(self) -> None:
        """Which of all matches the current one is; told only where all have been counted."""
        current, rank, offset = self.current, 0, 0
        while current is not None and current == self.current and not self.problem:
            answer = await self._asked(offset, current[0], False, 0)
            if answer is None:
                return
            rank, offset = rank + int(answer["count"]), int(answer["reached"])
            if answer["done"]:
                self.rank = rank + 1
                self._changed()
                return

    async def highlight(self, start: int, end: int) -> None:
        """Find the matches between two bytes, which are what is shown."""
        key = (self.pattern, self.regex, start, end)
        if not self.pattern or self.problem or key == self._seen_key:
            return
        self._seen_key = key
        answer = await self._asked(max(start, 0), end, False, 500)
        if answer is not None and key == self._seen_key:
            self.seen = tuple((int(at), int(length)) for at, length in answer["matches"])
            self._changed()

    async def _asked(
        self, offset: int, until: int | None, backwards: bool, limit: int
    ) -> dict[str, Any] | None:
        try:
            return await self._ask(
                self.pattern,
                offset,
                until=until,
                backwards=backwards,
                regex=self.regex,
                limit=limit,
            )
        except CockpitError as error:
            self.problem = str(error).splitlines()[0]
            self._changed()
            return None

    @property
    def words(self) -> str:
        """What is looked for and how much of it there is."""
        if not self.pattern:
            return ""
        kind = "expression " if self.regex else ""
        if self.problem:
            return f"{kind}{self.pattern}  {self.problem}"
        count = f"{self.count:,}".replace(",", " ")
        found = count if self.whole else f"{count} so far"
        if self.whole and not self.count:
            found = "not in this log"
        elif self.rank is not None:
            found = f"{self.rank:,} of {found}".replace(",", " ")
        return f"{kind}{self.pattern}  {found}"
