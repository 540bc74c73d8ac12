"""Fine-tune a language model: look through the data, then hand over to what needs torch."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import choices
import dataset
import models
import ranks

from cockpit.sdk import job


def main() -> int:
    if job.stopping:
        return 0
    chosen = job.parameters.defaults(
        model="",
        data="",
        method="lora",
        epochs=3.0,
        steps=0,
        batch=16,
        micro_batch=0,
        sequence=2048,
        learning_rate=0.0,
        warmup=3.0,
        weight_decay=0.0,
        clip=1.0,
        rank=16,
        alpha=0.0,
        dropout=0.0,
        targets="all-linear",
        dora=False,
        rslora=False,
        beta=0.1,
        plain=False,
        skip_bad=False,
        eval_data="",
        eval_share=5.0,
        eval_every=0,
        ask="",
        samples=5,
        answer_tokens=64,
        merge=False,
        precision="auto",
        recompute="auto",
        checkpoint_every=0,
        restart="",
        device="auto",
        processes=0,
        seed=0,
    )
    models.stay_offline()
    try:
        return _tune(dict(chosen))
    except ValueError as error:
        # What is wrong with a choice is so on every rank.
        if ranks.is_first():
            job.message(str(error), "error")
        return 2


def _tune(chosen: dict[str, Any]) -> int:
    """Raises ValueError, in words for the person, for what cannot be done as chosen."""
    choices.check(chosen)
    learn, held_out = _examples(chosen)
    found = models.find(chosen["model"])

    # Only now what takes seconds to load.
    from devices import count_of_ranks

    count = count_of_ranks(chosen["device"], chosen["processes"])
    if job.stopping:
        return 0
    if count > 1 and not ranks.is_rank():
        return ranks.run_on(count)
    from tuning import tune

    code = tune(chosen, learn, held_out, found)
    if ranks.is_rank():
        job.flush()
        ranks.end(code)
    return code


def _examples(
    chosen: dict[str, Any],
) -> tuple[list[dataset.Example], list[dataset.Example]]:
    """What is to be learned, and what is held out."""
    if not chosen["data"]:
        if chosen["method"] == "dpo":
            data, held = dataset.PAIRS, ""
        else:
            data, held = dataset.EXAMPLE, str(dataset.HELD_OUT_EXAMPLE)
        held = chosen["eval_data"] or held
        _say(f"No --data was named: taking the example that comes with the plugin, {data.name}.")
    else:
        data, held = Path(chosen["data"]), chosen["eval_data"]
    learn = _read(data, chosen)
    if held:
        return learn, _read(Path(held), chosen)
    return dataset.hold_out(learn, chosen["eval_share"] / 100.0, chosen["seed"])


def _read(path: Path, chosen: dict[str, Any]) -> list[dataset.Example]:
    read = dataset.read_examples(path, chosen["method"] == "dpo")
    if read.problems:
        words = dataset.told(read.problems, len(read.examples))
        if not chosen["skip_bad"]:
            raise ValueError(f"{words}\nMend them in {path}, or leave them out with --skip-bad.")
        _say(f"{words}\nThey are left out.", "warning")
    if not read.examples:
        raise ValueError(f"{path} has no row to learn from.")
    return list(read.examples)


def _say(text: str, level: str = "info") -> None:
    """Once, and not once more by each rank."""
    if not ranks.is_rank():
        job.message(text, level)


if __name__ == "__main__":
    sys.exit(main())
