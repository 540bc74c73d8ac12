"""How much memory a method needs at least, known before anything is loaded."""

from __future__ import annotations

from pathlib import Path

from choices import Recipe

TRAINED_BYTES = 16.0
"""A weight in single precision, its gradient and AdamW's two moments."""
QUANTIZED_BYTES = 0.7
"""Of a parameter in 4 bits, with scales, and embeddings that stay in 16."""
SPARE = 0.95
"""The part of what is free that weights may take; activations come on top."""


def count_parameters(folder: Path) -> int:
    """Of the model in `folder`, by its configuration. Raises ValueError if it is no known one."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        with torch.device("meta"):
            return int(AutoModelForCausalLM.from_config(config).num_parameters())
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ValueError(f"The model in {folder} cannot be loaded: {error}") from None


def needed_bytes(parameters: int, method: str, has_adapter: bool, half: bool) -> float:
    """Of the weights and all that is kept for each of them, on one device."""
    if not has_adapter:
        return TRAINED_BYTES * parameters
    if method == "qlora":
        return QUANTIZED_BYTES * parameters
    return (2.0 if half else 4.0) * parameters


def free_bytes(device: str, ranks: int) -> float:
    """For this rank: of its GPU, or its share of the machine's memory."""
    if device != "cpu":
        import torch

        return float(torch.cuda.mem_get_info(device)[0])
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return 1024.0 * int(line.split()[1]) / ranks
    return float("inf")


def check(parameters: int, recipe: Recipe, half: bool, device: str, free: float) -> None:
    """Raises ValueError if the weights alone do not fit, with the nearest method that does."""
    needed = needed_bytes(parameters, recipe.method, recipe.has_adapter, half)
    if needed <= SPARE * free:
        return
    instead = "choose a smaller model, or a device with more memory"
    for method in ("lora", "qlora") if device != "cpu" else ("lora",):
        other = needed_bytes(parameters, method, True, half)
        if other < needed and other <= SPARE * free:
            instead = f"--method {method} takes about {_gigabytes(other)}"
            break
    raise ValueError(
        f"{recipe.method} keeps about {_gigabytes(needed)} for {parameters / 1e6:,.0f} M parameters,"
        f" and {device} has {_gigabytes(free)} free: {instead}."
    )


def _gigabytes(count: float) -> str:
    return f"{count / 1e9:,.3g} GB"
