"""The same sweep by `vllm bench serve`, vLLM's own benchmark, read into the same figures."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from client import Target
from figures import Bounds, Figures, Loop, Spread

LEAST_REQUESTS = 20
REQUESTS_PER_WORKER = 5
LAST_LINES = 12


class ToolError(Exception):
    """`vllm bench serve` failed, in words."""


def program(name: str) -> str:
    """Where `vllm` is: as chosen, beside this Python, or on the PATH. Raises ValueError."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.is_file() else shutil.which(name)
    if found is None:
        raise ValueError(
            f"--tool vllm: there is no program {name!r} beside {sys.executable} or on the PATH;"
            " name that of an environment with vLLM by --vllm PATH."
        )
    return found


def command(
    vllm: str,
    target: Target,
    loop: Loop,
    level: float,
    chosen: Mapping[str, Any],
    result: Path,
) -> list[str]:
    """The command line of one level; the key is not in it."""
    requests = _requests(loop, level, chosen["window_s"])
    load = (
        ["--max-concurrency", f"{level:g}"]
        if loop == "closed"
        else ["--request-rate", f"{level:g}"]
    )
    bounds = [
        f"{name}:{chosen[key]:g}"
        for name, key in (("ttft", "goodput_ttft_ms"), ("tpot", "goodput_tpot_ms"),
                          ("e2el", "goodput_e2e_ms"))
        if chosen[key]
    ]  # fmt: skip
    return [
        vllm, "bench", "serve",
        "--backend", "openai-chat" if target.api == "chat" else "openai",
        "--base-url", target.base_url.removesuffix("/v1"),
        "--endpoint", target.url.removeprefix(target.base_url.removesuffix("/v1")),
        "--model", target.model,
        "--tokenizer", target.tokenizer or target.model,
        "--dataset-name", "random",
        "--random-input-len", str(chosen["prompt_tokens"] - chosen["shared_prefix"]),
        "--random-prefix-len", str(chosen["shared_prefix"]),
        "--random-output-len", str(chosen["output_tokens"]),
        "--num-prompts", str(requests),
        "--num-warmups", str(min(requests, round(level) if loop == "closed" else 1)),
        "--seed", str(chosen["seed"]),
        "--temperature", "0",
        *(["--ignore-eos"] if chosen["force_length"] else []),
        *load,
        "--percentile-metrics", "ttft,tpot,itl,e2el",
        "--metric-percentiles", "50,90,99",
        *(["--goodput", *bounds] if bounds else []),
        "--save-result",
        "--result-dir", str(result.parent),
        "--result-filename", result.name,
        "--disable-tqdm",
    ]  # fmt: skip


async def run(words: list[str], key: str, stopping: Callable[[], bool]) -> str:
    """Run one level, its output into the log; its last lines. Raises ToolError if it failed."""
    environment = {**os.environ, **({"OPENAI_API_KEY": key} if key else {})}
    process = await asyncio.create_subprocess_exec(
        *words, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    assert process.stdout is not None
    lines: list[str] = []
    try:
        async for line in process.stdout:
            text = line.decode("utf-8", "replace").rstrip()
            print(text, flush=True)
            lines = [*lines[1 - LAST_LINES :], text]
            if stopping():
                break
    finally:
        if process.returncode is None and stopping():
            process.terminate()
        code = await process.wait()
    if code != 0 and not stopping():
        raise ToolError(f"`vllm bench serve` ended with code {code}: {' '.join(lines)[-400:]}")
    return "\n".join(lines)


def read(file: Path, loop: Loop, level: float, bounds: Bounds) -> Figures:
    """The figures in a result of `vllm bench serve --save-result`. Raises ToolError."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        window_s, answered = float(found["duration"]), int(found["completed"])
        failed = int(found.get("failed", 0))
        return Figures(
            loop=loop,
            level=level,
            window_s=window_s,
            requests=answered + failed,
            answered=answered,
            failures={"told by vllm bench serve": failed} if failed else {},
            requests_per_s=float(found["request_throughput"]),
            output_tokens_per_s=float(found["output_throughput"]),
            total_tokens_per_s=float(found["total_token_throughput"]),
            prompt_tokens_mean=found["total_input_tokens"] / answered if answered else None,
            output_tokens_mean=found["total_output_tokens"] / answered if answered else None,
            ttft=_spread(found, "ttft", answered),
            itl=_spread(found, "itl", answered),
            tpot=_spread(found, "tpot", answered),
            e2e=_spread(found, "e2el", answered),
            goodput_per_s=_goodput(found, bounds),
            tokens_by="server",
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ToolError(f"the result of `vllm bench serve` cannot be read: {error!r}") from None


def _goodput(found: Mapping[str, Any], bounds: Bounds) -> float | None:
    if bounds == Bounds():
        return float(found["request_throughput"])
    told = found.get("request_goodput")
    return None if told is None else float(told)


def _spread(found: Mapping[str, Any], name: str, answered: int) -> Spread:
    if not answered:
        return Spread()
    return Spread(*(float(found[f"p{share}_{name}_ms"]) / 1000.0 for share in (50, 90, 99)))


def _requests(loop: Loop, level: float, window_s: float) -> int:
    if loop == "closed":
        return max(LEAST_REQUESTS, round(REQUESTS_PER_WORKER * level))
    return max(LEAST_REQUESTS, round(level * window_s))
