"""What is shown while a sweep goes on, and what is kept of it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import levels
import published
import saved
from endpoint import Asked
from energy import Meter
from levels import Level

from cockpit.sdk import job


def show(done: Sequence[Level], all_levels: int) -> None:
    """The tables and charts so far."""
    job.table("bench", levels.SUMMARY, [levels.summary_row(each) for each in done])
    job.table("latency", levels.LATENCY, [levels.latency_row(each) for each in done])
    failures = [
        [levels.load_of(each.figures), kind, count]
        for each in done
        for kind, count in each.figures.failures.items()
    ]
    if failures:
        job.table("failures", ["load", "what", "requests"], failures)
    step, values = levels.metrics_of(done[-1])
    job.metrics(step=step, **{name: value for name, value in values.items() if value is not None})
    job.progress(len(done), all_levels, "levels")


def document(
    chosen: Mapping[str, Any], asked: Asked, meter: Meter, done: Sequence[Level], notes: list[str]
) -> dict[str, Any]:
    """All that is needed to measure it again; the key is not in it."""
    return {
        "schema": saved.SCHEMA,
        "time_s": time.time(),
        "job": job.directory.name if job.under_cockpit else None,
        "endpoint": {
            "target": chosen["target"] or None,
            "url": asked.target.base_url,
            "words_to_tokens": asdict(asked.length),
            "counts_tokens": asked.counts,
        },
        "setup": {
            "tool": chosen["tool"],
            "model": asked.target.model,
            "api": asked.target.api,
            "gpus": [gpu.name for gpu in meter.gpus],
            "where": meter.where,
            "simulated": meter.where == "simulated",
            "forced": asked.forced,
            "extras": sorted(asked.extras),
            "tokens_by": done[-1].figures.tokens_by if done else None,
            **{
                name: chosen[name]
                for name in (
                    "prompt_tokens", "output_tokens", "shared_prefix", "goodput_ttft_ms",
                    "goodput_tpot_ms", "goodput_e2e_ms",
                )
            },
        },
        "gpus": [asdict(gpu) for gpu in meter.gpus],
        "client": saved.machine(),
        "parameters": dict(chosen),
        "levels": [each.document() for each in done],
        "notes": notes,
    }  # fmt: skip


def notes_of(
    chosen: Mapping[str, Any], asked: Asked, meter: Meter, done: Sequence[Level]
) -> list[str]:
    """In words: what was measured, on what, and what to be careful about."""
    target = asked.target
    told = [f"{target.model} at {target.base_url}, asked by {chosen['tool']} ({target.api})"]
    if meter.where == "simulated":
        told.append("SIMULATED GPUs: what was measured is this machine's processor")
    elif meter.gpus:
        told.append("on " + ", ".join(gpu.name for gpu in meter.gpus))
    elif meter.where == "cpu":
        told.append("the service runs without a GPU, on this machine's processor")
    if chosen["tool"] == "cockpit":
        told += _how_asked(chosen, asked)
    reasons = dict.fromkeys(each.energy.reason for each in done if each.energy.reason)
    told += [f"no energy: {reason}" for reason in reasons]
    if any(each.energy.joules is not None for each in done):
        told.append(
            "J/token: all energy of the GPUs in the window, idle power too, per output token"
        )
    told += levels.remarks(done, chosen["output_tokens"])
    best = max(done, key=lambda each: each.figures.goodput_per_s or 0.0, default=None)
    if best is not None and best.figures.goodput_per_s:
        told.append(
            f"most goodput: {best.figures.goodput_per_s:.3g} requests/s"
            f" at {levels.load_of(best.figures)}"
        )
    return told


def _how_asked(chosen: Mapping[str, Any], asked: Asked) -> list[str]:
    told = []
    if not asked.forced and chosen["force_length"]:
        told.append("this server has no way to force the length of an answer: they may be shorter")
    if not asked.counts:
        told.append("this server does not count tokens: a piece of text counts as one")
    if not asked.length.measured:
        told.append("the prompts' tokens are not known: their length is counted in words")
    if chosen["shared_prefix"]:
        told.append(f"about {chosen['shared_prefix']} tokens of each prompt are the same in all")
    return told


def conclude(
    chosen: Mapping[str, Any],
    asked: Asked,
    meter: Meter,
    done: Sequence[Level],
    earlier: Mapping[str, Any] | None,
    extra: Sequence[Path],
) -> None:
    """The last tables, the notes, and the result as an output."""
    notes = notes_of(chosen, asked, meter, done)
    result = document(chosen, asked, meter, done, notes)
    if earlier is not None:
        job.table("against", saved.COMPARED, saved.compare(result, earlier))
        different = saved.differences(result, earlier)
        notes.append(
            f"against {chosen['against']}: "
            + ("NOT the same setup: " + "; ".join(different) if different else "the same setup")
        )
    found = published.rows(meter.gpus, asked.target.model)
    if found:
        job.table("published", published.COLUMNS, found)
        notes.append("published: what others told of this card and model; not measured here")
    job.text("notes", "\n".join(f"- {each}" for each in notes))
    for note in notes:
        job.message(note)
    if not job.under_cockpit:
        return
    try:
        saved.save(job.output(saved.NAME), result, extra)
    except OSError as error:
        job.message(f"The result could not be kept: {error.strerror or error}", "warning")
        return
    top = max(each.figures.output_tokens_per_s for each in done)
    told = f"{asked.target.model}: up to {top:.4g} tokens/s over {len(done)} levels"
    job.publish(saved.NAME, kind="llm-bench", summary=told)
