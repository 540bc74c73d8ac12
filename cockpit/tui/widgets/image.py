"""ImageView: a picture that a job told of, in as many pixels as the terminal can show."""

from __future__ import annotations

import asyncio
import itertools
import os
from functools import partial
from itertools import groupby

from rich.color import Color as RichColor
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.strip import Strip

from cockpit.model import JobImage
from cockpit.tui.begin import begin
from cockpit.tui.graphics import kitty, overlay, raster
from cockpit.tui.graphics.detect import BLOCKS, Graphics
from cockpit.tui.graphics.overlay import Pixels
from cockpit.tui.graphics.raster import Picture
from cockpit.tui.phrases import size as size_words
from cockpit.tui.widgets.colormaps import SHADES
from cockpit.tui.widgets.ink import Inked

_NUMBERS = itertools.count((os.getpid() & 0x7FFF) << 8 | 1)
"""Of images in Kitty's memory; other programs in the same window have other ones."""


class ImageView(Inked):
    """Draws the newest picture as large as fits, and its title below it."""

    DEFAULT_CSS = "ImageView { height: 1fr; width: 1fr; min-height: 5; margin-top: 1; }"

    def __init__(self, title: str, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.title = title
        self.version = 0
        self.note = "waiting for the picture"
        self._picture: Picture | None = None
        self._bytes = 0
        self._cells = (0, 0)
        """Columns and rows that are drawn."""
        self._dots = b""
        self._sixel = ""
        self._number = 0
        self._key: object = None

    @property
    def graphics(self) -> Graphics:
        """What this terminal can do; an emptier one for what is no terminal."""
        graphics: Graphics = getattr(self.app, "graphics", BLOCKS)
        exact = self.app.console.color_system == "truecolor"
        # Kitty's images are named by an exact colour.
        return BLOCKS if self._plain or (graphics.protocol == "kitty" and not exact) else graphics

    @property
    def _plain(self) -> bool:
        return self.app.no_color or self.app.native_ansi_color

    async def load(self, image: JobImage) -> None:
        """Show this picture from now on; one that cannot be decoded says why."""
        self.version = image.version
        try:
            picture = await asyncio.to_thread(raster.decode, image.data)
        except ValueError as error:
            self.fail(str(error))
            return
        except ImportError:
            self.fail("Pillow is not installed: `pip install pillow`")
            return
        before, self._picture = self._picture, picture
        self._bytes = len(image.data)
        if before is None or (before.width, before.height) != (picture.width, picture.height):
            self.refresh(layout=True)
        self._key = None
        await self._render_anew()

    @property
    def shown(self) -> bool:
        """Whether the picture is drawn for the present size."""
        return self._key is not None

    def fail(self, reason: str) -> None:
        """Say why there is no picture."""
        self.note = reason
        if self._picture is None:
            self.refresh()

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many rows as the picture needs at this width, where the height is left to it."""
        if self._picture is None:
            return 5
        _, rows = self._picture.fit(max(width, 1), max(container.height - 1, 4), self.graphics)
        return rows + 1

    def on_resize(self) -> None:
        begin(self, self._render_anew, "image")

    def on_unmount(self) -> None:
        self._forget_number()

    def _forget_number(self) -> None:
        if self._number:
            overlay.write(self.app, kitty.delete(self._number))
            self._number = 0

    async def _render_anew(self) -> None:
        """Make what is drawn for the present size, in a thread."""
        picture, graphics = self._picture, self.graphics
        width, height = self.size.width, self.size.height - 1
        if picture is None or width < 1 or height < 1:
            return
        if graphics.protocol == "kitty":
            width, height = min(width, kitty.most_cells()), min(height, kitty.most_cells())
        columns, rows = picture.fit(width, height, graphics)
        key = (self.version, graphics, columns, rows)
        if key == self._key:
            self.refresh()
            return
        across, down = columns * graphics.cell_width, rows * graphics.cell_height
        if graphics.protocol == "kitty":
            png = await asyncio.to_thread(raster.to_png, picture, across, down)
            self._forget_number()
            self._number = next(_NUMBERS) & 0xFFFFFF
            overlay.write(self.app, "".join(kitty.send(png, self._number, columns, rows)))
        elif graphics.protocol == "sixel":
            self._sixel = await asyncio.to_thread(raster.to_sixel, picture, across, down)
        else:
            dots = partial(raster.dots, picture, columns, rows if self._plain else rows * 2)
            self._dots = await asyncio.to_thread(dots)
        # Set last: work that is cut off is done again.
        self._cells, self._key = (columns, rows), key
        self.refresh()

    def pixels(self) -> Pixels | None:
        """The picture in Sixel and where it lies, if that is how it is drawn."""
        if self.graphics.protocol != "sixel" or not self._sixel or not self.is_attached:
            return None
        columns, rows = self._cells
        region = self.content_region
        if region.height <= rows or region.width < columns:
            return None
        left = (region.width - columns) // 2
        return Pixels(Region(region.x + left, region.y, columns, rows), self._sixel)

    # Drawing

    def plain_rows(self) -> list[str]:
        """The text that stands for the picture, for tests."""
        return [self.render_line(y).text.rstrip() for y in range(self.size.height)]

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        columns, rows = self._cells
        left = " " * ((width - columns) // 2)
        segments: list[Segment] = []
        if self._picture is None or not rows:
            if y == (self.size.height - 1) // 2:
                segments = [Segment(self.note.center(width)[:width], self.ink("muted"))]
            elif y == self.size.height - 1:
                segments = self._legend()
        elif y < rows:
            segments = [Segment(left), *self._row(y, columns)]
        elif y == rows:
            segments = self._legend()
        return Strip(segments).adjust_cell_length(width).apply_style(self.rich_style)

    def _row(self, y: int, columns: int) -> list[Segment]:
        protocol = self.graphics.protocol
        if protocol == "sixel":
            return [Segment(" " * columns)]
        if protocol == "kitty":
            colour = RichColor.from_rgb(*kitty.colour(self._number))
            return [Segment(kitty.row(y, columns), Style(color=colour))]
        size = columns * 3
        if self._plain:
            line = self._dots[y * size : (y + 1) * size]
            return [Segment("".join(_shade(line[at : at + 3]) for at in range(0, len(line), 3)))]
        upper = self._dots[2 * y * size : (2 * y + 1) * size]
        lower = self._dots[(2 * y + 1) * size : (2 * y + 2) * size]
        pairs = (
            (upper[at : at + 3], lower[at : at + 3]) for at in range(0, min(len(upper), size), 3)
        )
        return [
            Segment("▀" * len(tuple(group)), Style(color=_rgb(top), bgcolor=_rgb(bottom)))
            for (top, bottom), group in groupby(pairs)
        ]

    def _legend(self) -> list[Segment]:
        title = Segment(self.title, self.ink("text bold"))
        if self._picture is None:
            return [title]
        how = {"kitty": "pixels", "sixel": "pixels", "blocks": "half-blocks"}
        shape = f"  {self._picture.width} × {self._picture.height}, {size_words(self._bytes)}"
        words = f"{shape}, in {'shades' if self._plain else how[self.graphics.protocol]}"
        return [title, Segment(words, self.ink("muted"))]


def _rgb(three: bytes) -> RichColor | None:
    return RichColor.from_rgb(*three) if len(three) == 3 else None


def _shade(three: bytes) -> str:
    light = (299 * three[0] + 587 * three[1] + 114 * three[2]) // 1000 if len(three) == 3 else 0
    return SHADES[light * (len(SHADES) - 1) // 255]
