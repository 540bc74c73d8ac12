"""From the file of a picture to what a terminal draws: half-blocks, Kitty's PNG, or Sixel.

Everything here takes its time and is to be run in a thread. Pillow is imported when it is needed.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cockpit.tui.graphics import sixel
from cockpit.tui.graphics.detect import Graphics

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG")
PIXELS_MOST = 40_000_000
"""A small file can hold a picture that fills the memory; a larger one than this is refused."""
KEPT = (1600, 1200)
"""What is kept of a picture: no terminal shows more."""


@dataclass(frozen=True)
class Picture:
    """A decoded picture, as large as any terminal needs."""

    image: Image
    width: int
    """Of the file, in pixels, like `height`."""
    height: int

    def fit(self, columns: int, rows: int, graphics: Graphics) -> tuple[int, int]:
        """The most cells in which it keeps its shape."""
        across = graphics.cell_width if graphics.protocol != "blocks" else 1
        down = graphics.cell_height if graphics.protocol != "blocks" else 2
        scale = min(columns * across / self.width, rows * down / self.height)
        wide = min(max(round(self.width * scale / across), 1), columns)
        return wide, min(max(round(self.height * scale / down), 1), rows)


def decode(data: bytes) -> Picture:
    """The picture in a file. Raises ValueError with the reason if there is none that can be shown."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            width, height = image.size
            if width * height > PIXELS_MOST:
                raise ValueError(f"{width} × {height} pixels are more than can be shown")
            image.draft("RGB", KEPT)
            image.load()
            image.thumbnail(KEPT)
            return Picture(_opaque(image), width, height)
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"this picture cannot be read: {error}") from None


def _opaque(image: Image) -> Image:
    """In red, green and blue; what is transparent is black."""
    from PIL import Image as Images

    if image.mode not in ("RGBA", "LA", "PA") and "transparency" not in image.info:
        return image.convert("RGB")
    whole = image.convert("RGBA")
    ground = Images.new("RGBA", whole.size, (0, 0, 0, 255))
    return Images.alpha_composite(ground, whole).convert("RGB")


def dots(picture: Picture, columns: int, rows: int) -> bytes:
    """Red, green and blue of `columns` × `rows` dots, row by row from the top."""
    from PIL import Image

    return picture.image.resize((columns, rows), Image.Resampling.BOX).tobytes()


def to_png(picture: Picture, width: int, height: int) -> bytes:
    """The picture as a PNG that is no larger than it is shown."""
    file = io.BytesIO()
    image = picture.image.copy()
    image.thumbnail((max(width, 1), max(height, 1)))
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()


def to_sixel(picture: Picture, width: int, height: int) -> str:
    """The picture in Sixel, `width` × `height` pixels."""
    from PIL import Image

    image = picture.image.resize((width, height), Image.Resampling.LANCZOS)
    few = image.quantize(sixel.COLOURS, Image.Quantize.MEDIANCUT)
    return sixel.encode(few.tobytes(), width, bytes(few.getpalette("RGB") or ()))
