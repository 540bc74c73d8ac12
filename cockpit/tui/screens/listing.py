"""ListingScreen: what the screens beside the wall share: header and keys, a list, and a filter."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.screen import Screen

from cockpit.tui.keys import Place
from cockpit.tui.widgets.banner import Banner
from cockpit.tui.widgets.filter import FilterLine
from cockpit.tui.widgets.header import Header
from cockpit.tui.widgets.keybar import KeyBar
from cockpit.tui.widgets.table import Table

if TYPE_CHECKING:
    from cockpit.tui.app import CockpitApp


class ListingScreen(Screen[None]):
    """A screen with a place of its own in the keymap and one list that its keys move in."""

    app: CockpitApp
    AUTO_FOCUS = ""
    place: ClassVar[Place]

    def __init__(self) -> None:
        super().__init__()
        self.needle = ""
        self.ready = False
        """Whether everything on the screen is there: the app may tell news before it is."""

    def on_mount(self) -> None:
        self.ready = True

    def on_screen_resume(self) -> None:
        """Seen again: the connection may be another than it was."""
        self.app.show_shell(self)

    def compose(self) -> ComposeResult:
        yield Header()
        yield from self.compose_body()
        yield KeyBar(self.place)
        yield Banner()
        yield FilterLine()

    def compose_body(self) -> ComposeResult:
        """What stands between header and keys."""
        yield from ()

    @property
    def now_s(self) -> float:
        """The time of the newest figures; the clock before there are any."""
        snapshot = self.app.live.snapshot
        return snapshot.time_s if snapshot else self.app.clock()

    @property
    def gpu_indices(self) -> dict[str, int]:
        """UUID → number of each GPU, and of each slice the number of its GPU."""
        live = self.app.live
        known = {info.uuid: info.index for info in (live.box.gpus if live.box else ())}
        for gpu in live.snapshot.gpus if live.snapshot else ():
            known |= {part.uuid: gpu.index for part in gpu.slices}
        return known

    def table(self) -> Table | None:
        """The list that the keys move in."""
        return None

    def refill(self) -> None:
        """Show what `app.live` and the filter say now."""

    def on_filter_line_filtered(self, event: FilterLine.Filtered) -> None:
        self.needle = event.needle
        self.refill()

    def step_back(self) -> bool:
        """Let go of the filter; whether there was one."""
        filtered = bool(self.needle)
        for line in self.query(FilterLine) if filtered else ():
            line.action_forget()
        return filtered

    def action_filter(self) -> None:
        for line in self.query(FilterLine):
            line.open()

    async def action_move_up(self) -> None:
        if table := self.table():
            table.move(-1)

    async def action_move_down(self) -> None:
        if table := self.table():
            table.move(1)

    async def action_move_first(self) -> None:
        if table := self.table():
            table.first()

    async def action_move_last(self) -> None:
        if table := self.table():
            table.last()

    def action_page_up(self) -> None:
        if table := self.table():
            table.page(-1)

    def action_page_down(self) -> None:
        if table := self.table():
            table.page(1)

    async def action_move_left(self) -> None:
        """Nothing lies to the left of a list."""

    async def action_move_right(self) -> None:
        """Nothing lies to the right of a list."""

    def action_open(self) -> None:
        if table := self.table():
            table.choose()
