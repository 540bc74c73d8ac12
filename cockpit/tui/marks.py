"""Marks: which rows of a list are selected, by key. Pure: no Textual."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


class Marks:
    """A set of keys, and the end of a range that is being extended."""

    def __init__(self) -> None:
        self.keys: frozenset[str] = frozenset()
        self.anchor: str | None = None
        """Where a range that follows the cursor begins; None when none does."""
        self.lasting = False
        """Whether the range follows every movement, not only those that mark."""
        self._before: frozenset[str] = frozenset()
        """What was marked before the range began."""

    def keep(self, keys: Iterable[str]) -> None:
        """Let go of rows that are no longer there."""
        if not self.keys and self.anchor is None:
            return
        there = frozenset(keys)
        self.keys, self._before = self.keys & there, self._before & there
        if self.anchor not in there:
            self.end()

    def toggle(self, key: str) -> None:
        """Mark a row, or no longer."""
        self.end()
        self.keys ^= {key}

    def set(self, keys: Iterable[str]) -> None:
        """Mark these and no others."""
        self.end()
        self.keys = frozenset(keys)

    def begin(self, key: str, lasting: bool = False) -> None:
        """Begin a range at a row; it joins what is marked already."""
        self.anchor, self.lasting, self._before = key, lasting, self.keys
        self.keys |= {key}

    def extend(self, keys: Sequence[str], key: str) -> None:
        """Let the range that has begun reach to `key`."""
        if self.anchor not in keys or key not in keys:
            return
        first, last = sorted((keys.index(self.anchor), keys.index(key)))
        self.keys = self._before | frozenset(keys[first : last + 1])

    def end(self) -> None:
        """The range stays as it is; the cursor moves on without it."""
        self.anchor, self.lasting = None, False
