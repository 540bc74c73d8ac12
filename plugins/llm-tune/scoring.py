"""How probable the model finds answers, and the losses made of that.

Both kinds of learning need the same figure, the log-probability of each answer: its mean over the
tokens is the loss of supervised fine-tuning, and the preference of one answer over another, beyond
what the model had at the start, is that of DPO.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from tokens import Sample
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

CHUNK_TOKENS = 1024
"""Learned tokens whose logits are in memory at once: with a large vocabulary they are what fills
it. They are computed again in the backward pass."""


class Batch:
    """Some samples, padded at the end to the longest, on one device."""

    def __init__(self, samples: Sequence[Sample], padding: int, device: str) -> None:
        length = max(len(sample.ids) for sample in samples)
        shape = (len(samples), length)
        ids = torch.full(shape, padding, dtype=torch.long)
        attention = torch.zeros(shape, dtype=torch.long)
        learned = torch.zeros(shape, dtype=torch.bool)
        for row, sample in enumerate(samples):
            count = len(sample.ids)
            ids[row, :count] = torch.tensor(sample.ids, dtype=torch.long)
            attention[row, :count] = 1
            learned[row, :count] = torch.tensor(list(sample.learned), dtype=torch.bool)
        # Nothing comes before the first token, so that it cannot be foretold.
        learned[:, 0] = False
        self.tokens = int(attention.sum())
        self.learned_tokens = int(learned.sum())
        self.tensors = tuple(each.to(device) for each in (ids, attention, learned))


class Scorer(nn.Module):
    """A causal language model that gives log-probabilities of the learned tokens, summed by row.

    Logits are made for learned tokens alone, some at a time. `whole_logits` asks the model for all
    of them instead, for a model whose head does more than one matrix product.
    """

    def __init__(self, model: Any, whole_logits: bool = False) -> None:
        super().__init__()
        self.model = model
        self.whole_logits = whole_logits

    def forward(self, ids: Any, attention: Any, learned: Any) -> Any:
        """ids, attention, learned: rows × tokens. Returns float32, one figure for each row."""
        chosen = learned[:, 1:]
        targets = ids[:, 1:][chosen]
        if self.whole_logits:
            logits = self.model(input_ids=ids, attention_mask=attention, use_cache=False).logits
            known = _log_probabilities(logits[:, :-1][chosen], targets)
        else:
            hidden = self.hidden(ids, attention)[:, :-1][chosen]
            known = self._of_hidden(hidden, targets)
        rows = known.new_zeros(chosen.shape).masked_scatter(chosen, known)
        return rows.sum(dim=1)

    def hidden(self, ids: Any, attention: Any) -> Any:
        """What the head is given: rows × tokens × width."""
        causal = causal_of(self.model)
        body = getattr(causal, causal.base_model_prefix)
        return body(input_ids=ids, attention_mask=attention, use_cache=False).last_hidden_state

    def _of_hidden(self, hidden: Any, targets: Any) -> Any:
        head = causal_of(self.model).get_output_embeddings()
        if not len(targets):
            # A rank without examples takes part in the sum of gradients all the same.
            return hidden.float().sum(dim=-1)

        def part(some_hidden: Any, some_targets: Any) -> Any:
            return _log_probabilities(head(some_hidden), some_targets)

        pieces = zip(hidden.split(CHUNK_TOKENS), targets.split(CHUNK_TOKENS), strict=True)
        if torch.is_grad_enabled() and len(targets) > CHUNK_TOKENS:
            return torch.cat([checkpoint(part, *piece, use_reentrant=False) for piece in pieces])
        return torch.cat([part(*piece) for piece in pieces])


def causal_of(model: Any) -> Any:
    """The causal language model inside of its adapters, or itself."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


@torch.no_grad()
def needs_whole_logits(model: Any, batch: Batch) -> bool:
    """Whether the short way gives other logits than the model itself, tried on one batch."""
    ids, attention, _ = batch.tensors
    own = model(input_ids=ids, attention_mask=attention, use_cache=False).logits
    short = causal_of(model).get_output_embeddings()(Scorer(model).hidden(ids, attention))
    return bool((short - own).abs().max() > 0.01 * own.std())


def preference(
    chosen: Any, rejected: Any, chosen_before: Any, rejected_before: Any, beta: float
) -> tuple[Any, Any]:
    """The loss of each pair and its reward margin: Rafailov et al. 2023, arXiv 2305.18290, eq. 7.

    All are log-probabilities of whole answers, `before` those of the model at the start; `beta`
    says how dear it is to go away from that model.
    """
    margin = beta * ((chosen - chosen_before) - (rejected - rejected_before))
    return -functional.logsigmoid(margin), margin


def _log_probabilities(logits: Any, targets: Any) -> Any:
    return -functional.cross_entropy(logits.float(), targets, reduction="none")
