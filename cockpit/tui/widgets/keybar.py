"""The line of keys at the bottom of every place; each can be clicked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import events
from textual.geometry import Region

from cockpit.tui.draw import Line, Run, crop
from cockpit.tui.keys import Action, Place, bar_key, footer
from cockpit.tui.widgets.board import Board

if TYPE_CHECKING:
    from cockpit.tui.app import CockpitApp


class KeyBar(Board):
    """As many of the place's actions as there is room for, by rank."""

    app: CockpitApp

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place, self._tab, self._typing = place, "", False
        self._spots: list[tuple[int, int, Action]] = []

    def show_tab(self, tab: str, typing: bool = False) -> None:
        """Name the actions of this tab too; while text is typed, none that a letter would do."""
        if (tab, typing) != (self._tab, self._typing):
            self._tab, self._typing = tab, typing
            self._choose()

    def on_resize(self) -> None:
        self._choose()

    def _choose(self) -> None:
        """Choose the actions that fit this width."""
        width = self.size.width
        chosen: list[tuple[Action, str]] = []
        room = width - 1
        several = self.app.stations.several
        for action in footer(self.place, self._tab, self.app.role, several):
            key = bar_key(action, self.app.terminal.keys, self._typing)
            if not key:
                continue
            room -= len(key) + len(action.label) + 3
            if room < 0:
                break
            chosen.append((action, key))
        self._spots, runs, at = [], [(" ", "faint")], 1
        # Help stands last, where one looks for it.
        chosen.sort(key=lambda entry: entry[0].name == "help")
        for action, key in chosen:
            size = len(key) + len(action.label) + 1
            self._spots.append((at, at + size, action))
            runs += [(key, "*accent"), (f" {action.label}", "muted"), ("  ", "faint")]
            at += size + 2
        self.lay_out([_Keys(Region(0, 0, width, 1), runs)], 1)

    async def on_click(self, event: events.Click) -> None:
        """Do what was clicked."""
        for start, end, action in self._spots:
            if start <= event.x < end and action.run:
                await self.app.do(action, self.screen)


class _Keys:
    def __init__(self, region: Region, runs: list[Run]) -> None:
        self.region = region
        self._line: Line = ("panel", crop(runs, region.width))

    def lines(self) -> list[Line]:
        return [self._line]
