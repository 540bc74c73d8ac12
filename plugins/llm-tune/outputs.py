"""What a tuning leaves for others: the adapter in PEFT's format, and the whole model."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import checkpoint
import torch
from models import Found, load_model

from cockpit.sdk import job


def save_adapter(model: Any, tokenizer: Any, found: Found, summary: str) -> Path:
    """Publish the output `adapter`. Raises OSError if the disk does not take it."""

    def write(folder: Path) -> None:
        model.save_pretrained(folder, safe_serialization=True)
        _save_tokenizer(tokenizer, folder)
        (folder / "README.md").write_text(_card(found, summary), encoding="utf-8")

    return _publish("adapter", "lora-adapter", summary, write)


def save_model(
    model: Any, tokenizer: Any, found: Found, stops: Sequence[int], summary: str
) -> Path:
    """Publish the output `model`, in half precision. Raises OSError as `save_adapter`."""

    def write(folder: Path) -> None:
        model.config.use_cache = True
        with contextlib.suppress(AttributeError):
            # Whoever serves it must stop where the chat template ends an answer.
            model.generation_config.eos_token_id = list(stops)
        model.to(torch.bfloat16).save_pretrained(folder, safe_serialization=True)
        _save_tokenizer(tokenizer, folder)
        (folder / "README.md").write_text(_card(found, summary), encoding="utf-8")

    return _publish("model", "hf-model", summary, write)


def merged(model: Any, found: Found, adapter: Path, quantized: bool) -> Any:
    """The model with its adapter worked into its weights, without any adapter left.

    What was quantized is read anew in half precision: the adapter is added to the model as it was,
    not to its rounded weights.
    """
    if not quantized:
        return model.merge_and_unload()
    from peft import PeftModel

    whole = load_model(found.folder, torch.bfloat16, False, "cpu")
    return PeftModel.from_pretrained(whole, adapter).merge_and_unload()


def _publish(name: str, kind: str, summary: str, write: Callable[[Path], None]) -> Path:
    """Write a folder beside its place, and put it there when all of it is on the disk."""
    folder = job.output(name)
    draft = folder.with_name(f".{name}.{os.getpid()}")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        draft.mkdir(parents=True)
        write(draft)
        for file in draft.iterdir():
            with file.open("rb") as written:
                os.fsync(written.fileno())
        shutil.rmtree(folder, ignore_errors=True)
        draft.replace(folder)
        checkpoint.sync_folder(folder.parent)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    job.publish(name, kind=kind, summary=summary)
    return folder


def _save_tokenizer(tokenizer: Any, folder: Path) -> None:
    # How it was loaded here is nothing for others.
    for key in ("local_files_only", "is_local"):
        tokenizer.init_kwargs.pop(key, None)
    tokenizer.save_pretrained(folder)


def _card(found: Found, summary: str) -> str:
    """A model card that says where it is from; its licence is that of the model it was made of."""
    header = [
        f"base_model: {found.name}",
        *([f"license: {found.licence}"] if found.licence else []),
    ]
    return "\n".join(["---", *header, "---", "", summary, ""])
