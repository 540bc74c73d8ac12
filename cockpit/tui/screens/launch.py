"""LaunchScreen: choose a plugin, say with what, start it."""

from __future__ import annotations

import asyncio
import uuid
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Static

from cockpit.errors import CockpitError
from cockpit.model import JobRequest, Prospect, Snapshot
from cockpit.plugins import BrokenPlugin, Plugin
from cockpit.tui.keys import bindings
from cockpit.tui.launch.gallery import Entry, Gallery, matches, ordered
from cockpit.tui.launch.order import GPUS, Order, named_gpus
from cockpit.tui.launch.starts import as_it_is, remember, starts_of
from cockpit.tui.launch.texts import defaults
from cockpit.tui.launch.words import needs, packages
from cockpit.tui.live import News
from cockpit.tui.screens.listing import ListingScreen
from cockpit.tui.widgets.editors import Field, Wanted
from cockpit.tui.widgets.form import LaunchForm
from cockpit.tui.widgets.gpu_strip import GpuStrip, slots
from cockpit.tui.widgets.ink import theme_ink
from cockpit.tui.widgets.keybar import KeyBar
from cockpit.tui.widgets.outlook import Outlook

ASK_AFTER_S = 0.15
"""The box is asked what would become of it once nothing was typed for so long."""
ASK_EVERY_S = 2.0
EMPTY = (
    "No plugins were found.\n\n"
    "`cockpit plugins new ripples` makes one that runs, in the folder for your own:"
    " `cockpit plugins path` says where that is."
)


