"""What a terminal is sent when a job has ended, and when."""

from __future__ import annotations

import pytest

from cockpit.bell import rings, sequence, words
from cockpit.model import Job
from cockpit.settings import BellSettings

JOB = Job(
    "3", "train\x1b]0;evil\x07", None, ("x",), "FAILED", "exit code 1", started_s=0.0, ended_s=90.0
)
BOTH = BellSettings(bell=True, desktop=True)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "\x1b]9;done\a\a"),
        ({"VTE_VERSION": "7600"}, "\x1b]777;notify;cockpit;done\a\a"),
        ({"TERM": "rxvt-unicode"}, "\x1b]777;notify;cockpit;done\a\a"),
        ({"TMUX": "/tmp/x"}, "\x1bPtmux;\x1b\x1b]9;done\a\x1b\\\a"),
    ],
)
def test_each_terminal_gets_the_one_it_is_known_by(
    environment: dict[str, str], expected: str
) -> None:
    assert sequence("done", BOTH, environment) == expected


def test_what_is_not_wanted_is_not_sent() -> None:
    assert sequence("done", BellSettings(bell=True), {}) == "\a"
    assert sequence("done", BellSettings(), {}) == ""
    assert not rings(JOB, BellSettings())
    assert rings(JOB, BOTH)
    assert not rings(JOB, BellSettings(bell=True, min_seconds=120))


def test_a_name_is_no_command_to_the_terminal() -> None:
    sent = sequence(words(JOB), BellSettings(desktop=True), {})
    assert sent == "\x1b]9;Job 3 (train ]0;evil ) FAILED: exit code 1\a"
