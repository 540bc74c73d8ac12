"""The app: modes, bindings, theme, and the one worker that follows the box."""

from __future__ import annotations

import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import BindingType
from textual.screen import Screen

from cockpit.client import Box
from cockpit.roles import Role
from cockpit.settings import TerminalSettings
from cockpit.themes import load_themes, theme_directories
from cockpit.tui.following import Following
from cockpit.tui.going import Going
from cockpit.tui.graphics.detect import BLOCKS, Graphics
from cockpit.tui.keys import Action, bindings, unknown_actions
from cockpit.tui.memory import Memory
from cockpit.tui.pacing import Paced
from cockpit.tui.pictures import save_picture
from cockpit.tui.providers import CockpitCommands
from cockpit.tui.screens.wall import WallScreen
from cockpit.tui.stations import Base, Stations, make_boxes
from cockpit.tui.themes import DEFAULT_VARIABLES, to_textual
from cockpit.tui.widgets.banner import Banner
from cockpit.tui.widgets.header import Header
from cockpit.tui.widgets.ink import Inked

if TYPE_CHECKING:
    from cockpit.plugins import Found

FALLBACK_THEME = "midnight"


def no_plugins() -> Found:
    """What there is when nobody says where plugins are."""
    from cockpit.plugins import Found

    return Found((), ())


def _events() -> Screen[Any]:
    from cockpit.tui.screens.events import EventsScreen

    return EventsScreen()


def _jobs() -> Screen[Any]:
    from cockpit.tui.screens.jobs import JobsScreen

    return JobsScreen()


