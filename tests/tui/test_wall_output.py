"""What the wall sends to the terminal when something changes: the changed cells, and no others."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from fake_box import NOW_S, FakeBox, gpu, job, lost, snapshot
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.pilot import Pilot

from cockpit.tui.app import CockpitApp
from cockpit.tui.draw import Line
from cockpit.tui.screens.wall import WallBoard, WallScreen
from cockpit.tui.wall.plan import Plan
from cockpit.tui.widgets.board import equal_ends

_MOVE = re.compile(r"\x1b\[(\d+);(\d+)H")
_STYLE = re.compile(r"\x1b\[[\d;]*m")


class Sent:
    """The stretches that an app sends to its terminal: column, line and text of each."""

    def __init__(self, app: CockpitApp, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stretches: list[tuple[int, int, str]] = []
        self._app = app
        monkeypatch.setattr(app, "_display", self._display)

    def _display(self, screen: Any, update: Any) -> None:
        if update is not None:
            parts = _MOVE.split(update.render_segments(self._app.console))
            for line, column, text in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
                self.stretches.append((int(column) - 1, int(line) - 1, _STYLE.sub("", text)))


def picture(app: CockpitApp) -> list[list[str]]:
    """What should be on the terminal, cell by cell; a wide letter is followed by nothing."""
    strips = app.screen._compositor.render_strips(app.size)
    return [_cells("".join(segment.text for segment in strip)) for strip in strips]


def plan_of(app: CockpitApp) -> Plan:
    assert isinstance(app.screen, WallScreen)
    return app.screen._plan


def _cells(text: str) -> list[str]:
    return [cell for letter in text for cell in [letter, ""][: cell_len(letter)]]


async def settle(pilot: Pilot[Any]) -> None:
    while any(worker.name == "fill" and not worker.is_finished for worker in pilot.app.workers):
        await pilot.pause()
    await pilot.pause()
    await pilot.pause()


async def test_a_figure_of_the_last_card_is_all_that_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    box = FakeBox.of(past=True)
    app = CockpitApp(box, clock=lambda: NOW_S)
    async with app.run_test(size=(200, 60)) as pilot:
        cards = [gpu(index) for index in range(10)]
        box.push(snapshot(gpus=cards, time_s=NOW_S + 1))
        await settle(pilot)
        sent = Sent(app, monkeypatch)
        cards[9] = replace(cards[9], dram_active_percent=61.0)
        box.push(snapshot(gpus=cards, time_s=NOW_S + 1.2))
        await settle(pilot)
        column, text = next((x, text) for x, _, text in sent.stretches if " 61" in text)
        assert column > plan_of(app).cards[9].x
        assert cell_len(text) <= 30
        # The newest column of a chart or two may have moved as well.
        assert sum(cell_len(text) for _, _, text in sent.stretches) <= 60


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_the_pieces_sent_make_the_whole_picture(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    box = FakeBox.of(past=True)
    app = CockpitApp(box, clock=lambda: NOW_S)
    async with app.run_test(size=size) as pilot:
        box.push(job(44, "漢字", (2,)), job(45, "plain", (3,)))
        await settle(pilot)
        terminal, sent = picture(app), Sent(app, monkeypatch)
        cards = [gpu(index) for index in range(10)]
        for step in range(1, 8):
            cards[step] = replace(cards[step], power_w=40.0 * step, temperature_c=30.0 + 8 * step)
            cards[9] = lost(9) if step % 3 == 2 else gpu(9)
            box.push(job(44, "漢字 " * (step % 3 + 1), (2,)), job(45, "x漢" * (step % 2 + 1), (3,)))
            box.push(snapshot(gpus=cards, time_s=NOW_S + 9 * step))
            await settle(pilot)
        await pilot.press("j", "l")
        await settle(pilot)
        assert sent.stretches
        for column, line, text in sent.stretches:
            cells = _cells(text)
            terminal[line][column : column + len(cells)] = cells
        assert terminal == picture(app)
        kept = app.screen._compositor.render_strips(app.size)
        app.screen.query_one(WallBoard)._forget()
        assert kept == app.screen._compositor.render_strips(app.size)


_run = st.tuples(st.sampled_from(["a", "bb", "漢", "漢字", "━╸", "12 W"]), st.sampled_from("xy"))
_lines = st.tuples(st.sampled_from(["surface", "panel"]), st.lists(_run, max_size=6).map(tuple))


@given(_lines, _lines)
def test_the_ends_of_two_lines_are_equal_and_never_overlap(old: Line, new: Line) -> None:
    first, last = equal_ends(old, new)
    assert old[1][:first] == new[1][:first]
    assert old[1][len(old[1]) - last :] == new[1][len(new[1]) - last :]
    assert first + last <= min(len(old[1]), len(new[1]))


def test_another_background_changes_the_whole_line() -> None:
    runs = (("318", "foreground"), (" W", "muted"))
    assert equal_ends(("surface", runs), ("selected", runs)) == (0, 0)


def test_lines_agree_again_after_the_last_run_that_differs() -> None:
    old: Line = ("surface", (("漢 ", "muted"), ("41", "foreground"), (" °C", "muted")))
    new: Line = ("surface", (("漢 ", "muted"), ("42", "foreground"), (" °C", "muted")))
    assert equal_ends(old, new) == (1, 1)
