"""The model as others load it: Hugging Face's format, published when it is whole."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import checkpoint
import torch
import vocabulary
from model import EPS, THETA, Llama
from safetensors.torch import save_file
from sizes import Shape

from cockpit.sdk import job


def publish(model: Llama, tokenizer: Any, summary: str) -> Path:
    """The output `model`. Raises OSError or SafetensorError if the disk does not take it."""
    folder = job.output("model")
    draft = folder.with_name(f".model.{os.getpid()}")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        draft.mkdir(parents=True)
        write(draft, model, tokenizer, summary)
        for file in draft.iterdir():
            with file.open("rb") as written:
                os.fsync(written.fileno())
        shutil.rmtree(folder, ignore_errors=True)
        draft.replace(folder)
        checkpoint.sync_folder(folder.parent)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    job.publish("model", kind="hf-model", summary=summary)
    return folder


def write(folder: Path, model: Llama, tokenizer: Any, summary: str) -> None:
    """All files of a model, its weights in bfloat16."""
    weights = {
        name: each.detach().to("cpu", torch.bfloat16).contiguous()
        for name, each in model.named_parameters()
    }
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save(str(folder / vocabulary.FILE))
    end, close, pad = (
        tokenizer.token_to_id(mark) for mark in (vocabulary.END, vocabulary.CLOSE, vocabulary.PAD)
    )
    files = {
        "config.json": _config(model.shape, end, pad),
        "generation_config.json": {
            # A tuned one ends its turns with the second.
            "eos_token_id": [end, close],
            "pad_token_id": pad,
            "do_sample": True,
            "temperature": 0.8,
            "top_k": 50,
        },
    }
    for name, values in files.items():
        (folder / name).write_text(json.dumps(values, indent=2), encoding="utf-8")
    settings = vocabulary.settings(model.shape.sequence)
    (folder / "tokenizer_config.json").write_text(settings, encoding="utf-8")
    (folder / "README.md").write_text(f"{summary}\n", encoding="utf-8")


def _config(shape: Shape, end: int, pad: int) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "bfloat16",
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.width,
        "intermediate_size": shape.inner,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head,
        "hidden_act": "silu",
        "max_position_embeddings": shape.sequence,
        "rms_norm_eps": EPS,
        # Both, for readers before and since transformers 5.
        "rope_theta": THETA,
        "rope_parameters": {"rope_type": "default", "rope_theta": THETA},
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": True,
        "bos_token_id": None,
        "eos_token_id": end,
        "pad_token_id": pad,
        "use_cache": True,
    }
