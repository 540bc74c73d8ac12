"""The tokenizer: made of the data, or another model's."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

END, OPEN, CLOSE, PAD = "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|pad|>"
MARKS = (END, OPEN, CLOSE, PAD)
"""The end of a document, ChatML's marks for whoever tunes the model, and padding."""
FILE = "tokenizer.json"
TRAINED_BYTES = 100_000_000
"""Of the data, at most, to make a tokenizer of."""
CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
# Words with the space before them, numbers by three digits at most, signs, and white space.
_PARTS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def train(texts: Iterable[str], size: int) -> Any:
    """A byte-level BPE (Sennrich et al. 2016, arXiv 1508.07909) of at most `size` tokens: any text
    can be written with it, and comes back as it was."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PARTS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(MARKS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def load(path: Path) -> Any:
    """The tokenizer of a model's folder, or of its tokenizer.json, with this program's marks.

    Raises ValueError, in words for the person, if there is none.
    """
    from tokenizers import Tokenizer

    file = path / FILE if path.is_dir() else path
    if not file.is_file():
        raise ValueError(f"There is no tokenizer at {path}: wants a tokenizer.json, or its folder.")
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # tokenizers raises Exception itself
        raise ValueError(f"{file} cannot be used as a tokenizer: {error}") from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.add_special_tokens(list(MARKS))
    return tokenizer


def save(tokenizer: Any, file: Path) -> None:
    """Whole or not at all."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    tokenizer.save(str(draft))
    draft.replace(file)


def encode(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """By all cores. Marks that stand in a text are letters like others: data cannot forge them."""
    return [each.ids for each in tokenizer.encode_batch(list(texts), add_special_tokens=False)]


def plain_encoder(tokenizer: Any) -> Any:
    """A copy that does not see marks in a text."""
    from tokenizers import Tokenizer

    copy = Tokenizer.from_str(tokenizer.to_str())
    copy.encode_special_tokens = True
    return copy


def settings(longest: int) -> str:
    """tokenizer_config.json, for transformers and vLLM."""
    return json.dumps(
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": longest,
            "eos_token": END,
            "pad_token": PAD,
            "additional_special_tokens": [OPEN, CLOSE],
            "clean_up_tokenization_spaces": False,
            "chat_template": CHATML,
        },
        indent=2,
    )
