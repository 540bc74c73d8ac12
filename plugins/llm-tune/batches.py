"""Which examples each step learns from, the same on any number of ranks and after any restart."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

WINDOW = 32
"""Batches that are sorted by length together, at most: long texts meet long ones, so that little
is padded, and still each epoch mixes anew."""


def steps_per_epoch(count: int, batch: int) -> int:
    return math.ceil(count / batch)


def epoch_batches(lengths: Sequence[int], batch: int, seed: int, epoch: int) -> list[list[int]]:
    """All examples of one epoch, each once, as batches of near lengths in random order.

    `lengths` are those of the examples, in tokens. The last batch may be smaller, and lies anywhere.
    """
    dice = random.Random(f"{seed} {epoch}")
    order = list(range(len(lengths)))
    dice.shuffle(order)
    # With few batches a window of one: else an epoch would be as the one before.
    window = batch * max(1, min(WINDOW, len(order) // (4 * batch)))
    for begin in range(0, len(order), window):
        order[begin : begin + window] = sorted(
            order[begin : begin + window], key=lambda at: lengths[at]
        )
    batches = [order[begin : begin + batch] for begin in range(0, len(order), batch)]
    dice.shuffle(batches)
    return batches


def shares(
    batch: Sequence[int], lengths: Sequence[int], ranks: int, micro_batch: int
) -> list[list[list[int]]]:
    """For each rank its part of a batch, as micro-batches of at most `micro_batch` examples.

    Every rank gets as many micro-batches as the others, some of which may be empty; the lengths of
    those that are computed at the same time are near each other.
    """
    order = sorted(batch, key=lambda at: lengths[at])
    own = [order[rank::ranks] for rank in range(ranks)]
    count = math.ceil(len(own[0]) / micro_batch)
    return [
        [part[at * micro_batch : (at + 1) * micro_batch] for at in range(count)] for part in own
    ]
