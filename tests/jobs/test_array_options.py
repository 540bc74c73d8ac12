"""`--array`, `--slice`, `--gpu-memory` and their neighbours, as a person writes them."""

from __future__ import annotations

import argparse

import pytest

from cockpit.cli import wish_options
from cockpit.errors import UsageError
from cockpit.model import JobRequest
from cockpit.wishes import array_indices

GIB = 1 << 30


def wishes(*words: str) -> wish_options.Wishes:
    parser = argparse.ArgumentParser()
    wish_options.add_options(parser)
    return wish_options.read(parser.parse_args(words))


@pytest.mark.parametrize(
    ("text", "indices", "most"),
    [
        ("0-3", (0, 1, 2, 3), None),
        ("1-10:4%2", (1, 5, 9), 2),
        ("7", (7,), None),
        ("5,1,3-4,1", (5, 1, 3, 4), None),
    ],
)
def test_indices_are_written_as_for_slurm(
    text: str, indices: tuple[int, ...], most: int | None
) -> None:
    assert array_indices(text) == (indices, most)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a-b", "'a-b' is no index"),
        ("5-1", "'5-1' is no range"),
        ("1-9:0", "'1-9:0' is no range"),
        ("0-99999999", "more than 1000 jobs"),
        ("0-9%", "'' is no number of jobs at once"),
        ("0-9%0", "'0' is no number"),
        ("", "'' is no index"),
    ],
)
def test_what_is_no_array_is_named(text: str, words: str) -> None:
    with pytest.raises(UsageError) as error:
        wishes("--array", text)
    assert words in error.value.message


def test_what_is_given_ends_up_in_the_request() -> None:
    given = wishes(
        *("--slice", "2G.20gb:2", "--slice", "MIG-abc", "--gpu-memory", "19.5GiB", "--priority"),
        *("-5", "--retries", "3", "--time-limit", "1h", "--array", "0-1%1", "--shared"),
    )
    request = given.put_into(JobRequest("x", ("true",), gpus=3))
    assert request == JobRequest(
        "x",
        ("true",),
        gpus=0,
        slices=("2g.20gb", "2g.20gb", "MIG-abc"),
        gpu_memory_bytes=int(19.5 * GIB),
        shared=True,
        priority=-5,
        retries=3,
        array=(0, 1),
        array_parallel=1,
        time_limit_s=3600.0,
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--gpus", "1", "--slice", "1g.10gb"), "--gpus and --slice exclude each other"),
        (("--slice", "big"), "--slice: 'big' is no slice"),
        (("--slice", "1g.10gb:none"), "--slice: 'none' is no whole number from 1 to 64"),
        (("--gpu-memory", "lots"), "--gpu-memory: 'lots' is no amount of memory"),
        (("--gpu-memory", "0G"), "--gpu-memory: '0G'"),
        (("--priority", "9999"), "--priority: '9999' is no whole number from -1000 to 1000"),
        (("--retries", "x"), "--retries: 'x' is no whole number from 0 to 100"),
    ],
)
def test_what_makes_no_sense_is_named_with_its_option(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError) as error:
        wishes(*words)
    assert message in error.value.message
