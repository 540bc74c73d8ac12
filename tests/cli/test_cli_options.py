"""The global options may stand anywhere, and nothing after `--` is ours."""

import pytest

from cockpit.cli.options import GlobalOptions, take_global_options
from cockpit.errors import UsageError


def taken(line: str) -> tuple[GlobalOptions, list[str]]:
    return take_global_options(line.split())


@pytest.mark.parametrize(
    "line",
    [
        "--simulate sxm status --json",
        "status --simulate sxm --json",
        "status --json --simulate=sxm",
    ],
)
def test_an_option_means_the_same_before_and_after_the_command(line: str) -> None:
    assert taken(line) == (GlobalOptions(simulate="sxm"), ["status", "--json"])


def test_simulate_without_a_kind_leaves_the_next_word_alone() -> None:
    assert taken("--simulate history 0 power_w") == (
        GlobalOptions(simulate="pcie"),
        ["history", "0", "power_w"],
    )


def test_another_programs_command_line_is_not_read() -> None:
    options, rest = taken("exec --gpus 1 -- train --config x --simulate")
    assert options == GlobalOptions()
    assert rest == ["exec", "--gpus", "1", "--", "train", "--config", "x", "--simulate"]


def test_speed_belongs_to_a_plugin_unless_something_is_replayed() -> None:
    assert taken("run cfd --speed 2") == (GlobalOptions(), ["run", "cfd", "--speed", "2"])
    assert taken("--replay box.jsonl --speed 2")[0].speed == 2.0


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("--simulate=tpu", "tpu"),
        ("--config", "--config"),
        ("--replay=", "--replay"),
        ("--replay a --speed fast", "fast"),
        ("--replay a --speed 0", "--speed"),
        ("--replay a --demo", "--demo"),
    ],
)
def test_what_cannot_be_right_is_named(line: str, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        taken(line)
