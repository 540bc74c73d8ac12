"""ParameterForm: the parameters of a plugin, checked as they are typed."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.message import Message
from textual.widgets import Input, Static

from cockpit.parameters import Parameter, read_value
from cockpit.plugins import Plugin

GPUS = "gpus"
"""The field that every plugin has; no parameter may have this name."""


def gpu_wish(text: str, plugin: Plugin, count: int) -> int | tuple[int, ...]:
    """`2` is a count, `0,3` and `3,` name them, as in `cockpit run --gpus`. Raises ValueError."""
    need = plugin.gpus
    text = text.strip()
    chosen: tuple[int, ...] = ()
    if "," in text:
        parts = [part.strip() for part in text.split(",") if part.strip()]
        if not parts or not all(part.isdecimal() for part in parts):
            raise ValueError("wants a number, or which ones: 0,3")
        chosen = tuple(dict.fromkeys(int(part) for part in parts))
        missing = [index for index in chosen if index >= count]
        if missing:
            raise ValueError(f"this box has no GPU {missing[0]}")
        wanted = len(chosen)
    elif text.isdecimal():
        wanted = int(text)
    else:
        raise ValueError("wants a number, or which ones: 0,3")
    if not need.minimum <= wanted <= need.maximum:
        raise ValueError(f"runs on {need.wants}, not on {wanted}")
    return chosen or wanted


def flag(parameter: Parameter) -> str:
    """The option of `cockpit run` for a parameter."""
    return "--" + parameter.name.replace("_", "-")


class Field(Input):
    """One value; up and down leave it, left and right go through the choices if it has some."""

    def __init__(self, name: str, value: str, choices: Sequence[str] = ()) -> None:
        super().__init__(value=value, id=f"field-{name}", compact=True)
        self.parameter, self.choices = name, tuple(choices)

    def on_key(self, event: events.Key) -> None:
        if event.key in ("up", "down"):
            event.stop()
            (self.screen.focus_previous if event.key == "up" else self.screen.focus_next)()
        elif self.choices and event.key in ("left", "right", "space"):
            event.stop()
            event.prevent_default()
            at = self.choices.index(self.value) if self.value in self.choices else -1
            self.value = self.choices[(at + (-1 if event.key == "left" else 1)) % len(self.choices)]


class ParameterForm(VerticalScroll, can_focus=False):
    """A row for the GPUs and one for each parameter: name, value, what it may be."""

    DEFAULT_CSS = """
    ParameterForm { height: 1fr; scrollbar-size: 1 1; }
    ParameterForm Horizontal { height: 1; }
    ParameterForm .name { width: 18; color: $foreground; }
    ParameterForm Field { width: 20; background: $panel; padding: 0 1; }
    ParameterForm Field:focus { background: $primary 25%; }
    ParameterForm .unit { width: 9; padding-left: 1; color: $muted; }
    ParameterForm .note {
        width: 1fr; color: $muted; text-wrap: nowrap; text-overflow: ellipsis;
    }
    ParameterForm .-bad .name, ParameterForm .-bad .note { color: $error; }
    """

    class Edited(Message):
        """A value was changed, or another field is being edited."""

    def __init__(self, plugin: Plugin, gpu_count: int) -> None:
        super().__init__()
        self.plugin, self.gpu_count = plugin, gpu_count
        self.problems: dict[str, str] = {}

    def compose(self) -> ComposeResult:
        need = self.plugin.gpus
        note = f"{need.bounds}, or which ones, as in 0,3"
        yield self._row(GPUS, str(need.default), (), "", note)
        for parameter in self.plugin.parameters:
            value = parameter.default
            text = "" if value is None else str(value).removesuffix(".0")
            if parameter.type == "bool":
                text = text.lower()
            choices = parameter.choices if parameter.type != "bool" else ("true", "false")
            note = ", ".join(choices) or parameter.wants.removesuffix(f" ({parameter.unit})")
            yield self._row(parameter.name, text, choices, parameter.unit, note)

    def _row(
        self, name: str, value: str, choices: Sequence[str], unit: str, note: str
    ) -> Horizontal:
        label = "GPUs" if name == GPUS else name
        return Horizontal(
            Static(label, classes="name", markup=False),
            Field(name, value, choices),
            Static(unit, classes="unit", markup=False),
            Static(note, classes="note", markup=False),
            id=f"row-{name}",
        )

    def on_mount(self) -> None:
        self._notes = {
            row.id or "": str(row.query_one(".note", Static).content)
            for row in self.query(Horizontal)
        }
        self.check()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.check()
        self.post_message(self.Edited())

    def on_descendant_focus(self) -> None:
        self.post_message(self.Edited())

    def hint(self) -> str:
        """What the field being edited is for, and what it may be."""
        focused = self.screen.focused
        name = focused.parameter if isinstance(focused, Field) else ""
        if name == GPUS:
            return f"How many GPUs: {self._notes['row-gpus']}"
        for parameter in self.plugin.parameters:
            if parameter.name == name:
                return f"{parameter.help or parameter.name}: {parameter.wants}"
        return ""

    @property
    def texts(self) -> dict[str, str]:
        """Name → what stands in its field, `gpus` included."""
        return {field.parameter: field.value for field in self.query(Field)}

    def check(self) -> None:
        """Find what is wrong and say it beside the field it is about."""
        texts = self.texts
        self.problems = {}
        try:
            gpu_wish(texts.get(GPUS, ""), self.plugin, self.gpu_count)
        except ValueError as error:
            self.problems[GPUS] = str(error)
        for parameter in self.plugin.parameters:
            problem = _problem(parameter, texts.get(parameter.name, ""))
            if problem:
                self.problems[parameter.name] = problem
        for row in self.query(Horizontal):
            name = (row.id or "").removeprefix("row-")
            row.set_class(name in self.problems, "-bad")
            wrong = self.problems.get(name)
            label = "GPUs" if name == GPUS else name
            row.query_one(".name", Static).update(f"✗ {label}" if wrong else label)
            note = f"✗ {wrong}" if wrong else self._notes.get(row.id or "", "")
            row.query_one(".note", Static).update(note)

    def values(self) -> dict[str, str]:
        """The parameters whose field is not empty, as text."""
        return {name: text for name, text in self.texts.items() if name != GPUS and text.strip()}

    def changed(self) -> dict[str, str]:
        """The parameters that differ from their defaults, as options of `cockpit run`."""
        by_name = {parameter.name: parameter for parameter in self.plugin.parameters}
        options = {}
        for name, text in self.values().items():
            parameter = by_name[name]
            if _problem(parameter, text) or read_value(parameter, text) != parameter.default:
                options[flag(parameter)] = text
        return options


def _problem(parameter: Parameter, text: str) -> str:
    if not text.strip():
        return "" if parameter.default is not None else f"wants {parameter.wants}"
    try:
        read_value(parameter, text)
    except ValueError as error:
        return str(error)
    return ""
