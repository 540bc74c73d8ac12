"""What a job asks for, as options of `cockpit run` and `cockpit exec`."""

from __future__ import annotations

import argparse

import pytest

from cockpit.cli import asking
from cockpit.errors import UsageError


def asked(*words: str) -> dict[str, object]:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    asking.add_options(parser)
    return asking.asked(parser.parse_args(words))


def test_nothing_said_asks_for_nothing() -> None:
    said = asked()
    assert said.pop("slices") == said.pop("after") == said.pop("array") == ()
    assert not any(said.values())


def test_each_option_says_its_part() -> None:
    said = asked(
        *("--slice", "1g.10gb", "--slice", "2g.20gb", "--gpu-memory", "20G", "--shared"),
        *("--priority=-5", "--time-limit", "2h", "--after", "3", "--after", "4"),
        *("--array", "0-9%2", "--retries", "3"),
    )
    assert said == {
        "slices": ("1g.10gb", "2g.20gb"),
        "gpu_memory_bytes": 20 << 30,
        "shared": True,
        "priority": -5,
        "time_limit_s": 7200.0,
        "after": ("3", "4"),
        "array": tuple(range(10)),
        "array_parallel": 2,
        "retries": 3,
    }


@pytest.mark.parametrize(
    ("option", "text", "advice"),
    [
        ("--gpu-memory", "lots", "20G"),
        ("--priority", "5000", "-1000 to 1000"),
        ("--time-limit", "soon", "90s, 15m"),
        ("--array", "9-0", "0-9"),
        ("--retries", "-1", "0 to 100"),
    ],
)
def test_what_makes_no_sense_names_its_option_and_says_how_it_is_written(
    option: str, text: str, advice: str
) -> None:
    with pytest.raises(UsageError, match=option) as error:
        asked(f"{option}={text}")
    assert advice in str(error.value) and text in str(error.value)
