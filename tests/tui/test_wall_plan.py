"""The plan of the wall: everything inside, nothing over anything else, for any size and count."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.geometry import Region

from cockpit.tui.wall.plan import plan
from cockpit.tui.wall.rows import first_visible


@given(st.integers(20, 260), st.integers(3, 90), st.integers(1, 24))
def test_nothing_overlaps_and_nothing_sticks_out(width: int, height: int, count: int) -> None:
    made = plan(width, height, count)
    regions = [*made.cards, made.rows, made.chart, made.jobs, made.events]
    shown = [region for region in regions if region.height > 0]
    for region in shown:
        assert Region(0, 0, width, height).contains_region(region)
    for one, other in itertools.combinations(shown, 2):
        assert not one.overlaps(other)
    assert len(made.cards) == count or made.rows.height > 0


@pytest.mark.parametrize(("count", "rows"), [(10, 11), (4, 5), (16, 17)])
def test_at_80_by_24_every_gpu_has_its_line(count: int, rows: int) -> None:
    made = plan(80, 22, count)
    assert made.rows.height == rows
    assert made.events.height >= 1


def test_at_80_by_24_ten_gpus_leave_room_for_chart_and_events() -> None:
    made = plan(80, 22, 10)
    assert made.chart.height >= 3
    assert made.events.height >= 3


@pytest.mark.parametrize(("size", "columns", "least"), [((120, 38), 2, 5), ((200, 58), 2, 10)])
def test_with_room_ten_gpus_are_pairs_of_cards(
    size: tuple[int, int], columns: int, least: int
) -> None:
    made = plan(*size, 10)
    assert made.columns == columns
    assert len(made.cards) == 10
    assert all(card.height >= least for card in made.cards)


@pytest.mark.parametrize("count", [1, 2])
def test_few_gpus_have_cards_even_at_80_by_24(count: int) -> None:
    assert len(plan(80, 22, count).cards) == count


def test_more_gpus_than_lines_scroll_with_the_selection() -> None:
    assert first_visible(0, 24, 10) == 0
    assert first_visible(23, 24, 10) == 14
    assert first_visible(12, 24, 10) <= 12 < first_visible(12, 24, 10) + 10
