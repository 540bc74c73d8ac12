"""TabLine: a few words in one line, one of them chosen, by key or by click."""

from __future__ import annotations

from collections.abc import Mapping

from rich.segment import Segment
from textual import events
from textual.message import Message
from textual.strip import Strip

from cockpit.tui.widgets.ink import Inked


class TabLine(Inked):
    """Choices (key → label) beside each other; the chosen one is set in reverse."""

    ages = False
    DEFAULT_CSS = "TabLine { height: 1; width: 1fr; }"

    class Chosen(Message):
        """A choice was made by click; by key, the screen calls `choose` itself."""

        def __init__(self, line: TabLine, key: str) -> None:
            super().__init__()
            self.line, self.key = line, key

        @property
        def control(self) -> TabLine:
            return self.line

    def __init__(
        self, choices: Mapping[str, str], chosen: str, *, right: bool = False, id: str | None = None
    ) -> None:
        super().__init__(id=id)
        self.choices = dict(choices)
        self.chosen = chosen if chosen in self.choices else next(iter(self.choices))
        self._right = right

    def offer(self, choices: Mapping[str, str]) -> None:
        """Have other choices; what was chosen stays so if it is still there."""
        if dict(choices) != self.choices and choices:
            self.choices = dict(choices)
            if self.chosen not in self.choices:
                self.chosen = next(iter(self.choices))
            self.refresh()

    def choose(self, key: str) -> None:
        """Mark `key` as the one chosen."""
        if key in self.choices and key != self.chosen:
            self.chosen = key
            self.refresh()

    def after(self, by: int) -> str:
        """The key `by` places after the chosen one, going round."""
        keys = list(self.choices)
        return keys[(keys.index(self.chosen) + by) % len(keys)]

    def label(self, key: str, label: str) -> None:
        """Change the words of one choice."""
        if self.choices.get(key) != label:
            self.choices[key] = label
            self.refresh()

    def on_click(self, event: events.Click) -> None:
        for start, end, key in self._places():
            if start <= event.x < end:
                self.post_message(self.Chosen(self, key))

    def render_line(self, y: int) -> Strip:
        segments: list[Segment] = []
        at = 0
        for start, end, key in self._places():
            segments.append(Segment(" " * (start - at), None))
            ink = "primary bold reverse" if key == self.chosen else "muted"
            shown = f" {self.choices[key]} " if self._roomy else self.choices[key]
            segments.append(Segment(shown, self.ink(ink)))
            at = end
        strip = Strip([segment for segment in segments if segment.text])
        return strip.adjust_cell_length(self.size.width).apply_style(self.rich_style)

    def _places(self) -> list[tuple[int, int, str]]:
        """Start, end and key of each choice along the line."""
        pad, gap = (2, 0) if self._roomy else (0, 1)
        at = max(self.size.width - self._needed(pad, gap), 0) if self._right else 0
        places: list[tuple[int, int, str]] = []
        for key, label in self.choices.items():
            places.append((at, at + len(label) + pad, key))
            at += len(label) + pad + gap
        return places

    @property
    def _roomy(self) -> bool:
        """Whether each choice can have a space at both sides."""
        return self._needed(2, 0) <= self.size.width

    def _needed(self, pad: int, gap: int) -> int:
        return sum(len(label) + pad + gap for label in self.choices.values()) - gap
