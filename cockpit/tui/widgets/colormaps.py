"""Perceptual colour maps for fields: 256 colours each, interpolated from a few anchors.

Each runs evenly from dark to light (or through a neutral middle), so that equal steps of the value
look like equal steps, in colour, in greyscale and to colour-blind eyes.
"""

from __future__ import annotations

from functools import cache

Rgb = tuple[int, int, int]

ANCHORS: dict[str, tuple[str, ...]] = {
    "ember": ("05060f", "291046", "5e1562", "97245d", "cb4348", "ec702e", "faa832", "fdeba0"),
    "lagoon": ("0b0f2b", "16315c", "1d5680", "257d94", "3aa59a", "74c99a", "c0e6a4", "fbfbd5"),
    "orchid": ("0a0a24", "2c1763", "5c2391", "9435a4", "c9519f", "ec7c8c", "fbb27d", "fdf0b0"),
    "slate": ("0c0d10", "33363c", "63676f", "989ca4", "cfd2d8", "fbfbfc"),
}
DIVERGING: dict[str, tuple[str, ...]] = {
    "polar": ("0f4c8a", "3f87bf", "93bfdc", "e6ebee", "eeb59a", "d0664f", "8f1d2c"),
}

SHADES = " ·:-=+*#%@"
"""Ten densities of ink, for terminals without colour."""


@cache
def colormap(name: str) -> tuple[Rgb, ...]:
    """The 256 colours of a map, from low to high. KeyError if there is none of that name."""
    anchors = [_rgb(text) for text in (ANCHORS | DIVERGING)[name]]
    last = len(anchors) - 1
    colours: list[Rgb] = []
    for index in range(256):
        place = index / 255 * last
        before = min(int(place), last - 1)
        share = place - before
        low, high = anchors[before], anchors[before + 1]
        red, green, blue = (round(a + (b - a) * share) for a, b in zip(low, high, strict=True))
        colours.append((red, green, blue))
    return tuple(colours)


def _rgb(text: str) -> Rgb:
    return int(text[0:2], 16), int(text[2:4], 16), int(text[4:6], 16)
