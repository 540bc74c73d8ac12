"""The boxes of one terminal: each followed all the time, one of them in front."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from textual.screen import Screen

from cockpit.client import Box
from cockpit.tui.live import Live

if TYPE_CHECKING:
    from cockpit.tui.app import CockpitApp

BOXES_EVERY_S = 0.25
"""The screen of all boxes is told of news at most this often, whoever they are from."""


class Station:
    """One box: the way there, and what is known of it."""

    def __init__(self, box: Box, clock: Callable[[], float]) -> None:
        self.box = box
        self.live = Live(clock)

    @property
    def name(self) -> str:
        """What the box is called."""
        return self.box.info.name if self.box.info is not None else self.box.name


class Stations:
    """Which box the screens are about. When that changes they are all made anew: what one of them
    still asks for, or remembers, is never of another box than what it shows."""

    def __init__(self, app: CockpitApp, boxes: Sequence[Box], clock: Callable[[], float]) -> None:
        self.all = [Station(box, clock) for box in boxes]
        self.current = self.all[0]
        self._app = app
        self._told_s = 0.0
        self._telling = False

    @property
    def several(self) -> bool:
        """Whether there is more than one box."""
        return len(self.all) > 1

    @property
    def position(self) -> int:
        """Which one is in front, from 0."""
        return self.all.index(self.current)

    def go(self, position: int, then: Callable[[], Any] | None = None) -> None:
        """Bring a box to the front, on its wall, and then do something there."""
        station = self.all[position % len(self.all)]

        async def work() -> None:
            await self._bring(station)
            if then is not None:
                then()

        self._app.run_worker(work(), name="station", group="station", exclusive=True)

    async def _bring(self, station: Station) -> None:
        app = self._app
        if station is not self.current:
            app.switch_mode("boxes")
            for mode, screen in app.modes_of_a_box().items():
                # Its base stays what it was: the class, or the function that makes it.
                await app.remove_mode(mode)
                app.add_mode(mode, screen)
            self.current = station
            await app.load_past()
        app.switch_mode("wall")

    def tell(self) -> None:
        """There is news of some box: at once after a quiet time, else together with others."""
        if self._telling or not self.several:
            return
        pause_s = self._told_s + BOXES_EVERY_S - time.monotonic()
        if pause_s <= 0:
            self._show()
        else:
            self._telling = True
            self._app.set_timer(pause_s, self._show)

    def _show(self) -> None:
        from cockpit.tui.screens.boxes import BoxesScreen

        self._telling, self._told_s = False, time.monotonic()
        for screen in self._app.seen():
            if isinstance(screen, BoxesScreen):
                screen.refill()


def make_boxes() -> Screen[Any]:
    """The screen of all boxes."""
    from cockpit.tui.screens.boxes import BoxesScreen

    return BoxesScreen()


Base = str | Callable[[], Screen[Any]]
"""What a mode of Textual is made from."""
