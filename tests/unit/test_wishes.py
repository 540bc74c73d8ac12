"""What a job asks for, from text and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cockpit import wishes
from cockpit.agent.jobs import planning


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("15m", 900), ("1d12h", 129_600), (" 1.5h ", 5400)],
)
def test_lengths_of_time(text: str, seconds: float) -> None:
    assert wishes.duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "x", "0", "-1", "1h 2", "1y", "1e3"])
def test_what_is_no_length_of_time_is_told_with_how_it_is_written(text: str) -> None:
    with pytest.raises(ValueError, match="write it as 90s"):
        wishes.duration_s(text)


@given(st.integers(1, 1 << 44))
def test_a_size_of_memory_is_read_back_as_it_was(size: int) -> None:
    assert wishes.memory_bytes(wishes.memory_text(size)) == size


@pytest.mark.parametrize(
    ("text", "size"), [("20G", 20 << 30), ("1.5 GiB", 3 << 29), ("512mb", 1 << 29)]
)
def test_sizes_of_memory(text: str, size: int) -> None:
    assert wishes.memory_bytes(text) == size


@pytest.mark.parametrize("text", ["", "G", "-1G", "0G", "1P", "1G2M"])
def test_what_is_no_size_of_memory_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="write it as 40G"):
        wishes.memory_bytes(text)


@given(
    st.lists(st.integers(0, 5000), min_size=1, max_size=60, unique=True),
    st.none() | st.integers(1, 99),
)
def test_an_array_is_read_back_as_it_was(indices: list[int], parallel: int | None) -> None:
    text = wishes.array_text(tuple(indices), parallel)
    assert wishes.array_indices(text) == (tuple(indices), parallel)


@pytest.mark.parametrize("text", ["", "a", "3-1", "1,,2", "0-9%0", "0-9%", "-3", "1-9:0"])
def test_what_is_no_array_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="write it as"):
        wishes.array_indices(text)


def test_the_bounds_are_the_agents() -> None:
    names = ("ARRAY_MOST", "INDEX_MOST", "PRIORITY_MOST", "RETRIES_MOST")
    assert [getattr(wishes, name) for name in names] == [getattr(planning, name) for name in names]
