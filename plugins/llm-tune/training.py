"""The loop: learn a batch, tell, evaluate, save, until done or asked to stop."""

from __future__ import annotations

import contextlib
import math
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from batches import epoch_batches, shares, steps_per_epoch
from choices import SAVE_S, Recipe
from lessons import Lesson
from ranks import Ranks
from scoring import Batch, Scorer, preference
from tokens import Sample

from cockpit.sdk import job

BETAS = (0.9, 0.999)


@dataclass(frozen=True)
class Rhythm:
    """How often it is evaluated and saved, in steps; `save_every` 0 is by the clock, -1 never."""

    evaluate_every: int
    save_every: int


@dataclass(frozen=True)
class Figures:
    """Sums over some lessons, and what follows from them."""

    loss_sum: float = 0.0
    weight: float = 0.0
    """Learned tokens, or pairs."""
    margin_sum: float = 0.0
    right: float = 0.0
    """Pairs of which the chosen answer has the greater reward."""

    @property
    def loss(self) -> float:
        return self.loss_sum / self.weight if self.weight else math.nan

    def metrics(self, preferences: bool, prefix: str = "") -> dict[str, float]:
        told = {f"{prefix}loss": self.loss}
        if preferences and self.weight:
            told[f"{prefix}reward_margin"] = self.margin_sum / self.weight
            told[f"{prefix}accuracy"] = self.right / self.weight
        return told


