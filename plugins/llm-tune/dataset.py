"""All the rows that a person named: what they teach, and what is wrong with the bad ones."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reading import Place, files_of, rows_of
from rows import Conversation, Preference, read_row

SHOWN = 10
"""Bad rows that are told one by one; all are counted."""
EXAMPLE = Path(__file__).parent / "examples" / "cockpit.jsonl"
PAIRS = Path(__file__).parent / "examples" / "cockpit_pairs.jsonl"
HELD_OUT_EXAMPLE = Path(__file__).parent / "examples" / "cockpit_asked_otherwise.jsonl"


@dataclass(frozen=True)
class Example:
    """What one good row teaches, and where it stands."""

    place: Place
    lesson: Conversation | Preference


@dataclass(frozen=True)
class Problem:
    """What is wrong with one row, and what it should be."""

    place: Place
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


@dataclass(frozen=True)
class Read:
    """The good and the bad rows of some files."""

    examples: tuple[Example, ...]
    problems: tuple[Problem, ...]


def read_examples(path: Path, preferences: bool) -> Read:
    """Every row of a file, or of the files in a folder.

    Raises ValueError, in words for the person, if a file cannot be read at all.
    """
    examples, problems = [], []
    for file in files_of(path):
        for row in rows_of(file):
            try:
                if row.problem:
                    raise ValueError(row.problem)
                examples.append(Example(row.place, read_row(row.value, preferences)))
            except ValueError as error:
                problems.append(Problem(row.place, str(error)))
    return Read(tuple(examples), tuple(problems))


def told(problems: Sequence[Problem], good: int) -> str:
    """The bad rows in words: how many there are, and the first ten."""
    count = len(problems)
    lines = [f"{count:,} of {count + good:,} rows cannot be used:"]
    lines += [f"  {problem}" for problem in problems[:SHOWN]]
    if count > SHOWN:
        lines.append(f"  … and {count - SHOWN:,} more")
    return "\n".join(lines)


def hold_out(
    examples: Sequence[Example], share: float, seed: int
) -> tuple[list[Example], list[Example]]:
    """Those to learn and those to evaluate with: `share` of all, drawn by `seed`.

    Rows that teach the very same are kept on one side, so that nothing is evaluated that was
    learned. Under ten different rows none is held out: there is nothing to spare.
    """
    groups: dict[Conversation | Preference | str, list[Example]] = {}
    for example in examples:
        groups.setdefault(repr(example.lesson), []).append(example)
    if share <= 0 or len(groups) < 10:
        return list(examples), []
    wanted = max(1, round(share * len(groups)))
    held = set(random.Random(seed).sample(sorted(groups), wanted))
    kept = [example for example in examples if repr(example.lesson) not in held]
    return kept, [example for key in groups if key in held for example in groups[key]]


def digest(examples: Sequence[Example]) -> str:
    """A short name for just these lessons in this order."""
    sums = hashlib.sha256()
    for example in examples:
        sums.update(repr(example.lesson).encode())
    return sums.hexdigest()[:16]