class LaunchScreen(ListingScreen):
    """The gallery at the left, the form of the chosen plugin at the right; Enter launches."""

    place = "launch"
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings("launch"),
        Binding("tab", "app.focus_next", show=False),
        Binding("shift+tab", "app.focus_previous", show=False),
    ]
    DEFAULT_CSS = """
    LaunchScreen #body { height: 1fr; padding: 0 1; }
    LaunchScreen.-tall #body { padding: 1 1 0 1; }
    LaunchScreen #plugins { width: 22; margin-right: 2; }
    LaunchScreen.-wide #plugins { width: 44; margin-right: 3; }
    LaunchScreen.-vast #plugins { width: 60; margin-right: 4; }
    LaunchScreen #chosen { height: 1fr; }
    LaunchScreen #title { height: auto; max-height: 6; margin-bottom: 1; }
    LaunchScreen #form { height: 1fr; }
    LaunchScreen.-wide #fate { height: auto; min-height: 1; max-height: 2; text-wrap: wrap; }
    LaunchScreen.-wide #same { max-height: 4; }
    LaunchScreen.-tall #deed, LaunchScreen.-tall #same { margin-top: 1; }
    LaunchScreen .note { display: none; }
    LaunchScreen.-wide .note { display: block; }
    """

    def __init__(
        self, plugin: str = "", request: JobRequest | None = None, gpu: str | None = None
    ) -> None:
        """Begin with a plugin, with what a job was launched with, or on a GPU (UUID)."""
        super().__init__()
        self._wanted, self._request, self._gpu = plugin, request, gpu
        self._entries: list[Entry] = []
        self._fate: Prospect | None = None
        self._asked: Order | None = None
        """What the box is being asked about."""
        self._launching = False
        self._token = uuid.uuid4().hex

    def compose_body(self) -> ComposeResult:
        with Horizontal(id="body"):
            yield Gallery(id="plugins")
            with Vertical(id="chosen"):
                yield Static(id="title", markup=False)
                yield Vertical(id="form")
                yield Outlook(id="outlook")

    def on_mount(self) -> None:
        self._entries = ordered(self.app.load_plugins())
        self.gallery.show(self._entries)
        wanted = self._wanted or self.app.memory.text("launch.plugin")
        self.gallery.select(wanted)
        if not self._entries:
            self.query_one("#title", Static).update(EMPTY)
        self._name_keys()
        self._ask_all()

    def on_resize(self) -> None:
        self.set_class(self.size.width >= 110, "-wide")
        self.set_class(self.size.width >= 160, "-vast")
        self.set_class(self.size.height >= 32, "-tall")

    def on_live(self, news: News) -> None:
        """GPUs come and go while one fills in the form."""
        if self.ready and isinstance(news, (Snapshot, tuple)):
            self._show_strip()

    @property
    def gallery(self) -> Gallery:
        return self.query_one(Gallery)

    @property
    def form(self) -> LaunchForm | None:
        """The form of the chosen plugin; None for a broken one."""
        forms = list(self.query(LaunchForm))
        return forms[-1] if forms else None

    @property
    def _gpus(self) -> dict[int, str]:
        box = self.app.live.box
        return {info.index: info.uuid for info in (box.gpus if box else ())}

    # Choosing

    def refill(self) -> None:
        self.gallery.show([entry for entry in self._entries if matches(entry, self.needle)])
        if self._entries and not self.gallery.entries:
            self.query_one("#title", Static).update(self._nothing)

    @property
    def _nothing(self) -> str:
        return f"No plugin has {self.needle!r}: Esc shows all." if self.needle else EMPTY

    async def on_gallery_picked(self, event: Gallery.Picked) -> None:
        await self._open(event.entry)

    async def _open(self, entry: Entry | None) -> None:
        # An answer about the plugin before must not stand below this one.
        self.workers.cancel_group(self, "fate")
        holder, title = self.query_one("#form"), self.query_one("#title", Static)
        await holder.remove_children()
        self._fate = self._asked = None
        self.query_one(Outlook).clear()
        if entry is None:
            title.update(self._nothing)
        elif isinstance(entry, BrokenPlugin):
            title.update(
                Text.assemble(
                    (f"✗ {entry.name} is broken\n", theme_ink(self.app, "error")),
                    f"{entry.reason}\n",
                    (f"{entry.directory}\n", theme_ink(self.app, "muted")),
                    (
                        f"`cockpit plugins check {entry.name}` says more",
                        theme_ink(self.app, "muted"),
                    ),
                )
            )
        else:
            title.update(self._title(entry))
            await holder.mount(self._form_of(entry))
            self._show_strip()
            self._say()

    def _title(self, plugin: Plugin) -> Text:
        facts = [plugin.kind, needs(plugin), packages(plugin)]
        muted = theme_ink(self.app, "muted")
        return Text.assemble(
            (plugin.title, "bold"),
            ("  " + " · ".join(fact for fact in facts if fact), muted),
            (f"\n{plugin.summary}", muted),
        )

    def _form_of(self, plugin: Plugin) -> LaunchForm:
        """The form as it begins: a job's values, else the last used ones, else the defaults."""
        memory = self.app.memory
        starts, first = starts_of(plugin, memory, self._gpus, self._request, self._gpu)
        snapshot = self.app.live.snapshot
        sliced = any(gpu.slices for gpu in (snapshot.gpus if snapshot else ()))
        return LaunchForm(plugin, self._gpus, starts, first, sliced, self.app.live.arrays)

    # What it says

    def on_launch_form_changed(self, event: LaunchForm.Changed) -> None:
        self._token = uuid.uuid4().hex
        self._show_strip()
        self._say()

    def _say(self) -> None:
        """The same as a command line, what would become of it, and what Enter does."""
        form = self.form
        if form is None:
            return
        self.query_one(Outlook).say(form, self.focused is not None)
        if form.problems:
            self._asked = None
            self.workers.cancel_group(self, "fate")
            self._show_fate(None)
        elif form.order != self._asked:
            self._asked = form.order
            self._ask()

    @work(group="fate", exclusive=True)
    async def _ask(self) -> None:
        """Ask the box what would become of it, again and again while it stands there."""
        order = self._asked
        await asyncio.sleep(ASK_AFTER_S)
        # What was true of another order is not left standing until the box has answered.
        self._show_fate(None)
        while order is not None:
            try:
                self._show_fate(await self.app.box.prospect(order.request()))
            except (CockpitError, ValueError):
                self._show_fate(None)
            await asyncio.sleep(ASK_EVERY_S)

    def _show_fate(self, fate: Prospect | None) -> None:
        if fate != self._fate or fate is None:
            self._fate = fate
            # The answer may come while the screen is closing, when its widgets have gone.
            for outlook in self.query(Outlook):
                outlook.foretell(fate)
            self._show_strip()

    def _show_strip(self) -> None:
        form = self.form
        if form is None or not form.is_attached:
            return
        named = named_gpus(form.texts.get(GPUS, ""))
        chosen = self._fate.gpus if self._fate else ()
        likely = [index for index, uuid in self._gpus.items() if uuid in chosen]
        for strip in form.query(GpuStrip):
            strip.show(slots(self.app.live), named, likely)

    @work(group="fates", exclusive=True)
    async def _ask_all(self) -> None:
        """Whether each plugin fits now, as it is by default; asked again while this is seen."""
        while True:
            fates: dict[str, Prospect] = {}
            for entry in self._entries:
                if isinstance(entry, Plugin):
                    try:
                        fates[entry.name] = await self.app.box.prospect(as_it_is(entry))
                    except CockpitError:
                        break
            for gallery in self.query(Gallery):
                gallery.tell(fates)
            await asyncio.sleep(ASK_EVERY_S)

    # Keys

    def on_descendant_focus(self) -> None:
        self._name_keys()

    def on_descendant_blur(self) -> None:
        self.call_after_refresh(self._settle_focus)

    def _settle_focus(self) -> None:
        self._name_keys()
        if self.focused is None:
            self._say()

    def _name_keys(self) -> None:
        """Say where the keys are: in the gallery, in the form, or in a text."""
        self.gallery.activate(self.focused is None)
        tab = "gallery" if self.focused is None else "form"
        for bar in self.query(KeyBar):
            bar.show_tab(tab, isinstance(self.focused, Field))

    async def action_move_up(self) -> None:
        self._choose(-1)

    async def action_move_down(self) -> None:
        self._choose(1)

    async def action_move_first(self) -> None:
        self._choose(-len(self._entries))

    async def action_move_last(self) -> None:
        self._choose(len(self._entries))

    def action_page_up(self) -> None:
        self._choose(-5)

    def action_page_down(self) -> None:
        self._choose(5)

    def _choose(self, by: int) -> None:
        """Move in the gallery, unless the form is being filled in."""
        if self.focused is None:
            self.gallery.move(by)

    async def action_move_right(self) -> None:
        """Into the form."""
        self.action_open()

    def on_gallery_opened(self, event: Gallery.Opened) -> None:
        self.action_open()

    def action_open(self) -> None:
        """Into the form, where Enter launches."""
        form = self.form
        if form is not None and self.focused is None:
            for row in form.rows:
                if row.key == GPUS:
                    row.editor.focus()

    def step_back(self) -> bool:
        """From the form to the gallery, then let go of the search."""
        if self.focused is not None:
            self.set_focus(None)
            return True
        return super().step_back()

    def action_defaults(self) -> None:
        """Everything as the plugin wants it to begin with."""
        if self.form is not None:
            self.form.put(defaults(self.form.plugin))

    def action_copy_command(self) -> None:
        """Copy the command line that does the same."""
        if self.form is not None and not self.form.problems:
            line = self.form.order.command_line()
            self.app.copy_to_clipboard(line)
            self.notify(f"Copied: {line}", timeout=3)

    def on_wanted(self, event: Wanted) -> None:
        self.action_start()

    def action_start(self) -> None:
        """Launch what the form says, then open the job."""
        form = self.form
        if form is None or self._launching:
            return
        form.check()
        self._say()
        if form.problems:
            form.go_to_problem()
            self.app.bell()
            return
        self._launching = True
        self.run_worker(self._launch(form.order), group="launch")

    async def _launch(self, order: Order) -> None:
        """The token makes one job of two attempts, should the answer to the first be lost."""
        try:
            job = await self.app.box.submit(order.request(token=self._token))
        except CockpitError as error:
            self.notify(str(error), title="Not launched", severity="error", timeout=10)
            return
        finally:
            self._launching = False
        remember(self.app.memory, order)
        if job.id not in self.app.live.jobs:
            self.app.live.take(job)
        self.app.pop_screen()
        self.app.open_job(job.id)
