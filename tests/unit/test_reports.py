"""What a job reported, in words; whatever it wrote."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cockpit.reports import KINDS, report

PLAIN = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=9)
JSON = PLAIN | st.lists(PLAIN, max_size=2) | st.dictionaries(st.text(max_size=3), PLAIN, max_size=2)
FIELDS = ("time_s", "text", "level", "done", "total", "values", "step", "seconds", "count", "name")


@pytest.mark.parametrize(
    ("event", "text"),
    [
        ({"type": "progress", "done": 5, "total": 10, "unit": "steps"}, "5 of 10 steps (50%)"),
        (
            {"type": "metrics", "step": 7, "values": {"loss": 0.5, "x": None}},
            "step 7: loss 0.5, x —",
        ),
        (
            {
                "type": "kernel",
                "name": "k",
                "seconds": 0.002,
                "count": 2,
                "bytes": 4e9,
                "flops": None,
            },
            "k: 2 × 1 ms, 2000 GB/s",
        ),
        (
            {"type": "roofline", "bytes_per_s": 2e12, "measured": True, "device": "H100"},
            "2000 GB/s, measured on H100",
        ),
        ({"type": "checkpoint", "path": "a.npz"}, "a.npz"),
        ({"type": "image", "name": "flow", "path": "f.png"}, "flow: f.png"),
        ({"type": "output", "name": "model", "path": "outputs/model"}, "model: outputs/model"),
        ({"type": "note", "words": "é"}, '{"words": "é"}'),
    ],
)
def test_each_kind_has_its_words(event: dict[str, Any], text: str) -> None:
    assert report(event).text == text


def test_a_warning_is_called_one() -> None:
    told = report({"type": "message", "text": "two\nlines", "level": "warning", "time_s": 5})
    assert (told.time_s, told.level, told.text) == (5.0, "warning", "two lines")


@given(st.sampled_from(KINDS), st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_nothing_that_a_job_writes_is_too_much(kind: str, fields: dict[str, Any]) -> None:
    told = report({**fields, "type": kind})
    assert told.kind == kind and "\n" not in told.text