class Training:
    """Takes a model from where it is to the recipe's last step."""

    def __init__(
        self,
        recipe: Recipe,
        scorer: Scorer,
        lessons: Sequence[Lesson],
        held_out: Sequence[Lesson],
        ranks: Ranks,
        padding: int,
        autocast: Callable[[], Any],
    ) -> None:
        """`autocast` makes the context in which the model computes."""
        self.recipe, self.scorer, self.ranks = recipe, scorer, ranks
        self.lessons, self.held_out = lessons, held_out
        self.step = 0
        self.failed = ""
        self.evaluations: list[list[float]] = []
        """Step and loss on what is held out, from the begin on."""
        self._padding, self._autocast = padding, autocast
        self._lengths = [lesson.length for lesson in lessons]
        self._flops_per_token = flops_per_token(scorer)
        self._trained = [each for each in scorer.parameters() if each.requires_grad]
        self._optimizer = torch.optim.AdamW(
            self._trained,
            lr=recipe.learning_rate,
            betas=BETAS,
            weight_decay=recipe.weight_decay,
            fused=ranks.device != "cpu",
        )
        self._parallel = self._distributed()
        self._before: dict[str, Any] = {}
        self._epoch: tuple[int, list[list[int]]] = (-1, [])

    def go(self, rhythm: Rhythm, save: Callable[[], None]) -> None:
        """To the end, or until asked to stop; `save` writes a checkpoint, on every rank at once."""
        if self.recipe.prefers and not self._before:
            self._remember_the_model_before()
        if self.step == 0:
            self.evaluate()
        saved_step, saved_s = self.step, time.monotonic()
        while self.step < self.recipe.steps:
            is_due = rhythm.save_every == 0 and time.monotonic() - saved_s > SAVE_S
            stopping, due = self._learn(is_due)
            if self.failed:
                return
            is_last = self.step == self.recipe.steps
            if self.step % rhythm.evaluate_every == 0 or (is_last and not stopping):
                self.evaluate()
            if rhythm.save_every > 0:
                due = self.step % rhythm.save_every == 0
            if due and not is_last and not stopping:
                save()
                saved_step, saved_s = self.step, time.monotonic()
            if stopping:
                break
        if rhythm.save_every >= 0 and self.step > saved_step:
            save()

    def evaluate(self) -> None:
        """The loss on what is held out, told to the person."""
        if not self.held_out:
            return
        own = range(self.ranks.rank, len(self.held_out), self.ranks.count)
        order = sorted(own, key=lambda at: self.held_out[at].length)
        size = self.recipe.micro_batch
        sums = [0.0] * 4
        self.scorer.eval()
        with torch.no_grad():
            for begin in range(0, len(order), size):
                figures = self._scored(order[begin : begin + size], self.held_out, "held out")[1]
                sums = [one + more for one, more in zip(sums, figures, strict=True)]
        self.scorer.train()
        total = Figures(*self.ranks.sum(*sums))
        self.evaluations.append([self.step, total.loss])
        if self.ranks.is_first:
            job.metrics(step=self.step, **total.metrics(self.recipe.prefers, "eval_"))

    def state(self) -> dict[str, Any]:
        """All that the next step depends on, of every rank; for the first one, who writes it."""
        dice = [torch.get_rng_state()]
        if self.ranks.device != "cpu":
            dice.append(torch.cuda.get_rng_state(self.ranks.device))
        dice_of_all = self.ranks.gather(dice)
        if not self.ranks.is_first:
            return {}
        return {
            "trained": {
                name: value.detach().cpu()
                for name, value in self.scorer.named_parameters()
                if value.requires_grad
            },
            "optimizer": self._optimizer.state_dict(),
            "dice": dice_of_all,
            "before": self._before,
            "evaluations": self.evaluations,
        }

    def restore(self, state: dict[str, Any], step: int) -> None:
        """Go on after `step` steps. Raises ValueError if other parts of the model were trained."""
        own = {name: each for name, each in self.scorer.named_parameters() if each.requires_grad}
        if set(own) != set(state["trained"]):
            raise ValueError("The checkpoint is of other layers than those that are trained here.")
        with torch.no_grad():
            for name, each in own.items():
                each.copy_(state["trained"][name])
        self._optimizer.load_state_dict(state["optimizer"])
        self._before = state["before"]
        self.evaluations = state["evaluations"]
        self.step = step
        if len(state["dice"]) == self.ranks.count:
            cpu, *cuda = state["dice"][self.ranks.rank]
            torch.set_rng_state(cpu)
            if cuda and self.ranks.device != "cpu":
                torch.cuda.set_rng_state(cuda[0], self.ranks.device)

    def _learn(self, save_is_due: bool) -> tuple[bool, bool]:
        """One step. Returns whether to stop, and whether to save, as all ranks agreed."""
        began = time.perf_counter()
        batch = self._batch()
        weight = self._weight(batch)
        rate = self._set_learning_rate()
        parts = shares(batch, self._lengths, self.ranks.count, self.recipe.micro_batch)
        own = parts[self.ranks.rank]
        sums, tokens = [0.0] * 4, 0
        for at, part in enumerate(own):
            is_last = at == len(own) - 1
            # Gradients are summed over the ranks with the last part, and DDP divides by the ranks.
            alone = contextlib.nullcontext() if is_last else self._alone()
            with alone:
                loss, figures, count = self._scored(part, self.lessons, "learned")
                (loss * (self.ranks.count / weight)).backward()
            sums = [one + more for one, more in zip(sums, figures, strict=True)]
            tokens += count
        flags = (float(job.stopping), float(save_is_due), float(tokens))
        *sums, stopping, due, tokens_all = self.ranks.sum(*sums, *flags)
        figures_all = Figures(*sums)
        if not math.isfinite(figures_all.loss):
            self.failed = f"The loss is no number any more at step {self.step + 1:,}."
            return False, False
        norm = torch.nn.utils.clip_grad_norm_(self._trained, self.recipe.clip or math.inf)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self.step += 1
        if self.ranks.is_first:
            seconds = time.perf_counter() - began
            flops = self._flops_per_token * tokens_all / self.ranks.count
            job.kernel("learn", seconds=seconds, flops=flops)
            job.metrics(
                step=self.step,
                learning_rate=rate,
                gradient_norm=norm,
                tokens_per_s=tokens_all / seconds,
                **figures_all.metrics(self.recipe.prefers),
            )
            job.progress(self.step, self.recipe.steps, "steps")
        return stopping > 0, due > 0

    def _scored(
        self, which: Sequence[int], lessons: Sequence[Lesson], name: str
    ) -> tuple[Any, tuple[float, float, float, float], int]:
        """Summed loss of some lessons; the same as figures; and the tokens that were read."""
        texts = [sample for at in which for sample in lessons[at].samples]
        batch = Batch(texts or [_silent(lessons[0])], self._padding, self.ranks.device)
        module = self._parallel if torch.is_grad_enabled() else self.scorer
        with self._autocast():
            known = module(*batch.tensors)
        tokens = batch.tokens if texts else 0
        if not texts:
            return known.sum(), (0.0, 0.0, 0.0, 0.0), tokens
        if not self.recipe.prefers:
            loss = -known.sum()
            return loss, (loss.item(), float(batch.learned_tokens), 0.0, 0.0), tokens
        before = self._before[name][list(which)].to(known)
        losses, margins = preference(
            known[0::2], known[1::2], before[:, 0], before[:, 1], self.recipe.beta
        )
        loss = losses.sum()
        right = float((margins > 0).sum())
        return loss, (loss.item(), float(len(which)), float(margins.sum()), right), tokens

    def _remember_the_model_before(self) -> None:
        """The log-probabilities that every pair has before anything is learned: DPO's reference.

        They are made once, so that no second model has to stay in memory.
        """
        self.scorer.eval()
        for name, lessons in (("learned", self.lessons), ("held out", self.held_out)):
            known = torch.zeros(len(lessons), 2)
            for at in range(self.ranks.rank, len(lessons), self.ranks.count):
                batch = Batch(lessons[at].samples, self._padding, self.ranks.device)
                with torch.no_grad(), self._autocast():
                    known[at] = self.scorer(*batch.tensors).float().cpu()
            self._before[name] = self.ranks.sum_tensor(known)
        self.scorer.train()

    def _batch(self) -> list[int]:
        """The lessons of the next step: a function of the seed and the step alone."""
        per_epoch = steps_per_epoch(len(self.lessons), self.recipe.batch)
        epoch, at = divmod(self.step, per_epoch)
        if self._epoch[0] != epoch:
            batches = epoch_batches(self._lengths, self.recipe.batch, self.recipe.seed, epoch)
            self._epoch = (epoch, batches)
        return self._epoch[1][at]

    def _weight(self, batch: Sequence[int]) -> float:
        """What the summed loss of a whole batch is divided by: its learned tokens, or its pairs."""
        if self.recipe.prefers:
            return float(len(batch))
        return float(sum(sum(s.learned[1:]) for at in batch for s in self.lessons[at].samples))

    def _set_learning_rate(self) -> float:
        rate = learning_rate(self.recipe, self.step)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        return rate

    def _distributed(self) -> Any:
        if self.ranks.count == 1:
            return self.scorer
        return torch.nn.parallel.DistributedDataParallel(
            self.scorer, forward_sync_buffers=False, gradient_as_bucket_view=True
        )

    def _alone(self) -> Any:
        return self._parallel.no_sync() if self.ranks.count > 1 else contextlib.nullcontext()