class CockpitApp(Paced, Going):
    """The terminal of one box."""

    TITLE = "cockpit"
    CSS_PATH = "cockpit.tcss"
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = {
        "wall": WallScreen,
        "events": _events,
        "jobs": _jobs,
        "boxes": make_boxes,
    }
    COMMANDS = {CockpitCommands}  # noqa: RUF012 - Textual's own declaration
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("everywhere")]
    ENABLE_COMMAND_PALETTE = True
    COMMAND_PALETTE_BINDING = "ctrl+p"

    def __init__(
        self,
        box: Box,
        terminal: TerminalSettings | None = None,
        load_plugins: Callable[[], Found] | None = None,
        clock: Callable[[], float] = time.time,
        memory: Memory | None = None,
        graphics: Graphics = BLOCKS,
        role: Role = "admin",
        others: Sequence[Box] = (),
    ) -> None:
        """`role` is that of who sits before it, where it is served; the box knows it too. With
        `others` beside it, it begins with all boxes."""
        self.role: Role = role
        self.stations = Stations(self, (box, *others), clock)
        self.graphics = graphics
        self.terminal = terminal or TerminalSettings()
        self.load_plugins = load_plugins or no_plugins
        self.clock = clock
        self.memory = memory or Memory()
        self.themes = load_themes(theme_directories(self.terminal.theme_directories))
        super().__init__()
        self.set_keymap(dict(self.terminal.keys))
        self._choose_first_theme()

    def modes_of_a_box(self) -> dict[str, Base]:
        """The places that are about one box, by name."""
        return {name: make for name, make in self.MODES.items() if name != "boxes"}

    async def load_past(self) -> None:
        """Ask the box in front for what its charts show of the time before."""
        for screen in self.stack("wall"):
            if isinstance(screen, WallScreen):
                await screen.load_history()

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """cockpit's own theme variables, for a theme that lacks them."""
        return DEFAULT_VARIABLES

    def on_mount(self) -> None:
        """Show the wall at once; the box is asked afterwards."""
        self.start_pacing()
        self.switch_mode("boxes" if self.stations.several else "wall")
        for station in self.stations.all:
            self.run_worker(Following(self, station).run(), name=f"follow {station.name}")
        self.set_interval(1.0, self._tick)
        for problem in self._start_problems():
            self.notify(problem, severity="warning", timeout=10)

    def action_help(self) -> None:
        """List the keys of this place; Enter runs one."""
        from cockpit.tui.screens.help import HelpScreen

        below = self.screen
        if isinstance(below, HelpScreen):
            return

        async def do_chosen(action: Action | None) -> None:
            if action is not None and action.name != "help":
                await self.do(action, below)

        self.push_screen(HelpScreen(below), do_chosen)

    def action_choose_theme(self) -> None:
        """Choose a theme with a preview."""
        from cockpit.tui.screens.themes import ThemesScreen

        if not isinstance(self.screen, ThemesScreen):
            self.push_screen(ThemesScreen())

    def action_save_picture(self) -> None:
        """Save what is on the screen as an SVG and say where."""
        try:
            path = save_picture(self)
        except OSError as error:
            self.notify(f"Could not save a picture: {error}", severity="error")
        else:
            self.notify(f"Saved {path}", title="Picture")

    def choose_theme(self, name: str) -> None:
        """Use a theme from now on and remember it."""
        self.theme = name
        self.memory.set("theme", name)
        self.memory.set("theme_instead_of", self.terminal.theme)

    def watch_theme(self, name: str) -> None:
        """Tell the screens that keep their own styles."""
        for screen in self.screen_stack if self._running else ():
            screen.refresh(layout=False)

    def stack(self, mode: str) -> list[Screen[Any]]:
        """The screens of a mode, the lowest first, none before it was seen for the first time."""
        return self._screen_stacks.get(mode, [])

    def seen(self) -> list[Screen[Any]]:
        """The screens that can be seen: the top one, and those under a dialog."""
        seen: list[Screen[Any]] = []
        for screen in reversed(self.screen_stack):
            if screen.is_running:
                seen.append(screen)
            if not screen.is_modal:
                break
        return seen

    def show_shell(self, screen: Screen[Any]) -> None:
        """Bring header and banner of a screen up to date, and fade what is stale."""
        for header in screen.query(Header):
            header.show()
        for banner in screen.query(Banner):
            banner.show_live(self.live)
        stale = getattr(screen, "stale", self.live.stale)
        for widget in screen.walk_children(Inked):
            widget.fade(stale)

    def _tick(self) -> None:
        """Once a second: clocks, ages, and whether the terminal is still there."""
        self.tick_pacing()
        if not self.is_headless and _terminal_gone():
            # Leaving in order would write to what is not there any more.
            signal.raise_signal(signal.SIGHUP)
        for screen in self.seen():
            self.show_shell(screen)
            tick = getattr(screen, "on_second", None)
            if tick is not None:
                tick()

    def _choose_first_theme(self) -> None:
        for theme in self.themes.loaded.values():
            self.register_theme(to_textual(theme))
        # A choice made here stands until the configuration names another theme than it did then.
        chosen = self.memory.text("theme_instead_of") == self.terminal.theme
        wanted = self.memory.text("theme") if chosen else self.terminal.theme
        if self.terminal.color == "ansi":
            wanted = "ansi"
        if wanted not in self.themes.loaded:
            wanted = FALLBACK_THEME
        if wanted in self.themes.loaded:
            self.theme = wanted

    def _start_problems(self) -> list[str]:
        problems = [self.memory.notice] if self.memory.notice else []
        for theme in self.themes.broken:
            if theme.name in (self.terminal.theme, self.memory.text("theme")):
                problems.append(f"Theme {theme.name} cannot be used: {theme.reason}")
        for name in unknown_actions(self.terminal.keys):
            problems.append(f"[keys] names {name}, which is no action; ? lists them")
        return problems


def _terminal_gone() -> bool:
    if sys.__stdin__ is None:
        return True
    poll = select.poll()
    poll.register(sys.__stdin__.fileno(), 0)
    return any(event & (select.POLLHUP | select.POLLERR) for _, event in poll.poll(0))
