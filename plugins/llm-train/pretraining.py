"""One pre-training on this rank: data, model, training, and what it leaves for others."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import checkpoint
import choices
import devices
import outputs
import ranks
import torch
import vocabulary
import writing
from documents import files_of
from feed import Feed, Source, held_out_rows
from model import Llama
from optimizers import BYTES
from safetensors import SafetensorError
from training import Training

from cockpit.sdk import job

LARGE_MODEL = 1_000_000_000
"""Parameters from which activations are computed again on a GPU, if nobody chose."""
SPARE = 0.9
"""Of the free memory that weights and optimizer may take: activations need some too."""


def train(
    chosen: dict[str, Any],
    source: Source,
    tokenizer_file: Path,
    start: checkpoint.Checkpoint | None,
) -> int:
    """Returns the exit code. Raises ValueError, in words for the person."""
    us = ranks.join(devices.uses_cuda(chosen["device"]))
    try:
        code = _Pretraining(chosen, source, tokenizer_file, us).run(start)
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


class _Pretraining:
    """What the steps of one pre-training share."""

    def __init__(
        self, chosen: dict[str, Any], source: Source, tokenizer_file: Path, us: ranks.Ranks
    ) -> None:
        self.chosen, self.source, self.us = chosen, source, us
        self.use_cuda = us.device != "cpu"
        self.half = devices.is_half(chosen["precision"], self.use_cuda)
        self.autocast = devices.autocast_of(self.half, self.use_cuda)
        self.tokenizer_file = tokenizer_file
        self.tokenizer = vocabulary.load(tokenizer_file)
        self.plain = vocabulary.plain_encoder(self.tokenizer)
        self.end = self.tokenizer.token_to_id(vocabulary.END)
        self.recipe = choices.recipe_of(chosen, self.tokenizer.get_vocab_size(), us.count)

    def run(self, start: checkpoint.Checkpoint | None) -> int:
        if start:
            different = checkpoint.differences(self._what_must_be_the_same(), start.recipe)
            if different:
                raise ValueError(
                    f"{start.path} is of another training: {'; '.join(different)}. Choose the same"
                    " as then."
                )
        held_out = self._held_out()
        model = self._model()
        training = self._training(model, held_out)
        if start:
            training.restore(start.state(), start.step)
            self._say(f"Going on from step {start.step:,} of {start.path}.")
        often = max(1, self.recipe.steps // choices.EVALUATIONS)
        training.go(
            self.chosen["eval_every"] or often,
            self.chosen["checkpoint_every"],
            lambda: self._save(training),
            lambda: self._show(model, training.step),
        )
        if training.failed:
            self._say(f"{training.failed} Choose a lower --learning-rate.", "error")
            return 1
        if training.bad_data:
            self._say(f"{training.bad_data}{self._where_to_go_on()}", "error")
            return 2
        self._tell_the_end(training)
        return 0 if self._leave(model, training.step) else 1

    def _held_out(self) -> list[Any]:
        evaluated = self.source
        if self.chosen["eval_data"]:
            files = files_of(Path(self.chosen["eval_data"]))
            evaluated = Source(files, self.source.key, self.source.skip_bad)
        elif not self.source.held_out_every:
            return []
        length = self.recipe.shape.sequence + 1
        rows = held_out_rows(evaluated, self._encode, self.end, length, self.chosen["eval_tokens"])
        if not rows:
            self._say(
                f"Less than {length:,} tokens are held out, so that there is no loss on them: choose"
                " a greater --eval-share or a shorter --sequence.",
                "warning",
            )
        return rows

    def _encode(self, texts: Any) -> list[list[int]]:
        return vocabulary.encode(self.plain, texts)

    def _what_must_be_the_same(self) -> dict[str, Any]:
        return {
            **self.recipe.as_values(),
            "data": [[file.name, file.stat().st_size] for file in self.source.files],
            "text_key": self.source.key,
            "held_out_every": self.source.held_out_every,
            "shuffle": self.chosen["shuffle"],
            "precision": "bf16" if self.half else "fp32",
        }

    def _model(self) -> Llama:
        shape = self.recipe.shape
        needed = BYTES[self.recipe.optimizer] * shape.parameters
        if self.use_cuda and needed > SPARE * torch.cuda.mem_get_info(self.us.device)[0]:
            raise ValueError(
                f"{shape.parameters / 1e6:,.0f} M parameters need {needed / 1e9:,.0f} GB on every GPU"
                f" with {self.recipe.optimizer}, and {self.us.device} has"
                f" {torch.cuda.mem_get_info(self.us.device)[0] / 1e9:,.0f} GB free: choose a smaller"
                " --size."
            )
        torch.manual_seed(self.recipe.seed)
        model = Llama(shape, self._recomputes(shape.parameters)).to(self.us.device)
        torch.manual_seed(self.recipe.seed + 1 + self.us.rank)
        self._say(
            f"{shape.parameters / 1e6:,.2f} M parameters in {shape.layers} layers of {shape.width},"
            f" {shape.vocabulary:,} tokens; {self.recipe.optimizer}, in"
            f" {'bfloat16' if self.half else 'float32'} on"
            f" {devices.told(self.use_cuda, self.us.count)}."
        )
        if self.us.is_first:
            devices.warn_of_the_cpu(self.use_cuda, self.chosen["device"])
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

    def _training(self, model: Llama, held_out: list[Any]) -> Training:
        feed = None
        if self.us.is_first:
            feed = Feed(
                self.source,
                self._encode,
                self.end,
                self.recipe.shape.sequence + 1,
                self.chosen["shuffle"],
                self.recipe.seed,
            )
        compiled = self.chosen["compile"]
        return Training(self.recipe, model, feed, held_out, self.us, self.autocast, compiled)

    def _show(self, model: Llama, step: int) -> None:
        if not self.us.is_first or not self.chosen["sample_tokens"]:
            return
        prompts = [each.strip() for each in self.chosen["sample"].split("|")]
        written = []
        for prompt in prompts:
            given = self._encode([prompt])[0] or [self.end]
            ids = writing.go_on(
                model, given, self.chosen["sample_tokens"], self.end, step, self.autocast
            )
            written.append(self.tokenizer.decode(ids, skip_special_tokens=True))
        job.text("sample", f"After {step:,} steps\n\n" + "\n\n—\n\n".join(written))

    def _save(self, training: Training) -> None:
        """A checkpoint, written by the first rank with the state of all."""
        state = training.state()
        if not self.us.is_first:
            return
        try:
            path = checkpoint.save(
                job.directory / checkpoint.FOLDER,
                training.step,
                self._what_must_be_the_same(),
                state,
                self.tokenizer_file,
            )
        except OSError as error:
            self._say(f"No checkpoint: {error.strerror or error}.", "warning")
            return
        job.checkpoint(path)

    def _where_to_go_on(self) -> str:
        """In words, if there is anywhere."""
        newest = checkpoint.newest(job.directory / checkpoint.FOLDER)
        return f" --restart {newest} goes on from what was learned before." if newest else ""

    def _tell_the_end(self, training: Training) -> None:
        place = training.place
        if place.skipped:
            self._say(f"{place.skipped:,} rows that could not be used were left out.", "warning")
        if place.epoch:
            self._say(f"The data was read {place.epoch} times, and begun once more.")
        if training.evaluations:
            step, loss = training.evaluations[-1]
            self._say(
                f"Loss on what is held out: {loss:.4g} after {step:,.0f} steps (perplexity"
                f" {math.exp(min(loss, 50.0)):,.4g})."
            )

    def _leave(self, model: Llama, step: int) -> bool:
        """Publish what was learned; whether that could be written. One that was stopped leaves its
        model as it is by now."""
        written = True
        if self.us.is_first:
            words = f"Llama of {model.shape.parameters / 1e6:,.1f} M parameters, {step:,} steps"
            if step < self.recipe.steps:
                self._say(f"Stopped as asked after {step:,} of {self.recipe.steps:,} steps.")
                words += f" of {self.recipe.steps:,}: it was stopped"
            try:
                folder = outputs.publish(model, self.tokenizer, words)
                self._say(f"The model is in {folder}.")
            except (OSError, SafetensorError) as error:
                job.message(f"What was learned cannot be written: {error}.", "error")
                written = False
        # Nobody leaves before the first one, whom the end of another would end.
        return not self.us.any(not written)

    def _say(self, text: str, level: str = "info") -> None:
        if self.us.is_first:
            job.message(text, level)
