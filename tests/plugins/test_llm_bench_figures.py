"""The arithmetic of llm-bench: percentiles, what counts in a window, goodput, energy, comparisons."""

from __future__ import annotations

import statistics
import sys
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

PLUGIN = Path(__file__).parents[2] / "plugins" / "llm-bench"
MODULES = [path.stem for path in PLUGIN.glob("*.py")]


@pytest.fixture(scope="module", autouse=True)
def code() -> Iterator[None]:
    """The plugin's modules, as its workload imports them, for as long as these tests run."""
    sys.path.insert(0, str(PLUGIN))
    try:
        yield
    finally:
        sys.path.remove(str(PLUGIN))
        for name in MODULES:
            sys.modules.pop(name, None)


times = st.floats(0.001, 100.0)


@given(st.lists(times, min_size=2, max_size=300))
def test_percentiles_are_those_of_the_standard_library(values: list[float]) -> None:
    from figures import Spread, percentile

    cuts = statistics.quantiles(values, n=100, method="inclusive")
    ordered = sorted(values)
    for percent in (1, 50, 90, 99):
        assert percentile(ordered, percent) == pytest.approx(cuts[percent - 1])
    spread = Spread.of(values)
    assert ordered[0] <= spread.p50_s <= spread.p90_s <= spread.p99_s <= ordered[-1]


def request(due_s: float, first_s: float, gap_s: float, tokens: int, outcome: str) -> Any:
    from figures import Trace

    arrivals = [due_s + first_s + gap_s * number for number in range(tokens)]
    ended_s = None if outcome == "unfinished" else arrivals[-1]
    told = tokens if outcome == "answered" else None
    failure = "HTTP 500" if outcome == "failed" else ""
    return Trace(due_s, due_s, array("d", arrivals), ended_s, outcome, 10, told, failure)


requests = st.lists(
    st.tuples(
        st.floats(0.0, 10.0), times, times, st.integers(1, 20),
        st.sampled_from(["answered", "failed", "unfinished"]),
    ),
    max_size=30,
)  # fmt: skip


@given(requests, st.sampled_from(["closed", "open"]), times, times)
def test_what_failed_or_was_cut_off_is_never_good(
    made: list[Any], loop: str, ttft_s: float, tpot_s: float
) -> None:
    from figures import Bounds, Window, summarize

    traces = [request(*each) for each in made]
    found = summarize(traces, Window(0.0, 10_000.0), loop, 1, Bounds(ttft_s, tpot_s))
    good = [
        each for each in made
        if each[4] == "answered" and each[1] <= ttft_s and (each[3] == 1 or each[2] <= tpot_s)
    ]  # fmt: skip
    near = [each for each in made if abs(each[2] - tpot_s) < 1e-6 or abs(each[1] - ttft_s) < 1e-6]
    assert abs(found.goodput_per_s * 10_000.0 - len(good)) <= len(near) + 1e-6
    assert (
        found.requests
        == found.answered + found.failed
        == found.answered + sum(found.failures.values())
    )
    unfinished = sum(each[4] == "unfinished" for each in made)
    assert found.requests == len(made) - (unfinished if loop == "closed" else 0)
    assert found.good_percent is None or 0 <= found.good_percent <= 100 + 1e-9


@given(requests)
def test_tighter_bounds_never_make_more_good(made: list[Any]) -> None:
    from figures import Bounds, Window, summarize

    traces = [request(*each) for each in made]
    goodputs = [
        summarize(
            traces, Window(0.0, 10_000.0), "open", 1, Bounds(bound, bound, 10 * bound)
        ).goodput_per_s
        for bound in (0.01, 1.0, 50.0)
    ]
    assert goodputs == sorted(goodputs)


def test_tokens_count_where_they_came_and_requests_where_they_ended() -> None:
    from figures import Bounds, Window, summarize

    traces = [
        request(0.0, 1.0, 1.0, 4, "answered"),  # pieces at 1, 2, 3, 4
        request(3.0, 1.0, 1.0, 9, "unfinished"),  # 4, 5, 6 … 12
    ]
    found = summarize(traces, Window(2.0, 6.0), "closed", 2, Bounds())
    assert found.requests == found.answered == 1
    assert found.output_tokens_per_s == pytest.approx((3 + 2) / 4)
    assert found.ttft.p50_s == 1.0 and found.e2e.p99_s == 4.0 and found.tpot.p50_s == 1.0
    opened = summarize(traces, Window(2.0, 6.0), "open", 2, Bounds())
    assert opened.failures == {"not answered in time": 1} and opened.ttft.p50_s is None


def test_pieces_of_several_tokens_are_scaled_by_the_servers_count() -> None:
    from figures import Bounds, Window, summarize

    trace = request(0.0, 1.0, 1.0, 5, "answered")
    trace.output_tokens = 10
    found = summarize([trace], Window(0.0, 10.0), "closed", 1, Bounds())
    assert found.output_tokens_per_s == pytest.approx(1.0)
    assert found.tpot.p50_s == pytest.approx(4 / 9) and found.tokens_by == "server"


