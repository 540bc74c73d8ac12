"""The command line that the form shows, read by the command itself, asks for what the form asks for."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_box import FakeBox, box_info, uuid
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from cockpit import plugins
from cockpit.cli import main as cli
from cockpit.cli import run as cli_run
from cockpit.model import JobRequest
from cockpit.parameters import Parameter
from cockpit.plugins import GpuNeed, Plugin, Preset
from cockpit.tui.launch.order import (
    AFTER,
    ARRAY,
    GPUS,
    LIMIT,
    MEMORY,
    NAME,
    PRIORITY,
    RETRIES,
    SHARED,
    SLICE,
    Order,
)
from cockpit.tui.launch.texts import defaults, preset_texts, request_texts

PLUGIN = Plugin(
    *("probe", "Probe", "Has one parameter of each type", "tool", ("python", "w.py")),
    directory=Path("/plugins/probe"),
    requires=("numpy>=2",),
    gpus=GpuNeed(0, 2, 6),
    parameters=(
        Parameter("n_steps", "int", 100, -5, 10**9),
        Parameter("rate", "float", 0.5, -1e6, 1e6),
        Parameter("note", "str", "plain"),
        Parameter("mode", "choice", "fast", choices=("fast", "slow", "--odd", "two words")),
        Parameter("loud", "bool", False),
        Parameter("data", "path", "/data"),
    ),
    presets=(Preset("big", "Big", parameters={"n_steps": 10**6, "loud": True}, gpus=4),),
)
INDICES = {index: uuid(index) for index in range(10)}
# Without line ends, which no field of one line can hold, and NUL, which no command line can.
TEXT = st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=12)


class Asked(FakeBox):
    """Takes what the command submits."""

    async def __aenter__(self) -> Asked:
        self.info = box_info()
        return self

    async def jobs(self, array: str | None = None) -> tuple[Any, ...]:
        return ()

    async def __aexit__(self, *_: object) -> None:
        return None


def asked_by_command(line: str, monkeypatch: pytest.MonkeyPatch) -> JobRequest:
    """What `cockpit run …` submits when the line is typed into a shell."""
    box = Asked()
    with monkeypatch.context() as patch:
        patch.setattr(cli_run, "open_box", lambda _: box)
        patch.setattr(plugins, "find", lambda *_: PLUGIN)
        assert cli.main([*shlex.split(line)[1:], "--json"]) == 0
    (request,) = box.submitted
    return request


def words(numbers: Any) -> Any:
    return st.lists(numbers, max_size=3, unique=True).map(lambda each: ", ".join(map(str, each)))


FORM = st.fixed_dictionaries(
    {},
    optional={
        GPUS: st.sampled_from(["", "0", "1", "6", " 2 ", "3,", "0,3", "9, 1,5"]),
        SLICE: st.lists(st.sampled_from(["1g.10gb", "2G.20gb:2", "mig-a-b"]), max_size=2).map(
            ", ".join
        ),
        MEMORY: st.sampled_from(["20G", "512M", "1.5 GiB", "123", ""]),
        SHARED: st.sampled_from(["true", "false"]),
        NAME: TEXT,
        PRIORITY: st.integers(-1000, 1000).map(str),
        LIMIT: st.sampled_from(["90", "15m", "1d12h", "1.5h", ""]),
        AFTER: words(st.integers(1, 999)),
        ARRAY: st.sampled_from(["0-9", "1,4,7-9", "0-99%4", "1-9:2", "5", ""]),
        RETRIES: st.integers(0, 100).map(str),
        "n_steps": st.integers(-5, 10**9).map(str) | st.just("100"),
        "rate": st.floats(-1e6, 1e6, allow_nan=False).map(repr),
        "note": TEXT,
        "mode": st.sampled_from(PLUGIN.parameters[3].choices),
        "loud": st.sampled_from(["true", "false", "yes", "0"]),
        "data": TEXT,
    },
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(FORM)
@example({GPUS: "1", PRIORITY: "-5", "note": "--json", "data": "~/x"})
@example({GPUS: "", SLICE: "1g.10gb, 1g.10gb:2", NAME: "-x", "note": "$(date) 'a' \"b\" \\"})
def test_the_command_line_asks_for_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], texts: dict[str, str]
) -> None:
    order = Order(PLUGIN, defaults(PLUGIN) | texts, INDICES)
    assume(not order.problems())
    by_command = asked_by_command(order.command_line(), monkeypatch)
    assert by_command.token
    assert replace(by_command, token=None) == order.request()


@settings(max_examples=100, deadline=None)
@given(FORM)
def test_a_form_filled_from_a_request_asks_for_the_same_again(texts: dict[str, str]) -> None:
    order = Order(PLUGIN, defaults(PLUGIN) | texts, INDICES)
    assume(not order.problems())
    # What it came after has long ended: the new one comes after nothing.
    request = replace(order.request(), after=())
    again = request_texts(PLUGIN, request, {uuid: index for index, uuid in INDICES.items()})
    assert Order(PLUGIN, again, INDICES).request() == request


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from([GPUS, SLICE, MEMORY, LIMIT, ARRAY, "n_steps"]), TEXT))
def test_whatever_is_typed_is_either_told_as_a_problem_or_can_be_submitted(
    texts: dict[str, str],
) -> None:
    order = Order(PLUGIN, defaults(PLUGIN) | texts, INDICES)
    if not order.problems():
        assert order.request().plugin == "probe" and order.command_line()


def test_a_preset_is_a_form_with_its_values() -> None:
    texts = preset_texts(PLUGIN, PLUGIN.presets[0])
    by_form = Order(PLUGIN, texts, INDICES).request()
    assert by_form == plugins.request(PLUGIN, {}, preset="big")


def test_a_job_can_come_after_every_job_of_an_array() -> None:
    texts = defaults(PLUGIN) | {GPUS: "1", AFTER: "3, 12[], 13"}
    order = Order(PLUGIN, texts, INDICES, {"12": ("12", "13", "14")})
    assert order.problems() == {}
    assert order.request().after == ("3", "12", "13", "14")
    assert "--after '12[]'" in order.command_line()
    assert "no array 9[]" in replace(order, texts=texts | {AFTER: "9[]"}).problems()[AFTER]
