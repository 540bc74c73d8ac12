"""What the requests of one level say: percentiles, throughput, goodput. Arithmetic only."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

Outcome = Literal["unfinished", "answered", "failed"]
Loop = Literal["closed", "open"]


@dataclass
class Trace:
    """One request as it goes on. Times are seconds on one monotonic clock."""

    due_s: float
    """When it was to be sent: what its latency counts from, however late the client was."""
    sent_s: float = 0.0
    arrivals_s: array[float] = field(default_factory=lambda: array("d"))
    """When each piece of text came."""
    ended_s: float | None = None
    outcome: Outcome = "unfinished"
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    """Both as the server counted them; None where it does not tell."""
    failure: str = ""
    """What kind of failure, such as `HTTP 429`."""
    detail: str = ""


@dataclass(frozen=True)
class Window:
    """The steady part of a level: only what lies in it is counted."""

    begin_s: float
    end_s: float

    def __contains__(self, time_s: float | None) -> bool:
        return time_s is not None and self.begin_s <= time_s < self.end_s

    @property
    def length_s(self) -> float:
        return self.end_s - self.begin_s


@dataclass(frozen=True)
class Bounds:
    """What a request must keep to be good; None bounds nothing."""

    ttft_s: float | None = None
    tpot_s: float | None = None
    e2e_s: float | None = None


@dataclass(frozen=True)
class Spread:
    """Percentiles in seconds; None where nothing was measured."""

    p50_s: float | None = None
    p90_s: float | None = None
    p99_s: float | None = None

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        ordered = sorted(values)
        if not ordered:
            return cls()
        return cls(*(percentile(ordered, share) for share in (50, 90, 99)))


@dataclass(frozen=True)
class Figures:
    """One level of a sweep, whoever measured it."""

    loop: Loop
    level: float
    """Requests at once in a closed loop, requests per second in an open one."""
    window_s: float
    requests: int
    """Those that count: answered or failed, never one that was only cut off by the end."""
    answered: int
    failures: dict[str, int]
    requests_per_s: float
    output_tokens_per_s: float
    total_tokens_per_s: float | None
    """With the prompts' tokens; None where the server does not count them."""
    prompt_tokens_mean: float | None
    output_tokens_mean: float | None
    ttft: Spread
    itl: Spread
    """Between one piece of text and the next, over all requests."""
    tpot: Spread
    """Mean time per token after the first, of each request."""
    e2e: Spread
    goodput_per_s: float | None
    """Requests per second that kept every bound."""
    tokens_by: Literal["server", "pieces"]
    """Who counted the output: where no server does, a piece of text counts as a token."""
    halves: float | None = None
    """Tokens of the window's later half over those of its first: 1 in a steady state."""

    @property
    def failed(self) -> int:
        return self.requests - self.answered

    @property
    def good_percent(self) -> float | None:
        """Of all requests that count: one that failed is not good."""
        if self.goodput_per_s is None or not self.requests:
            return None
        return 100.0 * self.goodput_per_s * self.window_s / self.requests


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Of sorted values, between neighbours in a straight line (type 7 of Hyndman and Fan 1996,
    doi 10.1080/00031305.1996.10473566; NumPy's default, and that of `vllm bench serve`)."""
    place = (len(ordered) - 1) * percent / 100.0
    below = min(int(place), len(ordered) - 1)
    above = min(below + 1, len(ordered) - 1)
    low, high = ordered[below], ordered[above]
    # In this form rounding cannot leave the interval between the two.
    return low if low == high else min(high, low + (high - low) * (place - below))


def summarize(
    traces: Sequence[Trace], window: Window, loop: Loop, level: float, bounds: Bounds
) -> Figures:
    """What counts in `window`: in a closed loop the requests that ended in it, in an open one
    those that were due in it, answered or not; and always the tokens that came in it."""
    counted = [trace for trace in traces if _counts(trace, window, loop)]
    answered = [trace for trace in counted if trace.outcome == "answered"]
    per_piece, by_server = _tokens_per_piece(answered)
    middle_s = (window.begin_s + window.end_s) / 2
    first = _pieces(traces, Window(window.begin_s, middle_s))
    second = _pieces(traces, Window(middle_s, window.end_s))
    output_per_s = (first + second) * per_piece / window.length_s
    prompts = [t.prompt_tokens for t in answered if t.prompt_tokens is not None]
    prompts_per_s = sum(prompts) / window.length_s
    outputs = [tokens_of(trace, per_piece) for trace in answered]
    tpots = [tpot_s(trace, per_piece) for trace in answered]
    good = sum(is_good(trace, bounds, per_piece) for trace in counted)
    return Figures(
        loop=loop,
        level=level,
        window_s=window.length_s,
        requests=len(counted),
        answered=len(answered),
        failures=dict(Counter(_failure(t) for t in counted if t.outcome != "answered")),
        requests_per_s=len(answered) / window.length_s,
        output_tokens_per_s=output_per_s,
        total_tokens_per_s=output_per_s + prompts_per_s if prompts else None,
        prompt_tokens_mean=_mean(prompts),
        output_tokens_mean=_mean(outputs),
        ttft=Spread.of(trace.arrivals_s[0] - trace.due_s for trace in answered),
        itl=Spread.of(gap for trace in answered for gap in gaps_s(trace)),
        tpot=Spread.of(each for each in tpots if each is not None),
        e2e=Spread.of((trace.ended_s or 0.0) - trace.due_s for trace in answered),
        goodput_per_s=good / window.length_s,
        tokens_by="server" if by_server else "pieces",
        halves=second / first if first else None,
    )


def is_good(trace: Trace, bounds: Bounds, per_piece: float = 1.0) -> bool:
    """Whether it was answered within every bound: the goodput of Zhong et al. 2024 (DistServe,
    arXiv 2401.09670). A request of one token has no time per token, and keeps that bound."""
    if trace.outcome != "answered" or trace.ended_s is None:
        return False
    reached = (
        (trace.arrivals_s[0] - trace.due_s, bounds.ttft_s),
        (tpot_s(trace, per_piece) or 0.0, bounds.tpot_s),
        (trace.ended_s - trace.due_s, bounds.e2e_s),
    )
    return all(bound is None or seconds <= bound for seconds, bound in reached)


def tokens_of(trace: Trace, per_piece: float = 1.0) -> float:
    """Output tokens, by the server's count or else by pieces."""
    if trace.output_tokens is not None:
        return float(trace.output_tokens)
    return len(trace.arrivals_s) * per_piece


def tpot_s(trace: Trace, per_piece: float = 1.0) -> float | None:
    """Seconds per output token after the first; None of an answer of one token."""
    tokens = tokens_of(trace, per_piece)
    if tokens < 2 or len(trace.arrivals_s) < 2:
        return None
    return float((trace.arrivals_s[-1] - trace.arrivals_s[0]) / (tokens - 1))


def gaps_s(trace: Trace) -> list[float]:
    """Seconds from each piece of text to the next."""
    times = trace.arrivals_s
    return [after - before for before, after in pairwise(times)]


def _counts(trace: Trace, window: Window, loop: Loop) -> bool:
    if loop == "open":
        return trace.due_s in window
    return trace.outcome != "unfinished" and trace.ended_s in window


def _failure(trace: Trace) -> str:
    return trace.failure or "not answered in time"


def _tokens_per_piece(answered: Sequence[Trace]) -> tuple[float, bool]:
    """How many tokens a piece of text is on the average, and whether a server said so.

    Servers put several tokens into one piece, so pieces of requests that have not ended, whose
    tokens nobody has counted, are scaled by those that have.
    """
    told = [trace for trace in answered if trace.output_tokens is not None]
    pieces = sum(len(trace.arrivals_s) for trace in told)
    if not pieces:
        return 1.0, False
    return sum(trace.output_tokens or 0 for trace in told) / pieces, True


def _pieces(traces: Sequence[Trace], window: Window) -> int:
    return sum(time_s in window for trace in traces for time_s in trace.arrivals_s)


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