def flops_per_token(model: Any) -> float:
    """Operations to learn one token, without attention and what is computed twice: two for each
    weight forward, two backward, and two more for its own gradient if it is trained (Kaplan et al.
    2020, arXiv 2001.08361, section 2.1)."""
    weights = [each for each in model.parameters() if each.dim() > 1]
    # Of weights in 4 bits two share a byte.
    every = sum((2 if each.dtype == torch.uint8 else 1) * each.numel() for each in weights)
    return 4.0 * every + 2.0 * sum(each.numel() for each in weights if each.requires_grad)


def learning_rate(recipe: Recipe, step: int) -> float:
    """Of the step after `step`: a straight warm-up, then half a cosine down to nothing
    (Loshchilov, Hutter 2016, arXiv 1608.03983)."""
    if step < recipe.warmup_steps:
        return recipe.learning_rate * (step + 1) / recipe.warmup_steps
    share = (step - recipe.warmup_steps) / max(1, recipe.steps - recipe.warmup_steps)
    return recipe.learning_rate * 0.5 * (1.0 + math.cos(math.pi * share))


def _silent(lesson: Lesson) -> Sample:
    """A text on which nothing is learned, for a rank that has none in this part of a batch."""
    ids = lesson.samples[0].ids[:2]
    return Sample(array("i", ids), bytes(len(ids)), len(ids))
