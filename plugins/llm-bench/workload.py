"""Measure an OpenAI-compatible endpoint: throughput, latency, goodput and energy over a sweep."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import endpoint
import energy
import fake
import levels
import saved
import telling
import vllm_tool
from choices import bounds_of, check, levels_of
from client import Client, Target
from endpoint import Asked
from energy import Energy, Meter
from figures import Loop, summarize
from levels import Level
from load import Load, Measured, Plan, StopAsked
from prompts import prompts
from watch import Watch

from cockpit.sdk import job

SELF = "self"


def main() -> int:
    if job.stopping:
        return 0
    chosen = dict(
        job.parameters.defaults(
            target="",
            url="",
            key_env="",
            model="",
            api="chat",
            concurrency="1,2,4,8,16,32",
            rates="",
            prompt_tokens=512,
            output_tokens=128,
            shared_prefix=0,
            force_length=True,
            warmup_s=3.0,
            window_s=30.0,
            timeout_s=120.0,
            goodput_ttft_ms=1000.0,
            goodput_tpot_ms=50.0,
            goodput_e2e_ms=0.0,
            against="",
            tool="cockpit",
            vllm="vllm",
            seed=1,
        )
    )
    try:
        check(chosen)
        sweep = levels_of(chosen)
        earlier = None
        if chosen["against"]:
            earlier = saved.load(job.find_output(chosen["against"], saved.NAME))
        with contextlib.ExitStack() as stack:
            if chosen["target"] == SELF:
                target, meter = _itself(stack, chosen)
            else:
                target, _ = endpoint.target_of(chosen)
                meter = _meter(chosen["target"])
            return asyncio.run(_measured(chosen, target, meter, sweep, earlier))
    except ValueError as error:
        job.message(str(error), "error")
        return 2


def _itself(stack: contextlib.ExitStack, chosen: Mapping[str, Any]) -> tuple[Target, Meter]:
    base_url = stack.enter_context(fake.served())
    job.message("Measuring this client itself, against a server that only sends.")
    return Target(base_url, "", "", chosen["api"]), Meter("unknown", "there is no model behind it")


def _meter(reference: str) -> Meter:
    if not reference:
        return energy.foreign()
    return energy.meter_of(job.directory.absolute().parent / reference.removeprefix("job:"))


async def _measured(
    chosen: Mapping[str, Any],
    target: Target,
    meter: Meter,
    sweep: list[tuple[Loop, float]],
    earlier: Mapping[str, Any] | None,
) -> int:
    """Find out how it is asked, measure each level, tell. Raises ValueError in words."""
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=None),
        read_bufsize=2**18,
        trust_env=True,
    )
    async with session:
        target = await endpoint.with_model(session, target, chosen["model"])
        asked = await endpoint.find_out(
            session, target, chosen["output_tokens"], chosen["force_length"], chosen["seed"]
        )
        job.message(f"{target.model} at {target.base_url} answers; {len(sweep)} levels to measure.")
        bench = _Bench(chosen, session, asked, meter, len(sweep))
        try:
            for loop, level in sweep:
                await bench.level(loop, level)
                if bench.dead:
                    break
        except StopAsked:
            job.message("StopAsked as asked; the levels that were whole are kept.")
        except vllm_tool.ToolError as error:
            job.message(str(error), "error")
            bench.dead = True
    if bench.done:
        telling.conclude(chosen, asked, meter, bench.done, earlier, bench.files)
    return 1 if bench.dead else 0


class _Bench:
    """The sweep as it goes on."""

    def __init__(
        self,
        chosen: Mapping[str, Any],
        session: aiohttp.ClientSession,
        asked: Asked,
        meter: Meter,
        count: int,
    ) -> None:
        self.done: list[Level] = []
        self.files: list[Path] = []
        self.dead = False
        self._chosen, self._asked, self._count = chosen, asked, count
        self._bounds = bounds_of(chosen)
        client = Client(
            session, asked.target, chosen["output_tokens"], chosen["timeout_s"], asked.extras
        )
        watch = Watch(meter, lambda: endpoint.served_tokens(session, asked.target))
        plan = Plan(chosen["warmup_s"], chosen["window_s"])
        self._load = Load(client, plan, watch, lambda: job.stopping, self._tick)
        self._last: tuple[float, int] = (0.0, 0)

    async def level(self, loop: Loop, level: float) -> None:
        """Measure one level and tell it. Raises StopAsked or ToolError."""
        if self._chosen["tool"] == "vllm":
            told = await self._by_vllm(loop, level)
        else:
            told = await self._by_itself(loop, level)
        self.done.append(told)
        telling.show(self.done, self._count)
        if not told.figures.answered:
            self.dead = True
            kinds = ", ".join(told.figures.failures) or "nothing ended in the window"
            job.message(f"{levels.load_of(told.figures)}: no answer at all ({kinds}).", "error")
        elif told.figures.failed:
            job.message(
                f"{levels.load_of(told.figures)}: {told.figures.failed} of"
                f" {told.figures.requests} requests failed.",
                "warning",
            )

    async def _by_itself(self, loop: Loop, level: float) -> Level:
        chosen, length = self._chosen, self._asked.length
        words = length.words(chosen["prompt_tokens"])
        shared = length.words(chosen["shared_prefix"]) if chosen["shared_prefix"] else 0
        source = prompts(chosen["seed"] + len(self.done), words, min(shared, words - 1))
        if loop == "closed":
            measured = await self._load.closed(source, round(level))
        else:
            measured = await self._load.open(source, level, chosen["seed"])
        _tell_details(measured)
        found = summarize(measured.traces, measured.window, loop, level, self._bounds)
        before = self.done[-1].figures if self.done else None
        limit = "—" if measured.dead else levels.limit_of(found, measured.observed, before)
        claimed = levels.claimed(measured.observed, found)
        return Level(found, measured.observed, claimed, limit, measured.held_back)

    async def _by_vllm(self, loop: Loop, level: float) -> Level:
        vllm = vllm_tool.program(self._chosen["vllm"])
        file = job.directory.absolute() / f"vllm-{loop}-{level:g}.json"
        words = vllm_tool.command(vllm, self._asked.target, loop, level, self._chosen, file)
        await vllm_tool.run(words, self._asked.target.key, lambda: job.stopping)
        if job.stopping:
            raise StopAsked
        self.files.append(file)
        told = vllm_tool.read(file, loop, level, self._bounds)
        return Level(told, None, Energy(None, "vllm bench serve does not tell when its window is"))

    def _tick(self, under_way: int, pieces: int) -> None:
        now_s = asyncio.get_running_loop().time()
        before_s, before = self._last
        self._last = now_s, pieces
        if before_s and pieces >= before:
            rate = (pieces - before) / (now_s - before_s)
            job.metrics(live_pieces_per_s=rate, under_way=under_way)


def _tell_details(measured: Measured) -> None:
    """The first of each kind of failure with the server's own words."""
    seen: dict[str, str] = {}
    for trace in measured.traces:
        if trace.outcome == "failed":
            seen.setdefault(trace.failure, trace.detail)
    for kind, detail in seen.items():
        job.message(f"{kind}: {detail}" if detail else kind, "warning")


if __name__ == "__main__":
    sys.exit(main())
