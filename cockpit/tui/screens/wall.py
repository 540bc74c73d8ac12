"""The wall: the home screen."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.geometry import Region
from textual.screen import Screen
from textual.widgets import Input

from cockpit.client import Connected
from cockpit.errors import CockpitError
from cockpit.model import BoxInfo, Snapshot
from cockpit.tui import keys
from cockpit.tui.live import News
from cockpit.tui.narrow import NarrowCompositor
from cockpit.tui.trail import SPAN_S, Trail
from cockpit.tui.wall.bridges import Bridge
from cockpit.tui.wall.cards import Card
from cockpit.tui.wall.plan import Plan, plan
from cockpit.tui.wall.rows import GpuRows, first_visible
from cockpit.tui.wall.scene import Scene
from cockpit.tui.wall.side import EventList, JobList, PowerChart
from cockpit.tui.widgets.banner import Banner
from cockpit.tui.widgets.board import Block, Board
from cockpit.tui.widgets.header import Header
from cockpit.tui.widgets.keybar import KeyBar

if TYPE_CHECKING:
    from cockpit.tui.app import CockpitApp

HISTORY_POINTS = 300


class WallBoard(Board):
    """The wall's board; tells the screen when its size is known."""

    def on_resize(self) -> None:
        """Lay out for this size."""
        if isinstance(self.screen, WallScreen):
            self.screen.lay_out()


