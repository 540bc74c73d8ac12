"""The command palette: every action, GPU, job, theme and workload by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider

from cockpit.roles import may
from cockpit.tui import keys
from cockpit.tui.wall.words import mark, work

if TYPE_CHECKING:
    from cockpit.tui.app import CockpitApp

MOST_JOBS = 50
"""More than one can look through."""

Command = tuple[str, str, Callable[[], Any]]
"""What it says, the help below, what it does."""


class CockpitCommands(Provider):
    """Everything that can be done from here."""

    async def discover(self) -> Hits:
        """Before a word is typed: the place's actions and the GPUs."""
        for text, help_text, run in [*self._actions(), *self._gpus()]:
            yield DiscoveryHit(text, run, help=help_text)

    async def startup(self) -> None:
        """Plugins are read from their files once, not at every letter."""
        self._plugins = self._cockpit.load_plugins().plugins

    async def search(self, query: str) -> Hits:
        """What matches, best first."""
        matcher = self.matcher(query)
        for text, help_text, run in self._everything(query):
            score = matcher.match(text)
            if score > 0:
                yield Hit(score, matcher.highlight(text), run, help=help_text)

    @property
    def _cockpit(self) -> CockpitApp:
        return cast("CockpitApp", self.app)

    def _everything(self, query: str) -> Iterator[Command]:
        yield from self._actions()
        yield from self._gpus()
        yield from self._boxes()
        yield from islice(self._jobs(query), MOST_JOBS)
        yield from self._themes()
        yield from self._workloads()

    def _actions(self) -> Iterator[Command]:
        place: keys.Place = getattr(self.screen, "place", "everywhere")
        for action in keys.actions(place, self._cockpit.role, self._cockpit.stations.several):
            if action.name in ("palette", "up", "down", "left", "right"):
                continue
            shown = keys.shown_keys(action, self._cockpit.terminal.keys)
            run = partial(self._cockpit.do, action, self.screen)
            yield action.help, f"key: {shown}", run

    def _gpus(self) -> Iterator[Command]:
        app = self._cockpit
        for gpu in app.live.snapshot.gpus if app.live.snapshot else ():
            doing, _ = work(gpu, app.live.job_on(gpu))
            word, _ = mark(gpu)
            text = f"GPU {gpu.index}"
            yield text, f"{word}  {doing}".strip(), partial(app.open_gpu, gpu.uuid)

    def _boxes(self) -> Iterator[Command]:
        stations = self._cockpit.stations
        for position, station in enumerate(stations.all if stations.several else ()):
            away = "UNREACHABLE" if station.live.disconnected is not None else "its wall"
            yield f"Box {station.name}", away, partial(stations.go, position)

    def _jobs(self, query: str) -> Iterator[Command]:
        """Those with every word of the query: fuzzy matching of a thousand would hold up the keys."""
        app, words = self._cockpit, query.casefold().split()
        for job in reversed(app.live.jobs.values()):
            text = f"Job #{job.id} {job.name}"
            if all(word in text.casefold() for word in words):
                yield text, job.state, partial(app.open_job, job.id)

    def _themes(self) -> Iterator[Command]:
        app = self._cockpit
        for theme in app.themes.loaded.values():
            yield f"Theme: {theme.title}", theme.summary, partial(app.choose_theme, theme.name)

    def _workloads(self) -> Iterator[Command]:
        app = self._cockpit
        for plugin in self._plugins if may(app.role, "operator") else ():
            run = partial(app.action_launch, plugin.name)
            yield f"Launch: {plugin.title}", plugin.summary, run