@given(st.integers(1, 400), st.integers(0, 40), st.integers(1, 5))
def test_the_length_of_prompts_is_found_from_two_of_them(
    tokens: int, overhead: int, per_word: int
) -> None:
    from prompts import Length, prompts

    length = Length.through((8, overhead + 8 * per_word), (40, overhead + 40 * per_word))
    words = length.words(tokens)
    assert words == 1 or abs(overhead + words * per_word - tokens) <= per_word
    first = prompts(3, words, words // 2)
    again, other = prompts(3, words, words // 2), next(prompts(4, words, words // 2))
    text = next(first)
    assert text == next(again) and len(text.split()) == words
    assert text != next(first) and (words < 2 or other != text)


def test_energy_is_not_claimed_when_the_server_worked_for_others_too() -> None:
    from energy import Energy
    from figures import Bounds, Window, summarize
    from levels import Level, claimed
    from watch import Observed

    traces = [request(0.0, 0.1, 0.1, 20, "answered") for _ in range(50)]
    found = summarize(traces, Window(0.0, 10.0), "closed", 1, Bounds())
    alone = Observed(10.0, 0.0, 50.0, Energy(2000.0), 1001.0)
    level = Level(found, alone, claimed(alone, found))
    assert level.joules_per_token == pytest.approx(2.0) and level.power_w == pytest.approx(200.0)
    shared = Observed(10.0, 0.0, 50.0, Energy(2000.0), 1500.0)
    none = Level(found, shared, claimed(shared, found))
    assert none.joules_per_token is None and "1500 tokens" in none.energy.reason


def test_a_busy_client_is_named_before_the_server() -> None:
    from energy import Energy
    from figures import Bounds, Window, summarize
    from levels import limit_of
    from watch import Observed

    def at(level: int, count: int) -> Any:
        traces = [request(0.0, 0.1, 0.1, 20, "answered") for _ in range(count)]
        return summarize(traces, Window(0.0, 10.0), "closed", level, Bounds())

    idle, busy = (Observed(cpu, 0.0, 50.0, Energy(None, "")) for cpu in (10.0, 97.0))
    assert limit_of(at(2, 20), busy, at(1, 10)) == "this client: 97 % of a core"
    assert limit_of(at(2, 20), idle, at(1, 10)) == "the requests at once"
    assert limit_of(at(2, 10), idle, at(1, 10)) == "the server"


def test_published_figures_stand_only_beside_their_card_and_model() -> None:
    import published
    from energy import Gpu

    card, other = Gpu("GPU-1", "NVIDIA H100 80GB HBM3"), Gpu("GPU-2", "NVIDIA L40S")
    model = "meta-llama/Llama-3.1-8B-Instruct"
    assert published.rows([card], model) and all(each.source for each in published.FIGURES)
    assert not published.rows([], model), "a CPU"
    assert not published.rows([other], model) and not published.rows([card, card], model)
    assert not published.rows([card], "pocket")


def test_vllms_own_result_becomes_the_same_figures(tmp_path: Path) -> None:
    import json

    import vllm_tool
    from client import Target
    from figures import Bounds

    spreads = {
        f"p{share}_{name}_ms": 10.0 * share
        for share in (50, 90, 99) for name in ("ttft", "itl", "tpot", "e2el")
    }  # fmt: skip
    told = {
        "duration": 4.0, "completed": 8, "failed": 2, "total_input_tokens": 800,
        "total_output_tokens": 400, "request_throughput": 2.0, "request_goodput": 1.5,
        "output_throughput": 100.0, "total_token_throughput": 300.0, **spreads,
    }  # fmt: skip
    file = tmp_path / "result.json"
    file.write_text(json.dumps(told))
    found = vllm_tool.read(file, "closed", 4, Bounds(1.0))
    assert (found.requests, found.failed, found.good_percent) == (10, 2, pytest.approx(60.0))
    assert (found.ttft.p50_s, found.e2e.p99_s) == (0.5, 0.99)
    chosen = {
        "window_s": 10.0, "goodput_ttft_ms": 500.0, "goodput_tpot_ms": 0.0, "goodput_e2e_ms": 0.0,
        "prompt_tokens": 64, "shared_prefix": 16, "output_tokens": 32, "seed": 1,
        "force_length": True,
    }  # fmt: skip
    target = Target("http://127.0.0.1:1/v1", "secret", "tiny", "chat", "/models/tiny")
    words = vllm_tool.command("vllm", target, "closed", 4, chosen, file)
    assert words[words.index("--endpoint") + 1] == "/v1/chat/completions"
    assert words[words.index("--base-url") + 1] == "http://127.0.0.1:1"
    assert words[words.index("--goodput") + 1] == "ttft:500" and "secret" not in words
    file.write_text("{}")
    with pytest.raises(vllm_tool.ToolError):
        vllm_tool.read(file, "closed", 4, Bounds())


def test_the_readme_the_form_and_the_defaults_by_hand_agree() -> None:
    import ast
    import re

    from cockpit import plugins

    form = {each.name: each.default for each in plugins.load(PLUGIN).parameters}
    tree = ast.parse((PLUGIN / "workload.py").read_text())
    (call,) = [
        node for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "job.parameters.defaults"
    ]  # fmt: skip
    assert {word.arg: ast.literal_eval(word.value) for word in call.keywords} == form
    explained = re.findall(r"^\| `(\w+)` \|", (PLUGIN / "README.md").read_text(), re.MULTILINE)
    assert explained == list(form)
