"""LaunchScreen: choose a workload, set its parameters, start it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from cockpit.errors import CockpitError
from cockpit.plugins import BrokenPlugin, Found, Plugin, request
from cockpit.tui.keys import bindings
from cockpit.tui.widgets.banner import Banner
from cockpit.tui.widgets.form import GPUS, ParameterForm, gpu_wish
from cockpit.tui.widgets.header import Header
from cockpit.tui.widgets.keybar import KeyBar

if TYPE_CHECKING:
    from cockpit.tui.app import CockpitApp


def command_line(plugin: str, gpus: str, options: dict[str, str]) -> str:
    """The `cockpit run` that does the same, as typed into a shell."""
    words = ["cockpit", "run", plugin]
    if gpus:
        words += ["--gpus", gpus]
    for option, value in options.items():
        # A value that begins with a minus would be read as another option.
        words += [f"{option}={value}"] if value.startswith("-") else [option, value]
    return shlex.join(words)


class LaunchScreen(Screen[None]):
    """The plugins at the left, the form of the chosen one at the right; Enter launches."""

    app: CockpitApp
    AUTO_FOCUS = ""
    place = "launch"
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings("launch"),
        Binding("tab", "app.focus_next", show=False),
        Binding("shift+tab", "app.focus_previous", show=False),
    ]
    DEFAULT_CSS = """
    LaunchScreen #body { height: 1fr; padding: 1 1 0 1; }
    LaunchScreen #plugins {
        width: 26; height: 1fr; border: none; padding: 0; background: transparent; margin-right: 2;
    }
    LaunchScreen.-wide #plugins { width: 30; margin-right: 3; }
    LaunchScreen #chosen { height: 1fr; }
    LaunchScreen #title { height: auto; max-height: 5; margin-bottom: 1; }
    LaunchScreen #form { height: 1fr; }
    LaunchScreen #hint { height: 3; color: $muted; }
    LaunchScreen .note { display: none; }
    LaunchScreen.-wide .note { display: block; }
    LaunchScreen #same { height: auto; max-height: 3; color: $muted; }
    LaunchScreen #deed { height: 1; }
    """

    def __init__(self, plugin: str = "") -> None:
        super().__init__()
        self._wanted = plugin
        self._found = Found((), ())
        self._launching = False

    def compose(self) -> ComposeResult:
        yield Header()
        with Horizontal(id="body"):
            yield OptionList(id="plugins", compact=True)
            with Vertical(id="chosen"):
                yield Static(id="title", markup=False)
                yield Vertical(id="form")
                yield Static(id="hint", markup=False)
                yield Static(id="same", markup=False)
                yield Static(id="deed")
        yield KeyBar("launch")
        yield Banner()

    def on_mount(self) -> None:
        self._found = self.app.load_plugins()
        menu = self.query_one(OptionList)
        entries: list[Plugin | BrokenPlugin] = [*self._found.plugins, *self._found.broken]
        for entry in entries:
            menu.add_option(Option(self._entry(entry), id=entry.name))
        if not entries:
            self.query_one("#title", Static).update("No plugins were found.")
            return
        names = [entry.name for entry in entries]
        menu.highlighted = names.index(self._wanted) if self._wanted in names else 0
        menu.focus()

    def on_screen_resume(self) -> None:
        """Seen again: the connection may be another than it was."""
        self.app.show_shell(self)

    def on_resize(self) -> None:
        self.set_class(self.size.width >= 120, "-wide")

    def _entry(self, entry: Plugin | BrokenPlugin) -> Text:
        if isinstance(entry, BrokenPlugin):
            return Text.assemble((f"✗ {entry.name}", "bold"), "\n  broken", no_wrap=True)
        kind = f"\n  {entry.kind}, {entry.gpus.wants}"
        return Text.assemble(
            (entry.title, "bold"), (kind, "dim"), no_wrap=True, overflow="ellipsis"
        )

    # The chosen one

    @property
    def plugin(self) -> Plugin | None:
        """The plugin whose form is shown; None for a broken one."""
        forms = list(self.query(ParameterForm))
        return forms[-1].plugin if forms else None

    async def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        name = event.option_id
        holder = self.query_one("#form")
        title = self.query_one("#title", Static)
        self.query_one("#same", Static).update("")
        self.query_one("#hint", Static).update("")
        self.query_one("#deed", Static).update("")
        for broken in self._found.broken:
            if broken.name == name:
                await holder.remove_children()
                title.update(f"{name} is broken\n{broken.reason}\n{broken.directory}")
                return
        for plugin in self._found.plugins:
            if plugin.name == name and plugin is not self.plugin:
                await holder.remove_children()
                title.update(Text.assemble((plugin.title, "bold"), "\n", (plugin.summary, "dim")))
                box = self.app.live.box
                await holder.mount(ParameterForm(plugin, box.gpu_count if box else 0))
                self._say()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Enter in the list goes to the form, where Enter launches."""
        for form in self.query(ParameterForm):
            self.set_focus(form.query(Input).first())

    def on_parameter_form_edited(self, event: ParameterForm.Edited) -> None:
        self._say()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.action_start()

    def _say(self) -> None:
        """The same as a command line, and what Enter will do."""
        for form in self.query(ParameterForm):
            line = command_line(form.plugin.name, form.texts.get(GPUS, "").strip(), form.changed())
            self.query_one("#same", Static).update(f"$ {line}")
            self.query_one("#hint", Static).update(form.hint())
            deed = self.query_one("#deed", Static)
            if form.problems:
                name, problem = next(iter(form.problems.items()))
                deed.update(Text(f"✗ {name}: {problem}", style=self._ink("error")))
            else:
                deed.update(Text.assemble(("Enter", "bold"), f" launches {form.plugin.title}"))

    def _ink(self, name: str) -> str:
        color = self.app.theme_variables.get(name, "")
        return color if color.startswith("#") else "bold"

    def action_start(self) -> None:
        """Launch what the form says, then open the job."""
        forms = list(self.query(ParameterForm))
        if not forms or self._launching:
            return
        form = forms[-1]
        form.check()
        self._say()
        if form.problems:
            for field in form.query(Input):
                if getattr(field, "parameter", "") in form.problems:
                    field.focus()
                    break
            self.app.bell()
            return
        self.run_worker(self._launch(form), group="launch")

    async def _launch(self, form: ParameterForm) -> None:
        wish = gpu_wish(form.texts[GPUS], form.plugin, form.gpu_count)
        self._launching = True
        try:
            gpus: int | tuple[str, ...]
            gpus = wish if isinstance(wish, int) else self._uuids(wish)
            job = await self.app.box.submit(request(form.plugin, form.values(), gpus))
        except CockpitError as error:
            self.notify(str(error), title="Not launched", severity="error", timeout=10)
            return
        finally:
            self._launching = False
        if job.id not in self.app.live.jobs:
            self.app.live.take(job)
        self.app.pop_screen()
        self.app.open_job(job.id)

    def _uuids(self, indices: tuple[int, ...]) -> tuple[str, ...]:
        box = self.app.live.box
        known = {info.index: info.uuid for info in (box.gpus if box else ())}
        return tuple(known[index] for index in indices if index in known)
