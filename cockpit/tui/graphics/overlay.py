"""Sixel pictures on a Textual screen: drawn again after every update that touched their cells.

Textual knows text only, and whatever it writes over a picture erases it. There is no public place to
add to what it writes; what is used here is `textual._compositor`'s `render_update` and the updates it
returns, and the app's driver.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, RenderableType
from textual._compositor import ChopsUpdate, CompositorUpdate
from textual.app import App
from textual.geometry import Region

from cockpit.tui.narrow import NarrowCompositor


@dataclass(frozen=True)
class Pixels:
    """A picture to be drawn over a region of the screen."""

    region: Region
    sequence: str

    @property
    def placed(self) -> str:
        """The sequence at its place; the cursor comes back to where it was."""
        return f"\x1b7\x1b[{self.region.y + 1};{self.region.x + 1}H{self.sequence}\x1b8"


class WithPixels(CompositorUpdate):
    """An update, and the pictures that it touched."""

    def __init__(self, update: CompositorUpdate, pictures: Sequence[Pixels]) -> None:
        self._update, self._pictures = update, pictures

    def render_segments(self, console: Console) -> str:
        """The update's own sequences, then the pictures."""
        return self._update.render_segments(console) + "".join(
            each.placed for each in self._pictures
        )


class PixelCompositor(NarrowCompositor):
    """A compositor with pictures over its text; `pictures` says which there are now."""

    def pictures(self) -> Sequence[Pixels]:
        """The pictures that lie whole within the screen."""
        found = []
        for widget in self.visible_widgets:
            pixels = getattr(widget, "pixels", None)
            picture: Pixels | None = pixels() if pixels is not None else None
            if picture is not None and self.size.region.contains_region(picture.region):
                found.append(picture)
        return found

    def render_update(self, *arguments: Any, **named: Any) -> RenderableType | None:
        """What is to be written, with the pictures that it would erase."""
        update = super().render_update(*arguments, **named)
        if not isinstance(update, CompositorUpdate):
            return update
        touched = [picture for picture in self.pictures() if _touches(update, picture.region)]
        return WithPixels(update, touched) if touched else update


def _touches(update: CompositorUpdate, region: Region) -> bool:
    if not isinstance(update, ChopsUpdate):
        return True
    return any(
        region.y <= y < region.bottom and start < region.right and end > region.x
        for y, start, end in update.spans
    )


def write(app: App[Any], sequence: str) -> None:
    """Send a sequence that draws no text to the terminal, if there is one."""
    driver = app._driver
    if driver is not None and not app.is_headless:
        driver.write(sequence)
        driver.flush()
