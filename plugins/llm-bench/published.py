"""What others have published of serving, to be shown as that: published, never measured here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from energy import Gpu
from levels import Cell

COLUMNS = ("published by", "card", "engine", "model", "load", "out tok/s")


@dataclass(frozen=True)
class Figure:
    """One published figure, with its source and the card that it belongs to."""

    source: str
    card: str
    engine: str
    model: str
    load: str
    output_tokens_per_s: float


FIGURES = (
    Figure(
        "runinfra.ai, vLLM vs SGLang vs TensorRT-LLM, June 2026",
        "H100",
        "vLLM 0.23.0",
        "Llama-3.1-8B-Instruct",
        "saturated",
        5333.0,
    ),
    Figure(
        "Red Hat, MLPerf Inference v5.1",
        "H100",
        "vLLM 0.10.0, FP8",
        "Llama-3.1-8B",
        "MLPerf Offline",
        5777.0,
    ),
    Figure(
        "Red Hat, MLPerf Inference v5.1",
        "H100",
        "vLLM 0.10.0, FP8",
        "Llama-3.1-8B",
        "MLPerf Server",
        5103.0,
    ),
)


def rows(gpus: Sequence[Gpu], model: str) -> list[list[Cell]]:
    """Those of the same single card and the same family of models; none beside anything else.

    A figure of another card or size, or beside a CPU, would only look as if it could be compared.
    """
    if len(gpus) != 1:
        return []
    wanted = model.lower()
    return [
        [each.source, each.card, each.engine, each.model, each.load, each.output_tokens_per_s]
        for each in FIGURES
        if each.card in gpus[0].name and _family(each.model) in wanted
    ]


def _family(model: str) -> str:
    return model.lower().removesuffix("-instruct")
