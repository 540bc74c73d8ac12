"""Prompts of a chosen length: random words by a seed, each one its own, so that no cache helps."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

_TEXT = (
    "time year people way day man thing woman life child world school state family student "
    "group country problem hand part place case week company system program question work "
    "number night point home water room mother area money story fact month lot right study book "
    "eye job word business issue side kind head house service friend father power hour game "
    "line end member law car city name team minute idea body back parent face level office door "
    "health person art war history party result change morning reason research girl guy moment "
    "air teacher force education foot boy age policy music market sense nation plan college "
    "interest death course someone experience behind reach local kill six remain effect use "
    "yeah suggest class control raise care perhaps little late hard field else pass former sell "
    "major sometimes require along develop themselves report role better economic effort decide "
    "rate strong possible heart drug show leader light voice wife whole police mind finally "
    "pull return free military price less according decision explain son hope even view "
    "relationship carry town road drive arm true federal break difference thank receive value "
)
WORDS = tuple(_TEXT.split())


@dataclass(frozen=True)
class Length:
    """How a server counts: a prompt of n words has `overhead + per_word * n` tokens."""

    overhead: float = 0.0
    per_word: float = 1.0
    measured: bool = False

    def words(self, tokens: int) -> int:
        """How many words come nearest to `tokens`; at least one."""
        return max(1, round((tokens - self.overhead) / self.per_word))

    @classmethod
    def through(cls, short: tuple[int, int], long: tuple[int, int]) -> Length | None:
        """From two prompts, each as its words and tokens; None if they make no sense."""
        words, tokens = long[0] - short[0], long[1] - short[1]
        if words <= 0 or tokens <= 0:
            return None
        per_word = tokens / words
        return cls(max(0.0, short[1] - per_word * short[0]), per_word, True)


def prompts(seed: int, words: int, shared_words: int = 0) -> Iterator[str]:
    """Prompts without end, the same for the same seed.

    `shared_words` of each are the same in all and stand first. The first word after them is a
    number of its own, so that even the first block of a prefix cache differs.
    """
    chooser = random.Random(f"{seed}-{words}-{shared_words}")
    shared = chooser.choices(WORDS, k=min(shared_words, words))
    number = chooser.randrange(10**6)
    while True:
        number += 1
        own = words - len(shared)
        told = [str(number), *chooser.choices(WORDS, k=own - 1)] if own else []
        yield " ".join([*shared, *told])