class WallScreen(Screen[None]):
    """Every GPU at once; the selection opens one."""

    app: CockpitApp
    AUTO_FOCUS = ""
    place: ClassVar[keys.Place] = "wall"
    BINDINGS: ClassVar[list[BindingType]] = [*keys.bindings("wall")]

    def __init__(self) -> None:
        super().__init__()
        self._compositor = NarrowCompositor()
        self._plan = Plan()
        self._scene: Scene | None = None
        self._arranged_for = 0
        self._asked_history = False

    @property
    def scene(self) -> Scene:
        """What the blocks read."""
        if self._scene is None:
            count = int(self.app.memory.get("gpu_count", 10))
            self._scene = Scene(self.app.live, guessed_count=count)
        return self._scene

    @property
    def board(self) -> WallBoard:
        """The widget that draws everything but header and keys."""
        return self.query_one(WallBoard)

    def compose(self) -> ComposeResult:
        """The board between header and keys; the filter opens in the place of the keys."""
        yield Header()
        yield WallBoard()
        yield KeyBar(self.place)
        yield Banner()
        yield Input(placeholder="Filter by any word: job, user, state…", id="filter")

    def lay_out(self) -> None:
        """Put the blocks where this size and this number of GPUs want them."""
        scene, size = self.scene, self.board.size
        if not size.height:
            return
        scene.selected = min(scene.selected, scene.count - 1)
        self._arranged_for = scene.count
        made = self._plan = plan(size.width, size.height, scene.count)
        blocks: list[Block] = [Card(region, scene, n) for n, region in enumerate(made.cards)]
        for n in range(0, len(made.cards) - 1, 2):
            left, right = made.cards[n], made.cards[n + 1]
            if left.y == right.y:
                gap = Region(left.right, left.y, right.x - left.right, left.height)
                blocks.append(Bridge(gap, scene, n))
        if made.rows.height:
            blocks.append(GpuRows(made.rows, scene))
        if made.chart.height:
            blocks.append(PowerChart(made.chart, scene))
        if made.jobs.height:
            blocks.append(JobList(made.jobs, scene))
        if made.events.height:
            blocks.append(EventList(made.events, scene, title=made.jobs.height > 0))
        self.board.lay_out(blocks, size.height)

    def keep(self, snapshot: Snapshot) -> None:
        """Remember a snapshot for the charts, whether the wall is seen or not."""
        self.scene.keep(snapshot)

    def on_live(self, news: News) -> None:
        """Show what changed."""
        if (
            isinstance(news, (Connected, BoxInfo, Snapshot))
            and self.scene.count != self._arranged_for
        ):
            self.lay_out()
            self.app.memory.set("gpu_count", self.scene.count)
        self._show()

    def on_second(self) -> None:
        """Fade what has become stale."""
        if self.app.live.stale != self.board.faded:
            self._show()

    def on_screen_resume(self) -> None:
        """Seen again: catch up."""
        self.app.show_shell(self)
        self._show()

    def _show(self) -> None:
        self.board.show(self.app.live.stale)

    async def load_history(self) -> None:
        """The last ten minutes of every GPU, asked for after the first frame."""
        if self._asked_history or self.app.live.box is None:
            return
        self._asked_history = True
        until = self.app.clock()
        gpus = self.app.live.box.gpus
        try:
            await asyncio.gather(*(self._load(gpu.uuid, until) for gpu in gpus))
        except CockpitError:
            self._asked_history = False
            return
        self._sum_power()
        # The answer may come while the app is closing, when the board has gone.
        for board in self.query(WallBoard):
            board.show(self.app.live.stale)

    async def _load(self, uuid: str, until: float) -> None:
        trail = self.scene.trail(uuid)
        for metric, into in (("power_w", trail.power_w), ("temperature_c", trail.temperature_c)):
            series = await self.app.box.history(uuid, metric, until - SPAN_S, until, HISTORY_POINTS)
            into.prepend(zip(series.times_s, series.mean, strict=True))

    def _sum_power(self) -> None:
        """The box's past: the sum of its GPUs at the times of the first."""
        sums: dict[int, float] = {}
        for trails in self.scene.trails.values():
            for time_s, value in trails.power_w.readings():
                if value is not None:
                    key = int(time_s)
                    sums[key] = sums.get(key, 0.0) + value
        total = Trail()
        total.prepend((float(second), value) for second, value in sorted(sums.items()))
        self.scene.total_w = total

    # Selection

    def action_move_up(self) -> None:
        """To the GPU above."""
        self._select(self.scene.selected - self._plan.columns)

    def action_move_down(self) -> None:
        """To the GPU below."""
        self._select(self.scene.selected + self._plan.columns)

    def action_move_left(self) -> None:
        """To the GPU before."""
        self._select(self.scene.selected - 1)

    def action_move_right(self) -> None:
        """To the GPU after."""
        self._select(self.scene.selected + 1)

    def action_move_first(self) -> None:
        """To the first GPU."""
        self._select(0)

    def action_move_last(self) -> None:
        """To the last GPU."""
        self._select(self.scene.count - 1)

    def action_page_up(self) -> None:
        """A screenful up."""
        self._select(max(0, self.scene.selected - self._plan.page))

    def action_page_down(self) -> None:
        """A screenful down."""
        self._select(min(self.scene.count - 1, self.scene.selected + self._plan.page))

    def action_open(self) -> None:
        """Open the selected GPU."""
        gpu = self.scene.gpu(self.scene.selected)
        if gpu is not None:
            self.app.open_gpu(gpu.uuid)

    def _select(self, position: int) -> None:
        if 0 <= position < self.scene.count:
            self.scene.selected = position
            self._show()

    def on_click(self, event: events.Click) -> None:
        """A click selects a GPU, a second one opens it."""
        position = self._position_at(event.screen_x, event.screen_y - self.board.region.y)
        if position is None:
            return
        self._select(position)
        if event.chain >= 2:
            self.action_open()

    def _position_at(self, x: int, y: int) -> int | None:
        for position, region in enumerate(self._plan.cards):
            if region.contains(x, y):
                return position
        rows = self._plan.rows
        if rows.height and 1 <= y < rows.height:
            room = rows.height - 1
            position = first_visible(self.scene.selected, self.scene.count, room) + y - 1
            return position if position < self.scene.count else None
        return None

    # Filter

    def action_filter(self) -> None:
        """Type words; GPUs without them step back."""
        box = self.query_one("#filter", Input)
        box.add_class("-open")
        box.focus()

    def step_back(self) -> bool:
        """Let go of the filter; whether there was one."""
        box = self.query_one("#filter", Input)
        filtered = box.has_class("-open") or bool(box.value)
        if filtered:
            self._close_filter(clear=True)
        return filtered

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while typing, and select the first match."""
        self.scene.words = event.value
        for position in range(self.scene.count):
            gpu = self.scene.gpu(position)
            if gpu is not None and self.scene.matches(gpu, self.app.live.job_on(gpu)):
                self.scene.selected = position
                break
        self._show()

    def on_input_submitted(self) -> None:
        """Keep the filter and give the keys back."""
        self._close_filter(clear=False)

    def _close_filter(self, clear: bool) -> None:
        box = self.query_one("#filter", Input)
        if clear:
            box.value = ""
        box.remove_class("-open")
        self.set_focus(None)
