"""The model to begin with: where it lies, under which licence, and its tokenizer."""

from __future__ import annotations

import contextlib
import os
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cockpit.sdk import job

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
TINY = "tiny"
"""The name of a model that is made on the spot, with random weights."""
ALL_LAYERS = "all-linear"
_LICENCE = re.compile(r"^license(?:_name)?:\s*[\"']?([^\s\"'#]+)", re.MULTILINE)


@dataclass(frozen=True)
class Found:
    """A model on this machine."""

    folder: Path
    name: str
    """As others find it again: its hub id, or the folder's full path."""
    licence: str
    """As its card says it; "" if it says none."""


def find(reference: str) -> Found:
    """The model that a folder, `job:ID` or a hub id means; nothing is ever downloaded.

    Raises ValueError, in words for the person, if it is not on this machine.
    """
    if not reference:
        raise ValueError("No model was named: --model wants a folder, job:ID or a hub id.")
    if reference == TINY:
        from tiny_model import make_tiny_model

        folder = make_tiny_model(job.directory / TINY)
        return Found(folder, str(folder), "")
    named = _named(reference)
    folder = Path(named).expanduser()
    if folder.is_dir():
        folder, name = folder.absolute(), str(folder.absolute())
    else:
        folder, name = _cached(named), named
    _check_folder(folder)
    return Found(folder, name, _licence(folder))


def _named(reference: str) -> str:
    """A folder or a hub id; of `job:ID` that job's model. Raises ValueError if it left none."""
    try:
        return job.find_model(reference)
    except ValueError as error:
        if not _left_an_adapter(reference):
            raise
        raise ValueError(
            f"{error} An adapter is no model by itself: tune again with --merge, or name the model"
            " that it was made for."
        ) from None


def _left_an_adapter(reference: str) -> bool:
    with contextlib.suppress(ValueError):
        return job.find_output(reference, "adapter").exists()
    return False


def load_tokenizer(folder: Path, tell: bool) -> Any:
    """The tokenizer, with a chat template in any case and a token to pad with.

    Raises ValueError, in words for the person, for one that cannot be used.
    """
    from chat_templates import default_template
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"The tokenizer in {folder} cannot be loaded: {error}") from None
    if not tokenizer.is_fast:
        raise ValueError(
            f"The tokenizer in {folder} is a slow one, which cannot tell where its tokens lie:"
            " wants a tokenizer.json."
        )
    if tokenizer.eos_token is None:
        raise ValueError(f"The tokenizer in {folder} names no eos_token, with which a text ends.")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if not tokenizer.chat_template:
        tokenizer.chat_template, words = default_template(tokenizer.get_vocab())
        if tell:
            job.message(f"The model has no chat template, so it gets one: {words}.")
    return tokenizer


def load_model(folder: Path, dtype: Any, quantized: bool, device: str) -> Any:
    """The causal language model on its device. Raises ValueError in words for the person."""
    from transformers import AutoModelForCausalLM

    more: dict[str, Any] = {}
    if quantized:
        from transformers import BitsAndBytesConfig

        # NF4 with double quantization: Dettmers et al. 2023, arXiv 2305.14314.
        more = {
            "device_map": {"": device},
            "quantization_config": BitsAndBytesConfig(
                load_in_4bit=True,
                bnb_4bit_quant_type="nf4",
                bnb_4bit_use_double_quant=True,
                bnb_4bit_compute_dtype=dtype,
            ),
        }
    try:
        model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, local_files_only=True, **more
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ValueError(f"The model in {folder} cannot be loaded: {error}") from None
    model.config.use_cache = False
    return model if quantized else model.to(device)


def with_adapter(model: Any, recipe: Any, name: str, quantized: bool) -> Any:
    """The model with a fresh LoRA adapter (Hu et al. 2021, arXiv 2106.09685), all else frozen.

    Raises ValueError, in words for the person, if the targets are not in the model.
    """
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

    if quantized:
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=recipe.rank,
        # Whole where it is: there are readers of this file that take no other.
        lora_alpha=int(recipe.alpha) if recipe.alpha.is_integer() else recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules=_targets(model, recipe.targets),
        use_dora=recipe.dora,
        use_rslora=recipe.rslora,
        base_model_name_or_path=name,
    )
    adapted = get_peft_model(model, config)
    adapted.peft_config["default"].base_model_name_or_path = name
    return adapted


def _targets(model: Any, wanted: str) -> list[str]:
    """The names of the layers to adapt; all but the head's, if nobody named some.

    Raises ValueError, in words for the person, for one that is not there.
    """
    import torch

    head = model.get_output_embeddings()
    there = sorted(
        {
            path.rpartition(".")[2]
            for path, module in model.named_modules()
            if isinstance(module, torch.nn.Linear) and module is not head
        }
    )
    if wanted == ALL_LAYERS:
        return there
    names = [name.strip() for name in wanted.split(",") if name.strip()]
    missing = [name for name in names if name not in there]
    if missing or not names:
        raise ValueError(
            f"The model has no {', '.join(missing) or 'such layers'} to adapt: --targets wants"
            f" {ALL_LAYERS}, or some of {', '.join(there)}."
        )
    return names


def _cached(hub_id: str) -> Path:
    """Where the hub's own cache on this machine has a model."""
    if not HUB_ID.fullmatch(hub_id):
        raise ValueError(
            f"There is no model folder {hub_id}: --model wants a folder by its full path, job:ID or"
            " a hub id such as org/name."
        )
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(hub_id, local_files_only=True))
    except (LocalEntryNotFoundError, OSError, ValueError):
        raise ValueError(
            f"{hub_id} is not on this machine: neither a folder nor in the cache"
            f" {constants.HF_HUB_CACHE}. Nothing is downloaded unasked; read the model's licence,"
            f" fetch it with `hf download {hub_id}`, and start again."
        ) from None


def _check_folder(folder: Path) -> None:
    for name in ("config.json", "tokenizer.json"):
        if not (folder / name).is_file():
            raise ValueError(
                f"{folder} is no model in Hugging Face's format: it has no {name}."
                f"{_what_else(folder)}"
            )


def _what_else(folder: Path) -> str:
    if (folder / "adapter_config.json").is_file():
        return " It is an adapter: name the model that it was made for, or tune with --merge."
    return ""


def _licence(folder: Path) -> str:
    """What the model's card says in its header."""
    try:
        card = (folder / "README.md").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    _, _, rest = card.partition("---")
    header = rest.partition("\n---")[0] if card.startswith("---") else ""
    found = _LICENCE.findall(header)
    return found[-1] if found else ""


def stay_offline() -> None:
    """Before any of Hugging Face's libraries is loaded: none of them may reach out, and what they
    say to programmers is not for the log of a job."""
    warnings.simplefilter("ignore", FutureWarning)
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["TRANSFORMERS_VERBOSITY"] = "error"
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
