"""Where things stand on the wall: a function of the size and the number of GPUs, of nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from textual.geometry import Region

CARD_WIDTH, CARD_HEIGHT = 60, 10
"""A card of about this size shows everything."""
CARD_LEAST_WIDTH, CARD_LEAST_HEIGHT = 46, 5
GAP = 2
SIDE_FROM_WIDTH, SIDE_FROM_HEIGHT, SIDE_WIDTH = 160, 30, 50
NOWHERE = Region(0, 0, 0, 0)


@dataclass(frozen=True)
class Plan:
    """Regions of the wall; one without height is left out."""

    cards: tuple[Region, ...] = ()
    """One region for each GPU, in index order; empty when they are rows of a table."""
    columns: int = 1
    rows: Region = NOWHERE
    """The table of GPUs with its titles, when there are no cards."""
    chart: Region = NOWHERE
    jobs: Region = NOWHERE
    events: Region = NOWHERE

    @property
    def page(self) -> int:
        """How many GPUs are visible at once."""
        return len(self.cards) or max(1, self.rows.height - 1)


def plan(width: int, height: int, count: int) -> Plan:
    """The plan for `count` GPUs on `width` by `height` cells."""
    count = max(1, count)
    if width >= SIDE_FROM_WIDTH and height >= SIDE_FROM_HEIGHT:
        left = width - SIDE_WIDTH - GAP
        columns, cards = _cards(left, height, count)
        if cards:
            return _with_side(cards, columns, left + GAP, height)
    below = 8 if height >= 30 else 6
    columns, cards = _cards(width, height - below, count)
    if cards:
        bottom = max(card.bottom for card in cards) + 1
        chart, jobs, events = _strip(width, bottom, height - bottom)
        # One GPU's own chart is the box's chart: its place is better used for jobs.
        chart, jobs = (jobs, chart) if count == 1 else (chart, jobs)
        return Plan(cards, columns, NOWHERE, chart, jobs, events)
    return _table(width, height, count)


def _cards(width: int, height: int, count: int) -> tuple[int, tuple[Region, ...]]:
    """As many columns as show the cards largest, and the cards; none if they would be too small."""
    best = (0.0, 1, 0, 0)
    for columns in range(1, min(count, 4) + 1):
        card_width = (width - GAP * (columns - 1)) // columns
        card_height = height // -(-count // columns)
        if card_width >= CARD_LEAST_WIDTH and card_height >= CARD_LEAST_HEIGHT:
            worth = min(card_width / CARD_WIDTH, card_height / CARD_HEIGHT)
            best = max(best, (worth, columns, card_width, card_height), key=lambda entry: entry[0])
    worth, columns, card_width, card_height = best
    if not worth:
        return 1, ()
    gap = 1 if card_height > CARD_LEAST_HEIGHT else 0
    return columns, tuple(
        Region(
            number % columns * (card_width + GAP),
            number // columns * card_height,
            card_width,
            card_height - gap,
        )
        for number in range(count)
    )


def _with_side(cards: tuple[Region, ...], columns: int, left: int, height: int) -> Plan:
    if len(cards) == 1:
        half = height // 2
        return Plan(
            cards,
            columns,
            jobs=Region(left, 0, SIDE_WIDTH, half),
            events=Region(left, half + 1, SIDE_WIDTH, height - half - 1),
        )
    chart = max(6, height // 5)
    jobs = (height - chart - 2) // 2
    return Plan(
        cards,
        columns,
        chart=Region(left, 0, SIDE_WIDTH, chart),
        jobs=Region(left, chart + 1, SIDE_WIDTH, jobs),
        events=Region(left, chart + jobs + 2, SIDE_WIDTH, height - chart - jobs - 2),
    )


def _strip(width: int, top: int, height: int) -> tuple[Region, Region, Region]:
    """The chart, the jobs and the events below the GPUs."""
    if width >= 110:
        half = (width - GAP) // 2
        rest = Region(half + GAP, top, width - half - GAP, height)
        return Region(0, top, half, height), NOWHERE, rest
    events = min(6, max(1, height // 3))
    chart = min(8, height - events - 1)
    if chart < 3:
        return NOWHERE, NOWHERE, Region(0, top, width, height)
    events = height - chart - 1
    return (
        Region(0, top, width, chart),
        NOWHERE,
        Region(0, top + chart + 1, width, events),
    )


def _table(width: int, height: int, count: int) -> Plan:
    rows = min(count + 1, height)
    rest = height - rows - 1
    if rest < 1:
        return Plan(rows=Region(0, 0, width, height))
    return Plan((), 1, Region(0, 0, width, rows), *_strip(width, rows + 1, rest))
