"""GpuStrip: the box's GPUs beside each other, to see which are free and to take some."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.segment import Segment
from textual import events
from textual.message import Message
from textual.strip import Strip

from cockpit.model import Gpu, Job
from cockpit.tui.draw import clip
from cockpit.tui.live import Live
from cockpit.tui.wall.words import all_processes
from cockpit.tui.widgets.editors import Wanted, move_on
from cockpit.tui.widgets.ink import Inked

CELLS = ((7, 2), (5, 2), (4, 1), (3, 1))
"""Cells and lines of a GPU, the largest that fits; with two lines, the second says who is on it."""


@dataclass(frozen=True)
class Slot:
    """A GPU in the strip: its number, how it is, and who has it."""

    index: int
    mark: str
    ink: str
    who: str


def slots(live: Live) -> tuple[Slot, ...]:
    """Every GPU as it is now."""
    gpus = live.snapshot.gpus if live.snapshot else ()
    return tuple(_slot(gpu, live.job_on(gpu)) for gpu in gpus)


def _slot(gpu: Gpu, job: Job | None) -> Slot:
    if gpu.state == "lost":
        return Slot(gpu.index, "✗", "error", "LOST")
    if gpu.slices:
        return Slot(gpu.index, "◫", "secondary", "MIG")
    if job is not None:
        return Slot(gpu.index, "●", "primary", f"#{job.id}")
    users = sorted({process.user or "?" for process in all_processes(gpu)})
    if users:
        return Slot(gpu.index, "▲", "warning", users[0])
    if gpu.state == "critical":
        return Slot(gpu.index, "✗", "error", "bad")
    return Slot(gpu.index, "○", "success", "free")


class GpuStrip(Inked, can_focus=True):
    """Space, a digit or a click takes a GPU or gives it back; left and right move."""

    DEFAULT_CSS = "GpuStrip { height: 2; width: 1fr; } GpuStrip.-narrow { height: 1; }"

    class Taken(Message):
        """Other GPUs are named than before."""

        def __init__(self, indices: tuple[int, ...]) -> None:
            super().__init__()
            self.indices = indices

    def __init__(self) -> None:
        super().__init__()
        self.slots: tuple[Slot, ...] = ()
        self.named: frozenset[int] = frozenset()
        self.likely: frozenset[int] = frozenset()
        """Where a job that only asks for a number would start."""
        self._at = 0

    def show(self, slots: Sequence[Slot], named: Iterable[int], likely: Iterable[int]) -> None:
        """Draw these."""
        state = tuple(slots), frozenset(named), frozenset(likely)
        if state != (self.slots, self.named, self.likely):
            self.slots, self.named, self.likely = state
            self.set_class(self._measure[1] == 1, "-narrow")
            self.refresh()

    def on_resize(self) -> None:
        self.set_class(self._measure[1] == 1, "-narrow")

    @property
    def _measure(self) -> tuple[int, int]:
        count = len(self.slots) or 10
        fits = [size for size in CELLS if count * size[0] - 1 <= self.size.width]
        return fits[0] if fits else CELLS[-1]

    @property
    def _cell(self) -> int:
        return self._measure[0]

    def on_key(self, event: events.Key) -> None:
        last = len(self.slots) - 1
        if event.key in ("left", "h", "right", "l"):
            event.stop()
            self._at = min(max(self._at + (-1 if event.key in ("left", "h") else 1), 0), last)
            self.refresh()
        elif event.key == "space":
            event.stop()
            self._take(self._at)
        elif event.key.isdecimal():
            event.stop()
            places = [n for n, slot in enumerate(self.slots) if slot.index == int(event.key)]
            for place in places:
                self._take(place)
        elif event.key == "enter":
            event.stop()
            self.post_message(Wanted())
        else:
            move_on(self, event)

    def on_click(self, event: events.Click) -> None:
        self._take(event.x // self._cell)

    def _take(self, place: int) -> None:
        if 0 <= place < len(self.slots):
            self._at = place
            self.named ^= {self.slots[place].index}
            self.post_message(self.Taken(tuple(sorted(self.named))))
            self.refresh()

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def render_line(self, y: int) -> Strip:
        segments = []
        for place, slot in enumerate(self.slots):
            back = ""
            if slot.index in self.named:
                back = " on primary/45"
            elif slot.index in self.likely:
                back = " on primary/20"
            width = self._cell - 1
            if y == 0:
                mark = "✓" if slot.index in self.named else slot.mark
                ink = "text bold" if slot.index in self.named else slot.ink
                if self.has_focus and place == self._at:
                    ink += " underline bold"
                text = f"{slot.index}{mark}"
            else:
                text, ink = slot.who, "muted"
            segments += [
                Segment(clip(text, width).ljust(width), self.ink(ink + back)),
                Segment(" "),
            ]
        strip = Strip(segments).adjust_cell_length(self.size.width)
        return strip.apply_style(self.rich_style)
