"""The app: modes, bindings, theme, and the one worker that follows the box."""

from __future__ import annotations

import select
import signal
import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from textual.actions import ActionParseResult
from textual.app import App
from textual.binding import BindingType
from textual.dom import DOMNode
from textual.screen import Screen

from cockpit.client import Box
from cockpit.errors import CockpitError
from cockpit.roles import Role, may
from cockpit.settings import TerminalSettings
from cockpit.themes import load_themes, theme_directories
from cockpit.tui.following import Following
from cockpit.tui.graphics.detect import BLOCKS, Graphics
from cockpit.tui.keys import Action, bindings, refused, unknown_actions
from cockpit.tui.live import Live
from cockpit.tui.memory import Memory
from cockpit.tui.pictures import save_picture
from cockpit.tui.providers import CockpitCommands
from cockpit.tui.screens.wall import WallScreen
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


class CockpitApp(App[None]):
    """The terminal of one box."""

    TITLE = "cockpit"
    CSS_PATH = "cockpit.tcss"
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = {
        "wall": WallScreen,
        "events": _events,
        "jobs": _jobs,
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
    ) -> None:
        """`role` is that of who sits before it, where it is served; the box knows it too."""
        self.box = box
        self.role: Role = role
        self.graphics = graphics
        self.terminal = terminal or TerminalSettings()
        self.load_plugins = load_plugins or no_plugins
        self.clock = clock
        self.live = Live(clock)
        self.memory = memory or Memory()
        self.themes = load_themes(theme_directories(self.terminal.theme_directories))
        super().__init__()
        self.set_keymap(dict(self.terminal.keys))
        self._choose_first_theme()

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """cockpit's own theme variables, for a theme that lacks them."""
        return DEFAULT_VARIABLES

    def on_mount(self) -> None:
        """Show the wall at once; the box is asked afterwards."""
        self.switch_mode("wall")
        self.run_worker(Following(self).run(), name="follow", exclusive=True)
        self.set_interval(1.0, self._tick)
        for problem in self._start_problems():
            self.notify(problem, severity="warning", timeout=10)

    def goto_screen(self, screen: Screen[Any]) -> None:
        """Put `screen` on top; one of the same kind there already is replaced."""
        if type(self.screen) is type(screen):
            self.switch_screen(screen)
        else:
            self.push_screen(screen)

    def open_gpu(self, uuid: str) -> None:
        """Show the screen of one GPU."""
        from cockpit.tui.screens.gpu import GpuScreen

        self.memory.set("gpu", uuid)
        self.goto_screen(GpuScreen(uuid))

    def open_job(self, job_id: str) -> None:
        """Show the screen of one job."""
        from cockpit.tui.screens.job import JobScreen

        self.goto_screen(JobScreen(job_id))

    def compare_jobs(self, job_id: str, other_id: str) -> None:
        """Show one job beside another."""
        from cockpit.tui.screens.job import JobScreen

        self.goto_screen(JobScreen(job_id, other_id))

    def action_gpu(self, index: int) -> None:
        """Open the GPU of that index, if the box has one."""
        gpus = self.live.box.gpus if self.live.box else ()
        for gpu in gpus:
            if gpu.index == index:
                self.open_gpu(gpu.uuid)
                return
        if gpus:
            last = max(gpu.index for gpu in gpus)
            self.notify(f"This box has no GPU {index}: it has 0 to {last}.", severity="warning")

    def action_go(self, mode: str) -> None:
        """Show the wall, the jobs or the events."""
        if self.screen.is_modal:
            return
        if self.current_mode == mode:
            while len(self.screen_stack) > 1:
                self.pop_screen()
        else:
            self.switch_mode(mode)

    async def run_action(
        self,
        action: str | ActionParseResult,
        default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:
        """Run an action, whichever key, click or word of the palette it comes from."""
        run = action if isinstance(action, str) else action[1]
        if (refusal := refused(run, self.role)) is not None:
            self._tell_role(refusal.help)
            return True
        return await super().run_action(action, default_namespace, namespaces)

    def _tell_role(self, what: str) -> None:
        needed = "an operator can do this"
        self.notify(f"{what}: you are here as {self.role}, {needed}.", severity="warning")

    async def do(self, action: Action, screen: Screen[Any]) -> None:
        """Do what a key of `screen` would do."""
        await self.run_action(action.run, self if "everywhere" in action.where else screen)

    async def action_back(self) -> None:
        """Close what is open or on top; from another place, go home to the wall."""
        step_back = getattr(self.screen, "step_back", None)
        if step_back is not None and step_back():
            return
        if len(self.screen_stack) > 1:
            self.pop_screen()
        elif self.current_mode != "wall":
            self.switch_mode("wall")

    def action_launch(self, plugin: str = "") -> None:
        """Choose a workload and launch it; from the screen of a GPU, on that one."""
        if not may(self.role, "operator"):
            self._tell_role("Launch a workload")
            return
        from cockpit.tui.screens.gpu import GpuScreen
        from cockpit.tui.screens.launch import LaunchScreen

        gpu = self.screen.uuid if isinstance(self.screen, GpuScreen) else None
        self.goto_screen(LaunchScreen(plugin, gpu=gpu))

    def launch_again(self, job_id: str) -> None:
        """Open the form with what a job was launched with."""
        self.run_worker(self._launch_again(job_id), group="launch_again", exclusive=True)

    async def _launch_again(self, job_id: str) -> None:
        from cockpit.tui.screens.launch import LaunchScreen

        try:
            request = await self.box.job_request(job_id)
        except CockpitError as error:
            self.notify(str(error), title=f"Job #{job_id}", severity="error")
            return
        self.goto_screen(LaunchScreen(request.plugin or "", request))

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
        """The screens of a mode, the lowest first; also while another mode is seen."""
        return self._screen_stacks[mode]

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
        for widget in screen.walk_children(Inked):
            widget.fade(self.live.stale)

    def _tick(self) -> None:
        """Once a second: clocks, ages, and whether the terminal is still there."""
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
