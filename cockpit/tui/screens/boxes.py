"""BoxesScreen: every box of this terminal, with its GPUs; Enter brings one to the front."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical

from cockpit.tui import box_rows, phrases
from cockpit.tui.keys import bindings
from cockpit.tui.layout import Column, Row, Span
from cockpit.tui.narrow import NarrowCompositor
from cockpit.tui.screens.listing import ListingScreen
from cockpit.tui.widgets.filter import FilterLine
from cockpit.tui.widgets.keybar import KeyBar
from cockpit.tui.widgets.table import Table

_ONE = (Column("", flex=True),)


class BoxesScreen(ListingScreen):
    """A row for each box, unfolded to its GPUs where there is room for all of them."""

    place = "boxes"
    stale = False
    """Each row fades by itself: one box that is away says nothing of the others."""
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("boxes")]
    DEFAULT_CSS = """
    BoxesScreen #sums { height: 1; background: $panel; padding: 0 1; }
    BoxesScreen #body { height: 1fr; padding: 0 1; }
    BoxesScreen #detail { height: 2; margin-top: 1; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._compositor = NarrowCompositor()
        self._unfolded: set[str] = set()
        self._by_hand = False
        """Whether somebody has folded or unfolded a box: then it stays as they left it."""

    def compose(self) -> ComposeResult:
        yield Table(_ONE, header=False, cursor=False, id="sums")
        with Vertical(id="body"):
            yield Table(box_rows.COLUMNS, empty="No box has that.", id="boxes")
            yield Table(_ONE, header=False, cursor=False, id="detail")
        yield KeyBar(self.place)
        yield FilterLine()

    def on_mount(self) -> None:
        super().on_mount()
        self.refill()

    def on_resize(self) -> None:
        if self.ready:
            self.refill()

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        self.refill()
        self.table().select(str(self.app.stations.position))

    def on_second(self) -> None:
        """A box that says nothing grows old all the same."""
        self.refill()

    def table(self) -> Table:
        return self.query_one("#boxes", Table)

    def refill(self) -> None:
        if not self.ready:
            return
        stations = self.app.stations.all
        if not self._by_hand:
            self._unfold_if_it_fits()
        self.table().show(box_rows.rows_of(stations, self._unfolded, self.needle))
        time = phrases.time_of_day(self.app.clock(), seconds=False)
        line: tuple[Span, ...] = (*box_rows.sums(stations), (f"   {time}", "muted"))
        self.query_one("#sums", Table).show([Row("", (line,))])
        self._show_detail()

    def _unfold_if_it_fits(self) -> None:
        stations = self.app.stations.all
        counts = [len(each.live.snapshot.gpus) if each.live.snapshot else 0 for each in stations]
        fits = len(stations) + sum(counts) <= self.size.height - 6
        self._unfolded = {str(position) for position in range(len(stations))} if fits else set()

    def _show_detail(self) -> None:
        key = self.table().selected
        lines: list[tuple[Span, ...]] = []
        if key is not None:
            station = self.app.stations.all[box_rows.position_of(key)]
            lost = station.live.disconnected
            if lost is not None:
                lines.append(((f"✗ {station.name}: {lost.reason}. Trying again…", "error"),))
                lines.append(((lost.advice, "text"),))
            elif station.live.snapshot is not None:
                worst = [
                    (phrases.SEVERITY_MARKS[reason.severity], f"GPU {gpu.index}: {reason.text}")
                    for gpu in station.live.snapshot.gpus
                    for reason in gpu.reasons
                    if reason.severity != "info"
                ]
                lines += [((f"{mark[0]} {text}", mark[2]),) for mark, text in worst[:2]]
        self.query_one("#detail", Table).show([Row("", (line,)) for line in lines])

    def on_table_moved(self, event: Table.Moved) -> None:
        if event.table.id == "boxes":
            self._show_detail()

    @property
    def chosen(self) -> int:
        """The box under the cursor."""
        key = self.table().selected
        return self.app.stations.position if key is None else box_rows.position_of(key)

    def on_table_chosen(self, event: Table.Chosen) -> None:
        uuid = box_rows.gpu_of(event.key)
        then = (lambda: self.app.open_gpu(uuid)) if uuid else None
        self.app.stations.go(box_rows.position_of(event.key), then)

    async def action_move_right(self) -> None:
        """Unfold the box."""
        self._fold(unfold=True)

    async def action_move_left(self) -> None:
        """Fold the box that the cursor is on or in."""
        self._fold(unfold=False)

    def _fold(self, unfold: bool) -> None:
        key = str(self.chosen)
        self._by_hand = True
        if unfold:
            self._unfolded.add(key)
        else:
            self._unfolded.discard(key)
        self.refill()
        if not unfold:
            self.table().select(key)
