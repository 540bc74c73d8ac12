"""One request to an OpenAI-compatible endpoint: streamed, and each piece of text noted as it comes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from figures import Trace

DETAIL_LETTERS = 200
NO_TEXT = "no text"
LOST = "connection lost"
TEXT_KEYS = ("content", "reasoning_content", "reasoning")


@dataclass(frozen=True)
class Target:
    """Which model of which endpoint, and how it is asked."""

    base_url: str
    """Ends in /v1."""
    key: str
    model: str
    api: str
    """`chat` or `completions`."""
    tokenizer: str = ""
    """Where the model lies, a path or a hub id, as far as the endpoint tells."""

    @property
    def url(self) -> str:
        path = "chat/completions" if self.api == "chat" else "completions"
        return f"{self.base_url}/{path}"

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}


class Client:
    """Asks a target; `extras` are the fields of a request beyond the common ones."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        target: Target,
        output_tokens: int,
        timeout_s: float,
        extras: Mapping[str, Any] | None = None,
    ) -> None:
        self.target = target
        self.output_tokens = output_tokens
        self.timeout_s = timeout_s
        self.extras = dict(extras or {})
        self._session = session
        # Not asyncio.wait_for, which before Python 3.12 can swallow a cancellation.
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)

    async def ask(self, prompt: str, trace: Trace) -> Trace:
        """Fill `trace`; what fails is told in it. Cancelled, it stays as far as it was."""
        trace.sent_s = time.monotonic()
        try:
            await self._stream(prompt, trace)
        except asyncio.TimeoutError:
            _fail(trace, f"slower than {self.timeout_s:g} s")
        except aiohttp.ClientConnectorError as error:
            _fail(trace, "cannot connect", str(error))
        except (aiohttp.ClientError, ConnectionError, OSError) as error:
            _fail(trace, LOST, str(error))
        trace.ended_s = time.monotonic()
        return trace

    async def _stream(self, prompt: str, trace: Trace) -> None:
        body = self._body(prompt)
        async with self._session.post(
            self.target.url, json=body, headers=self.target.headers, timeout=self._timeout
        ) as response:
            if response.status != 200:
                words = (await response.read()).decode("utf-8", "replace")
                _fail(trace, f"HTTP {response.status}", words)
                return
            whole = False
            rest = b""
            async for block in response.content.iter_any():
                # All events of one block came at once: they have one time.
                now_s = time.monotonic()
                lines = (rest + block).split(b"\n")
                rest = lines.pop()
                for line in lines:
                    whole = self._read(line, now_s, trace) or whole
        if trace.failure:
            trace.outcome = "failed"
        elif not whole:
            _fail(trace, "cut off", "the stream ended before the answer did")
        elif not trace.arrivals_s:
            _fail(trace, NO_TEXT, "an answer without any text")
        else:
            trace.outcome = "answered"

    def _body(self, prompt: str) -> dict[str, Any]:
        asked: dict[str, Any] = (
            {"messages": [{"role": "user", "content": prompt}]}
            if self.target.api == "chat"
            else {"prompt": prompt}
        )
        common = {"model": self.target.model, "max_tokens": self.output_tokens, "stream": True}
        return {**common, **asked, **self.extras}

    def _read(self, line: bytes, now_s: float, trace: Trace) -> bool:
        """Take in one line of the stream; True if it says that the answer is whole."""
        if not line.startswith(b"data:"):
            return False
        data = line[5:].strip()
        if data == b"[DONE]":
            return True
        try:
            event = json.loads(data)
        except ValueError:
            trace.failure, trace.detail = "broken stream", repr(data[:DETAIL_LETTERS])
            return False
        if not isinstance(event, dict):
            return False
        if event.get("error"):
            trace.failure, trace.detail = (
                "error in the stream",
                str(event["error"])[:DETAIL_LETTERS],
            )
        usage = event.get("usage")
        if usage:
            trace.prompt_tokens = usage.get("prompt_tokens")
            trace.output_tokens = usage.get("completion_tokens")
        choices = event.get("choices")
        if not choices:
            return False
        choice = choices[0]
        if _has_text(choice):
            trace.arrivals_s.append(now_s)
        return choice.get("finish_reason") is not None


def _has_text(choice: Mapping[str, Any]) -> bool:
    if choice.get("text"):
        return True
    delta = choice.get("delta") or {}
    return any(delta.get(key) for key in TEXT_KEYS)


def _fail(trace: Trace, kind: str, detail: str = "") -> None:
    trace.outcome, trace.failure, trace.detail = "failed", kind, detail[:DETAIL_LETTERS]
