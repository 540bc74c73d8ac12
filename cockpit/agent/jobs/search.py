"""Searching a log of any size: a bounded piece of it per call, and never all of it in memory.

Plain text is found in the agent itself. A regular expression runs in a process of its own, because
some never come to an end, and only a process can be ended.

A line that is longer than OVERLAP_BYTES may hide a match of an expression that lies across the
border of two chunks; plain text is always found.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

CHUNK_BYTES = 1 << 20
CALL_BYTES = 64 << 20
"""What one call looks through; its answer says where to go on."""
REGEX_CALL_BYTES = 16 << 20
OVERLAP_BYTES = 16 * 1024
REGEX_LIMIT_S = 5.0
MATCHES_MOST = 1000
PATTERN_MOST = 1000

Read = Callable[[int, int], bytes]
"""(offset, limit) → bytes of the log; fewer only at its end."""
Match = tuple[int, int]
"""Byte offset and length."""


@dataclass(frozen=True)
class Query:
    """What to look for, and in which part of the log: bytes `start` to `end`."""

    pattern: str
    start: int
    end: int
    regex: bool = False
    backwards: bool = False
    limit: int = 100
    """Matches to be told; the others are counted."""
    oldest: int = 0
    """The first byte that the log still has."""

    @property
    def ignores_case(self) -> bool:
        """As in `less -i` and vim's smartcase: a pattern in lower case finds both."""
        return self.pattern == self.pattern.lower()


@dataclass(frozen=True)
class Found:
    """The first matches in the direction of the search, how many there were, and where it went on.

    `reached` is the border between what was looked through and what was not.
    """

    matches: list[Match]
    count: int
    reached: int


class SearchError(Exception):
    """The pattern makes no sense, or never came to an end; in words."""


def check(pattern: str, regex: bool) -> None:
    """Raises SearchError for a pattern that cannot be searched for."""
    if not pattern:
        raise SearchError("there is nothing to search for")
    if len(pattern) > PATTERN_MOST:
        raise SearchError(f"a pattern has at most {PATTERN_MOST} characters")
    if regex:
        try:
            compiled = re.compile(pattern.encode())
        except (re.error, OverflowError, RecursionError) as error:
            raise SearchError(f"{pattern[:80]!r} is no regular expression: {error}") from None
        if compiled.match(b""):
            raise SearchError(f"{pattern[:80]!r} matches everywhere, even nothing at all")


def search(read: Read, query: Query) -> Found:
    """Look through the part of the log chunk by chunk. Raises OSError."""
    find = _expressions(query) if query.regex else _texts(query)
    over = OVERLAP_BYTES if query.regex else len(query.pattern.encode()) - 1
    matches: list[Match] = []
    count, reached = 0, query.end if query.backwards else query.start
    for start, end in _chunks(query):
        # With the byte before, so that ^ knows whether a line begins here.
        first = max(start - 1, query.oldest)
        data = read(first, end + over - first)
        # What begins in the overlap belongs to the next chunk.
        found = [(first + at, length) for at, length in find(data, start - first, end - first)]
        count += len(found)
        found = found[::-1] if query.backwards else found
        matches += found[: query.limit - len(matches)]
        reached = start if query.backwards else end
        if query.limit and len(matches) >= query.limit:
            break
    return Found(matches, count, reached)


def _chunks(query: Query) -> Iterator[tuple[int, int]]:
    borders = list(range(query.start, query.end, CHUNK_BYTES))
    chunks = [(start, min(start + CHUNK_BYTES, query.end)) for start in borders]
    return iter(chunks[::-1] if query.backwards else chunks)


def _texts(query: Query) -> Callable[[bytes, int, int], Iterator[Match]]:
    """Finds plain text beginning between two places of some bytes."""
    wanted = query.pattern.encode()

    def find(data: bytes, start: int, end: int) -> Iterator[Match]:
        data = data.lower() if query.ignores_case else data
        at = data.find(wanted, start)
        while 0 <= at < end:
            yield at, len(wanted)
            at = data.find(wanted, at + len(wanted))

    return find


def _expressions(query: Query) -> Callable[[bytes, int, int], Iterator[Match]]:
    """The same for a regular expression."""
    flags = re.MULTILINE | (re.IGNORECASE if query.ignores_case else 0)
    compiled = re.compile(query.pattern.encode(), flags)

    def find(data: bytes, start: int, end: int) -> Iterator[Match]:
        for match in compiled.finditer(data, start):
            if match.start() >= end:
                return
            if match.end() > match.start():
                yield match.start(), match.end() - match.start()

    return find


def search_apart(directory: Path, query: Query) -> Found:
    """The same in a process of its own, over the log of a job directory.

    Raises SearchError when it has not ended after REGEX_LIMIT_S.
    """
    package = str(Path(__file__).resolve().parents[3])
    asked = json.dumps({"package": package, "directory": str(directory), "query": vars(query)})
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", __file__],
            input=asked.encode(),
            capture_output=True,
            timeout=REGEX_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SearchError(
            f"looking for {query.pattern[:80]!r} took more than {REGEX_LIMIT_S:.0f} s"
        ) from None
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise SearchError(f"the search failed: {' '.join(last)[:200]}")
    answer = json.loads(done.stdout)
    return Found([(at, length) for at, length in answer["matches"]], *answer["rest"])


def main() -> None:
    """The process of its own: a question on stdin, the answer on stdout."""
    asked = json.load(sys.stdin)
    sys.path.append(asked["package"])
    from cockpit.agent.jobs import logs

    found = search(logs.reader(Path(asked["directory"])), Query(**asked["query"]))
    print(json.dumps({"matches": found.matches, "rest": (found.count, found.reached)}))


if __name__ == "__main__":
    main()
