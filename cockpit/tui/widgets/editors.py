"""What a form is filled in with: text, a choice, a switch, a fold. Each says when it was edited."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.segment import Segment
from rich.text import Text
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widgets import Input

from cockpit.tui.draw import clip
from cockpit.tui.screens.dialog import ListDialog
from cockpit.tui.widgets.ink import Inked

if TYPE_CHECKING:
    from textual.widgets.option_list import Option


class Edited(Message):
    """The text of a field of the form is another than it was."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self.key = key


class Wanted(Message):
    """Enter was pressed in the form: what it says is to be done."""


class Field(Input):
    """One value as text; up and down leave it."""

    def __init__(self, key: str, value: str) -> None:
        super().__init__(value=value, compact=True)
        self.key = key

    @property
    def text(self) -> str:
        return self.value

    def put(self, text: str) -> None:
        """Let another text stand in it."""
        if text != self.value:
            self.value = text

    def on_key(self, event: events.Key) -> None:
        move_on(self, event)

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(Edited(self.key))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(Wanted())


def move_on(widget: Inked | Field, event: events.Key) -> None:
    """Up and down, and k and j where no text is typed, go to the neighbours of a field."""
    typed = isinstance(widget, Input)
    back, on = (("up",), ("down",)) if typed else (("up", "k"), ("down", "j"))
    if event.key in (*back, *on):
        event.stop()
        event.prevent_default()
        (widget.screen.focus_previous if event.key in back else widget.screen.focus_next)()


class Choice(Inked, can_focus=True):
    """One of several words: beside each other where there is room, else one by one.

    Left and right go through them, a click takes one; space, where they have no room, opens a list.
    """

    ages = False
    DEFAULT_CSS = "Choice { height: 1; width: 1fr; }"

    def __init__(
        self,
        key: str,
        choices: Mapping[str, str],
        text: str,
        summaries: Mapping[str, str] | None = None,
    ) -> None:
        """`choices` and `summaries`: by key, what is shown, and what the list says of it too."""
        super().__init__()
        self.key, self.choices, self.summaries = key, dict(choices), dict(summaries or {})
        self.text = text

    def put(self, text: str) -> None:
        """Choose another."""
        if text != self.text:
            self.text = text
            self.refresh()
            self.post_message(Edited(self.key))

    def offer(self, choices: Mapping[str, str]) -> None:
        """Let there be other choices."""
        if dict(choices) != self.choices:
            self.choices = dict(choices)
            self.refresh()

    def on_key(self, event: events.Key) -> None:
        keys = list(self.choices)
        at = keys.index(self.text) if self.text in keys else -1
        if event.key in ("left", "h", "right", "l", "space"):
            event.stop()
            if event.key == "space" and not self._roomy:
                self._list()
                return
            step = -1 if event.key in ("left", "h") else 1
            self.put(keys[(max(at, 0) + step) % len(keys) if at >= 0 else 0])
        elif event.key == "enter":
            event.stop()
            self.post_message(Wanted())
        else:
            move_on(self, event)

    def _chosen(self, key: str | None) -> None:
        if key is not None:
            self.put(key)

    def on_click(self, event: events.Click) -> None:
        for start, end, key in self._places():
            if start <= event.x < end:
                self.put(key)
                return
        if not self._roomy:
            self._list()

    def _list(self) -> None:
        chooser = _Chooser(self.choices, self.text, self.summaries)
        self.app.push_screen(chooser, self._chosen)

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    @property
    def _told(self) -> str:
        """How many there are beside the one that is seen, and how to see them."""
        return f"  Space: all {len(self.choices)}"

    @property
    def _roomy(self) -> bool:
        return sum(len(label) + 3 for label in self.choices.values()) - 1 <= self.size.width

    def _places(self) -> list[tuple[int, int, str]]:
        places: list[tuple[int, int, str]] = []
        at = 0
        for key, label in self.choices.items() if self._roomy else ():
            places.append((at, at + len(label) + 2, key))
            at += len(label) + 3
        return places

    def render_line(self, y: int) -> Strip:
        chosen = "text bold on primary/45" if self.has_focus else "text on panel"
        if self._roomy:
            segments = []
            for key, label in self.choices.items():
                front = chosen if key == self.text else "muted"
                if key == self.text and self.look.ansi:
                    front = "text bold reverse"
                segments += [Segment(f" {label} ", self.ink(front)), Segment(" ")]
        else:
            label = clip(self.choices.get(self.text, self.text), self.size.width - 4)
            segments = [Segment(f"◂ {label} ▸", self.ink(chosen))]
            room = self.size.width - len(label) - 4
            if self.has_focus or len(self._told) <= room:
                segments.append(Segment(clip(self._told, room), self.ink("muted")))
        strip = Strip(segments).adjust_cell_length(self.size.width)
        return strip.apply_style(self.rich_style)


class Switch(Choice):
    """Yes or no."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(key, {"false": "off", "true": "on"}, text or "false")


class _Chooser(ListDialog):
    """One of many words, searched by typing."""

    TITLE_TEXT = "Choose"

    def __init__(
        self, choices: Mapping[str, str], chosen: str, summaries: Mapping[str, str]
    ) -> None:
        super().__init__()
        self._choices, self._summaries = choices, summaries
        self.start_id = chosen

    def options(self) -> list[tuple[str, Option]]:
        from textual.widgets.option_list import Option

        listed = []
        for key, label in self._choices.items():
            summary = self._summaries.get(key, "")
            prompt = Text(label)
            if summary:
                prompt = Text.assemble((label, "bold"), (f"\n{summary}", "dim"))
            listed.append((f"{label} {summary}", Option(prompt, id=key)))
        return listed

    def on_option_list_option_selected(self, event: events.Event) -> None:
        self.dismiss(getattr(event, "option_id", None))


class Fold(Inked, can_focus=True):
    """A line that shows or hides what is rarely needed."""

    ages = False
    DEFAULT_CSS = "Fold { height: 1; width: 1fr; }"

    class Toggled(Message):
        """It was opened or closed."""

    def __init__(self, summary: str) -> None:
        super().__init__()
        self.summary = summary
        self.open = False

    def say(self, summary: str) -> None:
        """What is inside, in words."""
        if summary != self.summary:
            self.summary = summary
            self.refresh()

    def toggle(self) -> None:
        self.open = not self.open
        self.refresh()
        self.post_message(self.Toggled())

    def on_key(self, event: events.Key) -> None:
        opens = {"left": False, "right": True}.get(event.key, not self.open)
        if event.key in ("enter", "space", "left", "right"):
            event.stop()
            if opens != self.open:
                self.toggle()
        else:
            move_on(self, event)

    def on_click(self) -> None:
        self.toggle()

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def render_line(self, y: int) -> Strip:
        front = "text bold on primary/25" if self.has_focus else "muted"
        segments = [
            Segment("▾ " if self.open else "▸ ", self.ink("accent bold")),
            Segment("more  ", self.ink(front)),
            Segment(clip(self.summary, self.size.width - 8), self.ink("muted")),
        ]
        strip = Strip(segments).adjust_cell_length(self.size.width)
        return strip.apply_style(self.rich_style)
