"""A small Llama with random weights, made in a moment: to try the plugin out without a model.

Each byte is a token, and ChatML's marks are there. It knows nothing; it can learn a few answers by
heart.
"""

from __future__ import annotations

from pathlib import Path

MARKS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


def make_tiny_model(
    folder: Path, width: int = 64, layers: int = 2, seed: int = 0, chat_template: bool = True
) -> Path:
    """Write it into `folder` in Hugging Face's format, unless it is there. Returns the folder."""
    if (folder / "model.safetensors").exists():
        return folder
    import torch
    from chat_templates import CHATML
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: at for at, letter in enumerate([*MARKS, *letters])}
    core = Tokenizer(models.BPE(vocabulary, []))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens(list(MARKS))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token=MARKS[2], pad_token=MARKS[0], model_max_length=1024
    )
    if chat_template:
        tokenizer.chat_template = CHATML
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        bos_token_id=None,
        eos_token_id=vocabulary[MARKS[2]],
        pad_token_id=vocabulary[MARKS[0]],
        tie_word_embeddings=True,
    )
    model = LlamaForCausalLM(config)
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
    return folder
