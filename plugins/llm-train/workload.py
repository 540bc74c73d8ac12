"""Pre-train a language model: look at the data, make a tokenizer, hand over to what needs torch."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import checkpoint
import choices
import feed
import ranks
import topics
import vocabulary
from documents import files_of, pieces_of

from cockpit.sdk import job


def main() -> int:
    if job.stopping:
        return 0
    chosen = job.parameters.defaults(
        data="",
        text_key="text",
        skip_bad=False,
        shuffle=256,
        tokenizer="",
        vocabulary=32768,
        size="100m",
        depth=0,
        sequence=2048,
        steps=1000,
        batch=64,
        micro_batch=0,
        optimizer="muon",
        learning_rate=0.0,
        schedule="wsd",
        warmup=2.0,
        cooldown=20.0,
        final_rate=0.0,
        weight_decay=0.1,
        clip=1.0,
        eval_data="",
        eval_share=1.0,
        eval_tokens=262144,
        eval_every=0,
        sample="",
        sample_tokens=64,
        precision="auto",
        compile=False,
        recompute="auto",
        checkpoint_every=0,
        restart="",
        device="auto",
        processes=0,
        seed=0,
    )
    # Ours are threads of one process, and torchrun's ranks are no forks.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    try:
        return _train(dict(chosen))
    except ValueError as error:
        # What is wrong with a choice is so on every rank.
        if ranks.is_first():
            job.message(str(error), "error")
        return 2


def _train(chosen: dict[str, Any]) -> int:
    """Raises ValueError, in words for the person, for what cannot be done as chosen."""
    choices.check(chosen)
    source = _source(chosen)
    start = _start(chosen)
    tokenizer = job.directory / vocabulary.FILE
    if not ranks.is_rank():
        _make_tokenizer(chosen, source, start, tokenizer)

    # Only now what takes seconds to load.
    from devices import count_of_ranks

    count = count_of_ranks(chosen["device"], chosen["processes"])
    if job.stopping:
        return 0
    if count > 1 and not ranks.is_rank():
        return ranks.run_on(count)
    from pretraining import train

    code = train(chosen, source, tokenizer, start)
    if ranks.is_rank():
        job.flush()
        ranks.end(code)
    return code


def _source(chosen: dict[str, Any]) -> feed.Source:
    """Raises ValueError if there is nothing to read, or its first piece is bad."""
    path = Path(chosen["data"]) if chosen["data"] else topics.write(job.directory / "data")
    if not chosen["data"] and not ranks.is_rank():
        job.message("No --data was named: taking the text that Python itself carries.")
    share = 0.0 if chosen["eval_data"] else chosen["eval_share"] / 100.0
    every = max(2, round(1.0 / share)) if share else 0
    source = feed.Source(files_of(path), chosen["text_key"], chosen["skip_bad"], every)
    first = next(pieces_of(source.files, source.key), None)
    if first is None:
        raise ValueError(f"{path} has no text to learn from.")
    if first.problem and not source.skip_bad:
        raise ValueError(f"{first.problem}. Mend it, or leave such out with --skip-bad.")
    return source


def _start(chosen: dict[str, Any]) -> checkpoint.Checkpoint | None:
    """Where to go on from: as chosen, or the last state of this same job when it is tried again."""
    if chosen["restart"]:
        return checkpoint.load(checkpoint.find(chosen["restart"], job.directory))
    own = checkpoint.newest(job.directory / checkpoint.FOLDER) if job.under_cockpit else None
    return checkpoint.load(own) if own else None


def _make_tokenizer(
    chosen: dict[str, Any], source: feed.Source, start: checkpoint.Checkpoint | None, file: Path
) -> None:
    """Write the tokenizer to `file`: that of the checkpoint, the one chosen, or one of the data."""
    if start:
        made = vocabulary.load(start.path / vocabulary.FILE)
    elif chosen["tokenizer"]:
        made = vocabulary.load(Path(job.find_model(chosen["tokenizer"])).expanduser())
    else:
        made = vocabulary.train(feed.texts(source, vocabulary.TRAINED_BYTES), chosen["vocabulary"])
        job.message(f"A tokenizer of {made.get_vocab_size():,} tokens was made of the data.")
    vocabulary.save(made, file)


if __name__ == "__main__":
    sys.exit(main())
