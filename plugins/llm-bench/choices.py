"""What the person chose, checked, as the parts of the benchmark need it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from figures import Bounds, Loop

MOST_AT_ONCE = 4096
MOST_PER_S = 10_000.0


def levels_of(chosen: Mapping[str, Any]) -> list[tuple[Loop, float]]:
    """The sweep: first the closed loops, then the open ones. Raises ValueError in words."""
    closed = _numbers("concurrency", chosen["concurrency"], MOST_AT_ONCE)
    if any(each != round(each) or each < 1 for each in closed):
        raise ValueError(
            f"--concurrency: got {chosen['concurrency']!r}, wants whole numbers such as 1,4,16."
        )
    opened = _numbers("rates", chosen["rates"], MOST_PER_S)
    if not closed and not opened:
        raise ValueError("Nothing to measure: give --concurrency, --rates or both.")
    return [*(("closed", each) for each in closed), *(("open", each) for each in opened)]


def bounds_of(chosen: Mapping[str, Any]) -> Bounds:
    """What a good request keeps; 0 bounds nothing."""
    keys = ("goodput_ttft_ms", "goodput_tpot_ms", "goodput_e2e_ms")
    return Bounds(*(chosen[key] / 1000.0 or None for key in keys))


def check(chosen: Mapping[str, Any]) -> None:
    """Raises ValueError in words for what cannot be."""
    if chosen["shared_prefix"] >= chosen["prompt_tokens"]:
        raise ValueError(
            f"--shared-prefix: got {chosen['shared_prefix']} of {chosen['prompt_tokens']} tokens;"
            " wants fewer, so that each prompt has something of its own."
        )
    if chosen["tool"] not in ("cockpit", "vllm"):
        raise ValueError(f"--tool: got {chosen['tool']!r}, wants cockpit or vllm.")
    if chosen["api"] not in ("chat", "completions"):
        raise ValueError(f"--api: got {chosen['api']!r}, wants chat or completions.")


def _numbers(name: str, text: str, most: float) -> list[float]:
    words = text.replace(",", " ").split()
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        numbers = [-1.0]
    if not all(0 < each <= most for each in numbers):
        raise ValueError(f"--{name}: got {text!r}, wants numbers up to {most:g} such as 1,2,4.")
    return list(dict.fromkeys(numbers))
