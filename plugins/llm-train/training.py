"""The loop: learn a batch, tell, evaluate, save, until done or asked to stop."""

from __future__ import annotations

import contextlib
import math
import time
from array import array
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import torch
from choices import SAVE_S, Recipe
from feed import Feed, Place
from model import Llama
from optimizers import Optimizers
from ranks import Ranks
from speed import COLUMNS, Speed

from cockpit.sdk import job

TELL_S = 0.2
"""Steps are told together if they are faster: energy counters are slow."""


class Training:
    """Takes a model from where it is to the recipe's last step."""

    def __init__(
        self,
        recipe: Recipe,
        model: Llama,
        feed: Feed | None,
        held_out: Sequence[array[int]],
        ranks: Ranks,
        autocast: Callable[[], Any],
        compiled: bool,
    ) -> None:
        """The first rank has the `feed`; `autocast` makes the context in which it computes."""
        self.recipe, self.model, self.ranks = recipe, model, ranks
        self.step = 0
        self.failed = ""
        self.bad_data = ""
        """What is wrong in the data, if that ended the training."""
        self.evaluations: list[list[float]] = []
        """Step and loss on what is held out, from the begin on."""
        self._feed, self._held_out, self._autocast = feed, held_out, autocast
        self._optimizer = Optimizers(
            model,
            recipe.optimizer,
            recipe.learning_rate,
            recipe.weight_decay,
            fused=ranks.device != "cpu",
        )
        run: Any = torch.compile(model) if compiled else model
        self._evaluated = run
        self._parallel = run if ranks.count == 1 else _distributed(run)
        self._speed = Speed(ranks.device, ranks.count, recipe.shape.flops_per_token)
        self._place = Place()
        self._reader = ThreadPoolExecutor(1)
        self._coming: Future[tuple[list[array[int]], Place]] | None = None
        self._untold = (0.0, 0)

    def go(
        self,
        evaluate_every: int,
        save_every: int,
        save: Callable[[], None],
        show: Callable[[], None],
    ) -> None:
        """To the end, or until asked to stop.

        `save` writes a checkpoint, on every rank at once, every `save_every` steps (0: by the clock,
        -1: never); `show` shows what the model writes by now, after each evaluation.
        """
        if self.step == 0:
            self.evaluate()
        saved_step, saved_s = self.step, time.monotonic()
        self._speed.begin()
        while self.step < self.recipe.steps:
            is_due = save_every == 0 and time.monotonic() - saved_s > SAVE_S
            stopping, due = self._learn(is_due)
            if self.failed:
                return
            if self.bad_data:
                break
            is_last = self.step == self.recipe.steps
            if self.step % evaluate_every == 0 or (is_last and not stopping):
                self._tell_speed()
                self.evaluate()
                show()
                self._speed.begin()
            if save_every > 0:
                due = self.step % save_every == 0
            if due and not is_last and not stopping:
                self._tell_speed()
                save()
                self._speed.begin()
                saved_step, saved_s = self.step, time.monotonic()
            if stopping:
                break
        if save_every >= 0 and self.step > saved_step:
            save()
        self._reader.shutdown()

    def evaluate(self) -> None:
        """The loss on what is held out, told to the person."""
        if not self._held_out:
            return
        own = self._held_out[self.ranks.rank :: self.ranks.count]
        loss = 0.0
        self.model.eval()
        with torch.no_grad():
            for part in _parts(own, self.recipe.micro_batch):
                loss += self._loss(self._evaluated, self._tensor(part)).item()
        self.model.train()
        loss, count = self.ranks.sum(loss, sum(len(row) - 1 for row in own))
        self.evaluations.append([self.step, loss / count])
        if self.ranks.is_first:
            job.metrics(step=self.step, eval_loss=loss / count)

    def state(self) -> dict[str, Any]:
        """All that the next step depends on, of every rank; for the first one, who writes it."""
        dice = [torch.get_rng_state()]
        if self.ranks.device != "cpu":
            dice.append(torch.cuda.get_rng_state(self.ranks.device))
        dice_of_all = self.ranks.gather(dice)
        if not self.ranks.is_first:
            return {}
        return {
            "model": self.model.state_dict(),
            "optimizer": self._optimizer.state(),
            "place": self._place.saved(),
            "dice": dice_of_all,
            "evaluations": self.evaluations,
        }

    def restore(self, state: dict[str, Any], step: int) -> None:
        """Go on after `step` steps."""
        self.model.load_state_dict(state["model"])
        self._optimizer.restore(state["optimizer"])
        self._place = Place.loaded(state["place"])
        if self._feed:
            self._feed.go_on(self._place)
        self.evaluations = state["evaluations"]
        self.step = step
        if len(state["dice"]) == self.ranks.count:
            cpu, *cuda = state["dice"][self.ranks.rank]
            torch.set_rng_state(cpu)
            if cuda and self.ranks.device != "cpu":
                torch.cuda.set_rng_state(cuda[0], self.ranks.device)

    @property
    def place(self) -> Place:
        """How far into the data it is; on the first rank."""
        return self._place

    def _learn(self, save_is_due: bool) -> tuple[bool, bool]:
        """One step. Returns whether to stop, and whether to save, as all ranks agreed."""
        began = time.perf_counter()
        batch = self._batch()
        if batch is None:
            return False, False
        own = batch[self.ranks.rank :: self.ranks.count]
        parts = own.split(self.recipe.micro_batch)
        tokens = batch.shape[0] * (batch.shape[1] - 1)
        total = 0.0
        for at, part in enumerate(parts):
            is_last = at == len(parts) - 1
            # Gradients are averaged over the ranks with the last part alone.
            with contextlib.nullcontext() if is_last else self._alone():
                loss = self._loss(self._parallel, part)
                (loss * (self.ranks.count / tokens)).backward()
            total += loss.detach()
        flags = (float(job.stopping), float(save_is_due))
        loss_all, stopping, due = self.ranks.sum(float(total) / tokens, *flags)
        if not math.isfinite(loss_all):
            self.failed = f"The loss is no number any more at step {self.step + 1:,}."
            return False, False
        longest = self.recipe.clip or math.inf
        norm = float(torch.nn.utils.clip_grad_norm_(self.model.parameters(), longest))
        rate = self._optimizer.step(self.recipe.schedule.share(self.step))
        self.step += 1
        if self.ranks.is_first:
            self._tell(loss_all, norm, rate, time.perf_counter() - began, tokens)
        return stopping > 0, due > 0

    def _tell(self, loss: float, norm: float, rate: float, seconds: float, tokens: int) -> None:
        flops = self.recipe.shape.flops_per_token * tokens / self.ranks.count
        job.kernel("learn", seconds=seconds, flops=flops)
        job.metrics(step=self.step, loss=loss, gradient_norm=norm, learning_rate=rate)
        job.progress(self.step, self.recipe.steps, "steps")
        spent, learned = self._untold[0] + seconds, self._untold[1] + tokens
        self._untold = (spent, learned)
        if spent >= TELL_S:
            self._tell_speed()

    def _tell_speed(self) -> None:
        """Of the steps since it was told last; only the first rank has any."""
        spent, learned = self._untold
        if not learned:
            return
        told = self._speed.metrics(learned, spent)
        job.metrics(step=self.step, **told)
        job.table("speed", COLUMNS, self._speed.rows(told))
        self._untold = (0.0, 0)
        self._speed.begin()

    def _batch(self) -> torch.Tensor | None:
        """The rows of the next step on every rank, [rows, tokens]; None if the data is bad.

        The first rank reads them while the step before is learned, and gives them to all.
        """
        size = (self.recipe.batch, self.recipe.shape.sequence + 1)
        shared = torch.full(size, -1, dtype=torch.int32, device=self.ranks.device)
        if self._feed:
            try:
                rows, self._place = (self._coming or self._reader.submit(self._read)).result()
                shared = self._tensor(rows)
                self._coming = self._reader.submit(self._read)
            except ValueError as error:
                self.bad_data = str(error)
        self.ranks.hand_out(shared)
        if shared[0, 0] < 0:
            self.bad_data = self.bad_data or "The first process found bad data."
            return None
        return shared

    def _read(self) -> tuple[list[array[int]], Place]:
        assert self._feed
        return self._feed.rows(self.recipe.batch), self._feed.place

    def _loss(self, model: Any, rows: torch.Tensor) -> torch.Tensor:
        """Summed over all tokens but the first of each row."""
        ids = rows.long()
        with self._autocast():
            loss: torch.Tensor = model(ids[:, :-1], ids[:, 1:])
        return loss

    def _tensor(self, rows: Sequence[array[int]]) -> torch.Tensor:
        flat = torch.frombuffer(b"".join(map(bytes, rows)), dtype=torch.int32)
        return flat.view(len(rows), -1).to(self.ranks.device, copy=True)

    def _alone(self) -> Any:
        return self._parallel.no_sync() if self.ranks.count > 1 else contextlib.nullcontext()


def _distributed(model: Any) -> Any:
    return torch.nn.parallel.DistributedDataParallel(
        model, forward_sync_buffers=False, gradient_as_bucket_view=True
    )


def _parts(rows: Sequence[array[int]], size: int) -> list[Sequence[array[int]]]:
    return [rows[at : at + size] for at in range(0, len(rows), size)]
