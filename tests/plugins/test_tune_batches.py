"""Which examples each step learns from: all of them, once an epoch, on any number of ranks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

Modules = Callable[[str], Any]
LENGTHS = st.lists(st.integers(1, 500), min_size=1, max_size=200)


@given(lengths=LENGTHS, batch=st.integers(1, 40), seed=st.integers(0, 9), epoch=st.integers(0, 9))
def test_an_epoch_has_each_example_once_in_batches_of_one_size(
    tune_module: Modules, lengths: list[int], batch: int, seed: int, epoch: int
) -> None:
    batches = tune_module("batches")
    found = batches.epoch_batches(lengths, batch, seed, epoch)
    assert sorted(at for some in found for at in some) == list(range(len(lengths)))
    assert len(found) == batches.steps_per_epoch(len(lengths), batch)
    assert sorted(map(len, found))[1:] == [batch] * (len(found) - 1)
    assert found == batches.epoch_batches(lengths, batch, seed, epoch), "after a restart too"


def test_epochs_and_seeds_mix_anew_and_long_texts_meet_long_ones(tune_module: Modules) -> None:
    batches = tune_module("batches")
    lengths = [(7919 * at) % 1000 + 1 for at in range(1000)]
    epochs = [batches.epoch_batches(lengths, 8, 0, epoch) for epoch in range(3)]
    assert epochs[0] != epochs[1] != epochs[2]
    assert batches.epoch_batches(lengths, 8, 1, 0) != epochs[0]
    padded = sum(max(lengths[at] for at in some) * len(some) for some in epochs[0])
    assert padded < 1.1 * sum(lengths), "in random batches a third and more would be padding"
    few = [batches.epoch_batches(lengths[:20], 4, 0, epoch) for epoch in range(2)]
    assert {frozenset(some) for some in few[0]} != {frozenset(some) for some in few[1]}


@given(lengths=LENGTHS, ranks=st.integers(1, 10), micro_batch=st.integers(1, 16), data=st.data())
def test_ranks_share_a_batch_without_a_rest_and_in_as_many_parts(
    tune_module: Modules, lengths: list[int], ranks: int, micro_batch: int, data: st.DataObject
) -> None:
    batch = data.draw(st.lists(st.sampled_from(range(len(lengths))), min_size=1, unique=True))
    parts = tune_module("batches").shares(batch, lengths, ranks, micro_batch)
    assert len(parts) == ranks
    assert len({len(own) for own in parts}) == 1, "else one rank would wait for ever"
    assert sorted(at for own in parts for some in own for at in some) == sorted(batch)
    assert all(len(some) <= micro_batch for own in parts for some in own)
