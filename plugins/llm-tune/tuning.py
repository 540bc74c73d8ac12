"""One tuning on this rank: lessons, model, training, and what it leaves for others."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import answers
import checkpoint
import choices
import devices
import lessons
import memory
import models
import outputs
import ranks
import torch
from batches import steps_per_epoch
from dataset import Example, digest
from dataset import told as told_problems
from safetensors import SafetensorError
from scoring import Batch, Scorer, causal_of, needs_whole_logits
from tokens import Sample
from training import Rhythm, Training

from cockpit.sdk import job

LARGE_MODEL = 1_000_000_000
"""Parameters from which activations are computed again on a GPU, if nobody chose."""


def tune(
    chosen: dict[str, Any], learn: list[Example], held_out: list[Example], found: models.Found
) -> int:
    """Returns the exit code. Raises ValueError, in words for the person."""
    use_cuda = devices.uses_cuda(chosen["device"])
    if chosen["method"] == "qlora":
        devices.check_quantization(use_cuda)
    us = ranks.join(use_cuda)
    try:
        code = _Tuning(chosen, learn, held_out, found, us).run()
    except torch.OutOfMemoryError:
        job.message(
            f"The memory of {us.device} is full. Choose a smaller --micro-batch, --recompute on, or a"
            " shorter --sequence.",
            "error",
        )
        return 1
    # Not after an error: the others may never come to leave, and end with this process.
    us.leave()
    return code


class _Tuning:
    """What the steps of one tuning share."""

    def __init__(
        self,
        chosen: dict[str, Any],
        learn: list[Example],
        held_out: list[Example],
        found: models.Found,
        us: ranks.Ranks,
    ) -> None:
        self.chosen, self.found, self.us = chosen, found, us
        self.use_cuda = us.device != "cpu"
        self.half = devices.is_half(chosen["precision"], self.use_cuda)
        self.autocast = devices.autocast_of(self.half, self.use_cuda)
        self.tokenizer = models.load_tokenizer(found.folder, us.is_first)
        self.writer = lessons.Writer(self.tokenizer, chosen["sequence"], chosen["plain"])
        self.learn = self._lessons(learn, "learn")
        self.held_out = self._lessons(held_out, "evaluate with") if held_out else None
        per_epoch = steps_per_epoch(len(self.learn.kept), chosen["batch"])
        self.recipe = choices.recipe_of(chosen, per_epoch)
        self.asked = answers.questions(chosen["ask"], held_out or learn, chosen["samples"])
        self.digest = digest([*learn, *held_out])

    def run(self) -> int:
        start = self._start()
        model = self._model()
        training = self._training(model)
        if start is None:
            self._answer("before", model)
        else:
            state = start.state()
            training.restore(state, start.step)
            self.asked = [
                dataclasses.replace(each, before=before)
                for each, before in zip(self.asked, state["answers"], strict=True)
            ]
            self._say(f"Going on from step {start.step:,} of {start.path}.")
        training.go(self._rhythm(), lambda: self._save(training))
        if training.failed:
            self._say(f"{training.failed} Choose a lower --learning-rate.", "error")
            return 1
        stopped = training.step < self.recipe.steps
        if len(training.evaluations) > 1:
            (_, first), *_, (_, last) = training.evaluations
            self._say(f"Loss on what is held out: {first:.4g} before, {last:.4g} after.")
        if not stopped:
            self._answer("after", model)
        return 0 if self._leave(model, training.step, stopped) else 1

    def _lessons(self, examples: Sequence[Example], purpose: str) -> lessons.Lessons:
        """Raises ValueError if the chat template refuses some, or nothing is left."""
        written = self.writer.write_all(examples)
        if written.problems:
            words = told_problems(written.problems, len(examples) - len(written.problems))
            if not self.chosen["skip_bad"]:
                raise ValueError(f"{words}\nMend them, or leave them out with --skip-bad.")
            self._say(f"{words}\nThey are left out.", "warning")
        for told in lessons.told(written, self.chosen["sequence"]):
            self._say(told, "warning")
        if not written.kept:
            raise ValueError(f"Nothing is left to {purpose}: choose a greater --sequence.")
        tokens = sum(len(text.ids) for lesson in written.kept for text in lesson.samples)
        learned = sum(lesson.learned_tokens for lesson in written.kept)
        self._say(
            f"To {purpose}: {len(written.kept):,} {self._unit(len(written.kept))},"
            f" {tokens:,} tokens, {learned:,} of them in answers; the longest has"
            f" {max(written.lengths):,}."
        )
        return written

    def _unit(self, count: int) -> str:
        kind = "pair" if self.chosen["method"] == "dpo" else "text"
        return kind if count == 1 else f"{kind}s"

    def _start(self) -> checkpoint.Checkpoint | None:
        """Where to go on from: as chosen, or the last state of this same job when it is tried
        again. Raises ValueError if that was another tuning."""
        if self.chosen["restart"]:
            path = checkpoint.find(self.chosen["restart"], job.directory)
        else:
            own = job.directory / checkpoint.FOLDER
            newest = checkpoint.newest(own) if job.under_cockpit else None
            if newest is None:
                return None
            path = newest
        start = checkpoint.load(path)
        different = checkpoint.differences(self._what_must_be_the_same(), start.recipe)
        if different:
            raise ValueError(
                f"{path} is of another tuning: {'; '.join(different)}. Choose the same as then."
            )
        return start

    def _what_must_be_the_same(self) -> dict[str, Any]:
        recipe = dataclasses.asdict(self.recipe)
        # How a batch is computed in parts changes the rounding alone.
        del recipe["micro_batch"]
        return {
            **recipe,
            "model": self.chosen["model"],
            "data": self.digest,
            "ask": [each.question for each in self.asked],
            "half precision": self.half,
        }

    def _model(self) -> Any:
        recipe, quantized = self.recipe, self.recipe.method == "qlora"
        # All weights are trained in single precision; what only serves is kept in half.
        dtype = torch.bfloat16 if self.half and recipe.has_adapter else torch.float32
        total = memory.count_parameters(self.found.folder)
        free = memory.free_bytes(self.us.device, self.us.count)
        memory.check(total, recipe, self.half, self.us.device, free)
        model = models.load_model(self.found.folder, dtype, quantized, self.us.device)
        torch.manual_seed(recipe.seed)
        if recipe.has_adapter:
            model = models.with_adapter(model, recipe, self.found.name, quantized)
        torch.manual_seed(recipe.seed + 1 + self.us.rank)
        if self._recomputes(total):
            causal_of(model).gradient_checkpointing_enable({"use_reentrant": False})
        trained = sum(each.numel() for each in model.parameters() if each.requires_grad)
        licence = (
            f"licence {self.found.licence}" if self.found.licence else "no licence in its card"
        )
        self._say(
            f"{self.found.name} ({licence}): {total / 1e6:,.1f} M parameters, of which"
            f" {recipe.method} trains {trained / 1e6:,.2f} M, in"
            f" {'bfloat16' if self.half else 'float32'} on"
            f" {devices.told(self.use_cuda, self.us.count)}."
        )
        if self.us.is_first:
            devices.warn_of_the_cpu(self.use_cuda, self.chosen["device"])
        if self.us.is_first:
            job.roofline(
                flops_per_s=devices.measured_flops_per_s(self.us.device, self.half),
                device=devices.told(self.use_cuda, self.us.count),
            )
        return model

    def _recomputes(self, parameters: int) -> bool:
        choice = self.chosen["recompute"]
        if choice == "auto":
            return self.use_cuda and parameters >= LARGE_MODEL
        return bool(choice == "on")

    def _training(self, model: Any) -> Training:
        padding = self.tokenizer.pad_token_id
        some = Batch(self.learn.kept[0].samples, padding, self.us.device)
        model.eval()
        with self.autocast():
            scorer = Scorer(model, needs_whole_logits(model, some))
        scorer.train()
        held_out = self.held_out.kept if self.held_out else ()
        return Training(
            self.recipe, scorer, self.learn.kept, held_out, self.us, padding, self.autocast
        )

    def _rhythm(self) -> Rhythm:
        often = max(1, self.recipe.steps // choices.EVALUATIONS)
        return Rhythm(self.chosen["eval_every"] or often, self.chosen["checkpoint_every"])

    def _answer(self, when: str, model: Any) -> None:
        """Ask the model, and show the answers beside those of the other time."""
        if not self.us.is_first or not self.asked:
            return
        self.asked = answers.answered(
            self.asked,
            when,
            model,
            self.tokenizer,
            self.writer,
            self._stops(model),
            self.chosen["answer_tokens"],
            self.autocast,
        )
        job.table("answers", answers.COLUMNS, answers.rows(self.asked))

    def _stops(self, model: Any) -> list[int]:
        """Tokens that end an answer: those of the model, and the one that ends what it learned."""
        own = answers.own_stops(model, self.tokenizer)
        return list(dict.fromkeys([*own, *answers.learned_stop(self._first(), self.tokenizer)]))

    def _first(self) -> Sample:
        return self.learn.kept[0].samples[0]

    def _warn_of_the_stop(self, model: Any) -> None:
        learned = answers.learned_stop(self._first(), self.tokenizer)
        unknown = set(learned) - set(answers.own_stops(model, self.tokenizer))
        if unknown:
            mark = self.tokenizer.decode(list(unknown))
            self._say(
                f"Answers end with {mark}, at which the model by itself does not stop: serve the"
                " adapter with that as a stop, or --merge.",
                "warning",
            )

    def _save(self, training: Training) -> None:
        """A checkpoint, written by the first rank with the state of all."""
        state = {**training.state(), "answers": [each.before for each in self.asked]}
        if not self.us.is_first:
            return
        try:
            path = checkpoint.save(
                job.directory / checkpoint.FOLDER,
                training.step,
                self._what_must_be_the_same(),
                state,
            )
        except OSError as error:
            self._say(f"No checkpoint: {error.strerror or error}.", "warning")
            return
        job.checkpoint(path)

    def _leave(self, model: Any, step: int, stopped: bool) -> bool:
        """Publish what was learned; whether that could be written. One that was stopped leaves its
        adapter as it is by now."""
        written = True
        if self.us.is_first:
            try:
                self._publish(model, step, stopped)
            except (OSError, SafetensorError) as error:
                job.message(f"What was learned cannot be written: {error}.", "error")
                written = False
        # Nobody leaves before the first one, whom the end of another would end.
        return not self.us.any(not written)

    def _publish(self, model: Any, step: int, stopped: bool) -> None:
        words = f"{self.recipe.method} of {self.found.name}, {step:,} steps"
        if stopped:
            self._say(f"Stopped as asked after {step:,} of {self.recipe.steps:,} steps.")
            words += f" of {self.recipe.steps:,}: it was stopped"
        if self.recipe.has_adapter:
            adapter = outputs.save_adapter(model, self.tokenizer, self.found, words)
            self._say(f"The adapter is in {adapter}.")
            self._warn_of_the_stop(model)
            if not self.chosen["merge"] or stopped:
                return
            model = outputs.merged(model, self.found, adapter, self.recipe.method == "qlora")
        elif stopped:
            return
        stops = self._stops(model)
        folder = outputs.save_model(model, self.tokenizer, self.found, stops, words)
        self._say(f"The model is in {folder}.")

    def _say(self, text: str, level: str = "info") -> None:
        if self.us.is_first:
            job.message(text, level)
