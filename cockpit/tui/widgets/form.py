"""LaunchForm: what a plugin is launched with, a row for each thing, checked as it is typed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.message import Message
from textual.widgets import Static

from cockpit.parameters import Parameter
from cockpit.plugins import Plugin
from cockpit.tui.launch.order import ASKED, GPUS, SHARED, SLICE, Asked, Order
from cockpit.tui.launch.starts import Start
from cockpit.tui.widgets.editors import Choice, Edited, Field, Fold, Switch
from cockpit.tui.widgets.gpu_strip import GpuStrip

START = "start from"
"""The key of the row that fills all others."""
Editor = Field | Choice


class FormRow(Horizontal):
    """Name, editor, unit, and what the value may be or what is wrong with it."""

    def __init__(
        self, key: str, label: str, editor: Editor, unit: str = "", note: str = ""
    ) -> None:
        super().__init__()
        self.key, self.label, self.editor, self.note = key, label, editor, note
        self._unit = unit

    def compose(self) -> ComposeResult:
        yield Static(self.label, classes="name", markup=False)
        yield self.editor
        if isinstance(self.editor, Field):
            if self._unit:
                yield Static(self._unit, classes="unit", markup=False)
            yield Static(self.note, classes="note", markup=False)

    def tell(self, problem: str, note: str = "") -> None:
        """Say what is wrong, or else what it may be."""
        self.set_class(bool(problem), "-bad")
        self.query_one(".name", Static).update(f"✗ {self.label}" if problem else self.label)
        for line in self.query(".note").results(Static):
            line.update(f"✗ {problem}" if problem else note or self.note)


class LaunchForm(VerticalScroll, can_focus=False):
    """The rows of one plugin: where to start from, GPUs, parameters, and what is rarely needed."""

    DEFAULT_CSS = """
    LaunchForm { height: 1fr; scrollbar-size: 1 1; }
    LaunchForm FormRow { height: 1; }
    LaunchForm .name { width: 17; color: $foreground; }
    LaunchForm Field, LaunchForm Field.-textual-compact {
        width: 20; background: $panel; padding: 0 1;
    }
    LaunchForm Field:focus { background: $primary 25%; }
    LaunchForm .unit { width: auto; padding-left: 1; color: $muted; }
    LaunchForm .note { width: 1fr; padding-left: 1; color: $muted; }
    LaunchForm .note { text-wrap: nowrap; text-overflow: ellipsis; }
    LaunchForm .-bad .name, LaunchForm .-bad .note { color: $error; }
    LaunchForm GpuStrip { margin-left: 17; }
    LaunchForm.-airy #parameters, LaunchForm.-airy Fold { margin-top: 1; }
    LaunchForm Vertical { height: auto; }
    LaunchForm #rare { display: none; }
    LaunchForm #rare.-open { display: block; }
    LaunchForm #rare .name { padding-left: 2; }
    """

    class Changed(Message):
        """What the form says has changed, or another field is being edited."""

    def __init__(
        self,
        plugin: Plugin,
        gpus: Mapping[int, str],
        starts: Mapping[str, Start],
        start: str,
        sliced: bool,
        arrays: Callable[[], Mapping[str, Sequence[str]]],
    ) -> None:
        """`arrays` tells the ids of the jobs of each array that there is when it is asked."""
        super().__init__()
        self._arrays = arrays
        self.plugin, self.gpus, self.starts = plugin, dict(gpus), dict(starts)
        self._first, self._sliced = dict(starts[start].texts), sliced
        self.problems: dict[str, str] = {}

    def compose(self) -> ComposeResult:
        labels = {key: start.label for key, start in self.starts.items()}
        if len(labels) > 1:
            summaries = {key: start.summary for key, start in self.starts.items()}
            yield FormRow(START, START, Choice(START, labels, "", summaries))
        for asked in ASKED:
            if not self._rare(asked):
                yield self._asked_row(asked)
                if asked.key == GPUS and self.plugin.gpus.maximum:
                    yield GpuStrip()
        with Vertical(id="parameters"):
            for parameter in self.plugin.parameters:
                yield self._parameter_row(parameter)
        yield Fold("")
        with Vertical(id="rare"):
            for asked in ASKED:
                if self._rare(asked):
                    yield self._asked_row(asked)

    def _rare(self, asked: Asked) -> bool:
        return asked.rare and not (asked.key == SLICE and self._sliced)

    def _asked_row(self, asked: Asked) -> FormRow:
        text = self._first.get(asked.key, "")
        editor = Switch(asked.key, text) if asked.key == SHARED else Field(asked.key, text)
        return FormRow(asked.key, asked.label, editor, "", self._asked_note(asked))

    def _asked_note(self, asked: Asked) -> str:
        if asked.key != GPUS:
            return asked.note
        need = self.plugin.gpus
        return f"{need.bounds}, or which: 0,3" if need.maximum else "it runs on no GPU"

    def _parameter_row(self, parameter: Parameter) -> FormRow:
        text = self._first.get(parameter.name, "")
        name = parameter.name
        if parameter.type == "bool":
            return FormRow(name, name, Switch(name, text))
        if parameter.type == "choice":
            choices = {choice: choice for choice in parameter.choices}
            return FormRow(name, name, Choice(name, choices, text))
        note = parameter.wants.removesuffix(f" ({parameter.unit})")
        note = note.removeprefix("a whole number ").removeprefix("a number ")
        return FormRow(name, name, Field(name, text), parameter.unit, note)

    def on_mount(self) -> None:
        self.check()

    def on_resize(self) -> None:
        self.set_class(self.size.height >= 20, "-airy")

    # What it says

    @property
    def rows(self) -> Iterator[FormRow]:
        """Every row, top to bottom."""
        return iter(self.query(FormRow))

    @property
    def texts(self) -> dict[str, str]:
        """Key → what stands in its field."""
        return {row.key: row.editor.text for row in self.rows if row.key != START}

    @property
    def order(self) -> Order:
        """What it says as an order."""
        return Order(self.plugin, self.texts, self.gpus, self._arrays())

    def put(self, texts: Mapping[str, str]) -> None:
        """Fill every field; empty what is not named."""
        for row in self.rows:
            if row.key != START:
                empty = "false" if isinstance(row.editor, Switch) else ""
                row.editor.put(texts.get(row.key, "") or empty)
        if any(texts.get(asked.key) for asked in ASKED if self._rare(asked)):
            fold = self.query_one(Fold)
            if not fold.open:
                fold.toggle()

    def on_edited(self, event: Edited) -> None:
        event.stop()
        if event.key == START:
            chosen = self.query_one(Choice).text
            if chosen in self.starts:
                self.put(self.starts[chosen].texts)
        self.check()
        self.post_message(self.Changed())

    def on_descendant_focus(self) -> None:
        self.post_message(self.Changed())

    def on_gpu_strip_taken(self, event: GpuStrip.Taken) -> None:
        """The GPUs named in the strip stand in the field; none is the plugin's default again."""
        indices = event.indices
        text = ",".join(map(str, indices)) + ("," if len(indices) == 1 else "")
        for row in self.rows:
            if row.key == GPUS:
                row.editor.put(text or str(self.plugin.gpus.default))

    def on_fold_toggled(self, event: Fold.Toggled) -> None:
        event.stop()
        self.query_one("#rare").set_class(self.query_one(Fold).open, "-open")
        self.check()

    def check(self) -> None:
        """Find what is wrong and say it beside the field it is about."""
        texts = self.texts
        self.problems = self.order.problems()
        paths = {each.name for each in self.plugin.parameters if each.type == "path"}
        for row in self.rows:
            note = path_note(texts[row.key]) if row.key in paths else ""
            row.tell(self.problems.get(row.key, ""), note)
        self._show_start(texts)
        self._show_fold(texts)

    def _show_start(self, texts: Mapping[str, str]) -> None:
        """Which start the fields are as; none once one of them is another."""
        said = meaning(texts)
        like = [key for key, start in self.starts.items() if meaning(start.texts) == said]
        for row in self.rows:
            if row.key == START and isinstance(row.editor, Choice):
                if row.editor.text not in like:
                    row.editor.text = like[0] if like else ""
                    row.editor.refresh()
                return

    def _show_fold(self, texts: Mapping[str, str]) -> None:
        rare = [asked for asked in ASKED if self._rare(asked)]
        said = meaning(texts)
        inside = [f"{asked.label} {said[asked.key]}" for asked in rare if asked.key in said]
        names = ", ".join(asked.label for asked in rare)
        fold = self.query_one(Fold)
        fold.say("" if fold.open else ", ".join(inside) or names)

    def hint(self) -> str:
        """What the field being edited is for, and what it may be."""
        focused = self.screen.focused
        if isinstance(focused, GpuStrip):
            return "Space, a digit or a click takes a GPU: ○ free, ● a job's, ▲ somebody else's"
        if isinstance(focused, Fold):
            return "Enter shows or hides what is rarely needed"
        key = focused.key if isinstance(focused, (Field, Choice)) else ""
        if key == START:
            chosen = self.starts.get(self.query_one(Choice).text)
            said = chosen.summary if chosen else ""
            return (
                said or "Fills the form: the plugin's defaults, its presets, what you launched last"
            )
        for asked in ASKED:
            if asked.key == key:
                note = self._asked_note(asked)
                return f"{asked.help}: {note}" if note else asked.help
        for parameter in self.plugin.parameters:
            if parameter.name == key:
                return f"{parameter.help or parameter.name}: {parameter.wants}"
        return ""

    def go_to_problem(self) -> None:
        """Put the cursor into the first field that something is wrong with."""
        for row in self.rows:
            if row.key in self.problems:
                fold = self.query_one(Fold)
                if not row.editor.region.area and not fold.open:
                    fold.toggle()
                row.editor.focus()
                return


def meaning(texts: Mapping[str, str]) -> dict[str, str]:
    """The fields that say something."""
    return {key: text.strip() for key, text in texts.items() if text.strip() not in ("", "false")}


def path_note(text: str) -> str:
    """Whether there is something at a path; about the machine the terminal runs on."""
    if not text.strip():
        return ""
    path = Path(text).expanduser()
    try:
        if path.is_dir():
            return "✓ a folder"
        return "✓ a file" if path.exists() else "▲ nothing is there yet"
    except (OSError, ValueError):
        return "▲ cannot be looked at"
