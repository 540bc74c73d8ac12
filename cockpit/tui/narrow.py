"""Partial updates of the terminal that send the changed cells alone.

Textual 8 sends a changed stretch of a line from the left edge of the widget it lies in. The wall is
one widget, so every figure at the right would send all charts and figures left of it again: five
times the bytes, each second, over somebody's slow line. There is no public place to say otherwise;
what is used here is `textual._compositor.ChopsUpdate` with its `chops`, `spans` and `chop_ends`.
"""

from __future__ import annotations

from rich.console import Console
from textual._compositor import ChopsUpdate, Compositor


class NarrowUpdate(ChopsUpdate):
    """A partial update that begins each stretch where the change begins."""

    def render_segments(self, console: Console) -> str:
        """The changed stretches as terminal sequences, each after a move to its place."""
        sequences: list[str] = []
        for y, start, stop in self.spans:
            for end, (x, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=True):
                if strip is None or x >= stop or end <= start:
                    continue
                left, right = max(x, start), min(end, stop)
                if (left, right) != (x, end):
                    strip = strip.crop(left - x, right - x)
                sequences.append(f"\x1b[{y + 1};{left + 1}H{strip.render(console)}")
        return "".join(sequences)


class NarrowCompositor(Compositor):
    """A compositor whose partial updates are narrow."""

    def render_partial_update(self) -> ChopsUpdate | None:
        """What is to be sent for the regions that changed since the last update."""
        update = super().render_partial_update()
        if update is None:
            return None
        return NarrowUpdate(update.chops, update.spans, update.chop_ends)
