"""Which endpoint is measured, and how it can be asked: its models, its lengths, what it refuses."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
from client import NO_TEXT, Client, Target
from figures import Trace
from prompts import Length, prompts

from cockpit.sdk import job

PROBE_WORDS = (8, 40)
PROBE_TIMEOUT_S = 300.0
REFUSED = ("HTTP 400", "HTTP 422")
GENERATED = "vllm:generation_tokens_total"


@dataclass(frozen=True)
class Asked:
    """How this endpoint is asked, as found by asking it."""

    target: Target
    extras: Mapping[str, Any]
    forced: bool
    """Whether it makes as many tokens as asked, whatever it would say."""
    counts: bool
    """Whether it says how many tokens there were."""
    length: Length


def target_of(chosen: Mapping[str, Any]) -> tuple[Target, tuple[str, ...]]:
    """The endpoint that was chosen and, of a job, its models. Raises ValueError in words."""
    if bool(chosen["target"]) == bool(chosen["url"]):
        raise ValueError("Choose one endpoint: --target job:ID, --target self or --url URL.")
    if chosen["target"]:
        access = job.find_service(chosen["target"])
        target = Target(access.base_url, access.key or "", "", chosen["api"])
        return target, tuple(access.models)
    url = str(chosen["url"]).rstrip("/")
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"--url: got {url!r}, wants such as https://host/v1.")
    key = ""
    if name := chosen["key_env"]:
        key = os.environ.get(name, "")
        if not key:
            raise ValueError(
                f"The variable {name} is not set in this job: give its value with --secret {name}."
            )
    return Target(url, key, "", chosen["api"]), ()


async def with_model(session: aiohttp.ClientSession, target: Target, model: str) -> Target:
    """`target` with its model: the chosen one, or the first that it lists.

    Raises ValueError if it cannot be reached, refuses the key, or has no such model.
    """
    listed, base_url = await _models(session, target)
    names = list(listed)
    if not names and not model:
        raise ValueError(f"{target.base_url} lists no model: choose one with --model.")
    if model and names and model not in names:
        raise ValueError(f"There is no model {model!r} at {target.base_url}: {', '.join(names)}.")
    name = model or names[0]
    return replace(target, base_url=base_url, model=name, tokenizer=listed.get(name) or name)


async def _models(session: aiohttp.ClientSession, target: Target) -> tuple[dict[str, str], str]:
    """Their names with where each lies if that is told, and the base URL that lists them."""
    urls = [target.base_url]
    if not target.base_url.endswith("/v1"):
        urls.append(f"{target.base_url}/v1")
    status = 0
    for url in urls:
        try:
            async with session.get(f"{url}/models", headers=target.headers) as response:
                status = response.status
                if status == 200:
                    listed = (await response.json(content_type=None)).get("data") or []
                    return {str(each["id"]): str(each.get("root") or "") for each in listed}, url
        except (aiohttp.ClientError, OSError, ValueError, KeyError, AttributeError) as error:
            raise ValueError(f"{target.base_url} cannot be asked for its models: {error}") from None
        if status in (401, 403):
            raise ValueError(
                f"{target.base_url} refuses the key (HTTP {status}):"
                " name the variable that holds it with --key-env and --secret."
            )
    # Some servers list no models and answer all the same.
    return {}, urls[0]


async def find_out(
    session: aiohttp.ClientSession, target: Target, output_tokens: int, force: bool, seed: int
) -> Asked:
    """Ask a little, to learn what the endpoint understands and how long its prompts become.

    Raises ValueError if it answers nothing.
    """
    few = min(output_tokens, 4)
    source = [prompts(seed, words) for words in PROBE_WORDS]
    ways = _ways(output_tokens, force)
    extras, forced = next(ways)
    while True:
        client = Client(session, target, few, PROBE_TIMEOUT_S, _for_probe(extras, few))
        trace = await _asked(client, source[0])
        if trace.outcome == "answered" or trace.failure == NO_TEXT:
            break
        other = next(ways, None)
        if trace.failure not in REFUSED or other is None:
            raise ValueError(_why(target, trace))
        extras, forced = other
    counted = [trace, await _asked(client, source[1])]
    lengths = [(w, t.prompt_tokens) for w, t in zip(PROBE_WORDS, counted, strict=True)]
    known = [(words, tokens) for words, tokens in lengths if tokens is not None]
    length = Length.through(*known) if len(known) == 2 else None
    counts = counted[0].output_tokens is not None
    return Asked(target, extras, forced, counts, length or Length())


def _ways(output_tokens: int, force: bool) -> Iterator[tuple[dict[str, Any], bool]]:
    """Fields beyond the common ones, from the most that is wished to none.

    `ignore_eos` is vLLM's, SGLang's and llama.cpp's; `generation_config` that of `transformers
    serve`; the public services have neither.
    """
    usage = {"stream_options": {"include_usage": True}, "temperature": 0.0}
    if force:
        yield {**usage, "ignore_eos": True}, True
        yield {**usage, "generation_config": _generation(output_tokens)}, True
    yield usage, False
    yield {"stream_options": {"include_usage": True}}, False
    yield {}, False


def _generation(tokens: int) -> str:
    return json.dumps({"min_new_tokens": tokens, "max_new_tokens": tokens, "do_sample": False})


def _for_probe(extras: Mapping[str, Any], tokens: int) -> dict[str, Any]:
    short = dict(extras)
    if "generation_config" in short:
        short["generation_config"] = _generation(tokens)
    return short


async def _asked(client: Client, source: Iterator[str]) -> Trace:
    return await client.ask(next(source), Trace(0.0))


def _why(target: Target, trace: Trace) -> str:
    detail = f": {trace.detail}" if trace.detail else ""
    return f"{target.url} did not answer ({trace.failure}{detail})."


async def served_tokens(session: aiohttp.ClientSession, target: Target) -> float | None:
    """Tokens that the server has made since its start, for all models; None if it does not tell.

    Read from `/metrics`, which vLLM has.
    """
    url = target.base_url.removesuffix("/v1") + "/metrics"
    patience = aiohttp.ClientTimeout(total=5)
    try:
        async with session.get(url, headers=target.headers, timeout=patience) as response:
            if response.status != 200:
                return None
            lines = (await response.text()).splitlines()
        values = [float(line.split()[-1]) for line in lines if line.startswith(GENERATED)]
    except (aiohttp.ClientError, OSError, ValueError, asyncio.TimeoutError):
        return None
    return sum(values) if values else None
