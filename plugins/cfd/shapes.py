"""What can stand in the tunnel: a cylinder, a sphere, a wing, or a body from an STL file.

All lengths are in cells, all places in the order z, y, x. The stream comes along x, up is y.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

SMALLEST = 6.0
"""Cells of an obstacle's length at least: with fewer its shape is lost in the steps of the cells."""


@dataclass(frozen=True, eq=False)
class Solid:
    """An obstacle made of cells."""

    cells: Any
    """True in the obstacle, z × y × x; only the box around it."""
    corner: tuple[int, int, int]
    """Where the first of `cells` lies in the tunnel."""
    length: float
    """The one in the Reynolds number, in cells."""
    area: float
    """What drag and lift are held against, in cells."""

    @property
    def face(self) -> int:
        """Cells that the stream sees: the shadow along x."""
        return int(self.cells.any(axis=2).sum())

    @property
    def rows(self) -> int:
        """Cells of its height that the stream must pass around."""
        return int(self.cells.any(axis=(0, 2)).sum())


@dataclass(frozen=True)
class Room:
    """The tunnel that an obstacle is made for: its cells, and the place of the obstacle's middle."""

    height: int
    length: int
    depth: int

    @property
    def middle(self) -> tuple[float, float, float]:
        """Along x between two cells where it is so along y: a round shape is then the same from
        the front and from the side."""
        y = (self.height - 1) / 2
        return (self.depth - 1) / 2, y, self.length // 4 + y % 1.0


@dataclass(frozen=True)
class Cylinder:
    """Across the whole depth. `size` is its diameter as a share of the tunnel's height."""

    size: float = 0.2
    title = "cylinder"
    fills_depth = True

    def solid(self, room: Room) -> Solid:
        diameter = self.size * room.height
        z, y, x = np.ogrid[: room.depth, : room.height, : room.length]
        _, middle_y, middle_x = room.middle
        disc = (x - middle_x) ** 2 + (y - middle_y) ** 2 < (diameter / 2) ** 2
        cells, corner = _cut(np.broadcast_to(disc, (1, room.height, room.length)))
        cells = np.repeat(cells, room.depth, axis=0)
        return Solid(cells, corner, diameter, diameter * len(z))


@dataclass(frozen=True)
class Sphere:
    """`size` is its diameter as a share of the tunnel's height."""

    size: float = 0.2
    title = "sphere"
    fills_depth = False

    def solid(self, room: Room) -> Solid:
        diameter = self.size * room.height
        need_depth(room, diameter, self.title)
        reach = int(np.ceil(diameter / 2)) + 1
        first = tuple(max(0, int(place) - reach) for place in room.middle)
        z, y, x = (np.arange(start, start + 2 * reach + 2) for start in first)
        middle_z, middle_y, middle_x = room.middle
        squares = (
            (z[:, None, None] - middle_z) ** 2
            + (y[None, :, None] - middle_y) ** 2
            + (x[None, None, :] - middle_x) ** 2
        )
        cells, corner = _cut(squares < (diameter / 2) ** 2, first)
        return Solid(cells, corner, diameter, float(cells.any(axis=2).sum()))


@dataclass(frozen=True)
class Wing:
    """A wing with a NACA section of four digits, such as 2412, nose up by `angle` degrees.

    `size` is its chord as a share of the tunnel's height, `span` a share of its depth: a whole one
    has no tips. Its drag and lift are held against chord times span.
    """

    size: float = 0.5
    section: str = "0012"
    angle: float = 8.0
    span: float = 1.0
    title = "wing"

    def __post_init__(self) -> None:
        if len(self.section) != 4 or not self.section.isdecimal() or int(self.section[2:]) < 4:
            raise ValueError(
                f"{self.section!r} is no NACA section: four digits, such as 0012 or 2412, the last"
                " two the thickness in per cent of the chord, 04 or more."
            )

    @property
    def fills_depth(self) -> bool:
        return self.span >= 1.0

    def solid(self, room: Room) -> Solid:
        chord = self.size * room.height
        tall = max(1, round(self.span * room.depth))
        _, middle_y, middle_x = room.middle
        turn = np.radians(self.angle)
        outline = naca_outline(self.section) - (0.5, 0.0)
        x = middle_x + chord * (outline[:, 0] * np.cos(turn) + outline[:, 1] * np.sin(turn))
        y = middle_y + chord * (outline[:, 1] * np.cos(turn) - outline[:, 0] * np.sin(turn))
        if y.min() < 2 or y.max() > room.height - 3 or x.min() < 2 or x.max() > room.length - 3:
            raise ValueError("The wing reaches out of the tunnel. Choose a smaller size.")
        cells, corner = _cut(inside_polygon(x, y, room.height, room.length)[None])
        return Solid(
            np.repeat(cells, tall, axis=0),
            ((room.depth - tall) // 2, corner[1], corner[2]),
            chord,
            chord * tall,
        )


@dataclass(frozen=True, eq=False)
class Body:
    """What an STL file holds. The larger of its height and width takes `size` of the height."""

    surface: Any
    """A `surface.Surface`, turned as it is to stand in the stream."""
    size: float = 0.2
    title: str = "body"
    fills_depth: bool = field(default=False, init=False)

    def solid(self, room: Room) -> Solid:
        from voxels import solid_cells

        low, high = self.surface.bounds
        extent = high - low
        across = max(extent[1], extent[2])
        scale = self.size * room.height / across
        deep, _, long = extent[2] * scale, extent[1] * scale, extent[0] * scale
        need_depth(room, deep, self.title)
        if long > room.length / 2:
            raise ValueError(
                f"{self.title} is {extent[0] / across:.1f} times as long as it is wide or high, too"
                f" long for this tunnel. Choose a size up to"
                f" {100 * self.size * room.length / 2 / long:.0f} %, or turn it."
            )
        middle_z, middle_y, middle_x = room.middle
        centre = (low + high) / 2
        points = (self.surface.points - centre) * scale + (middle_x, middle_y, middle_z)
        cells, corner = solid_cells(points, self.surface.faces, self.surface.closed)
        if not cells.any():
            raise ValueError(
                f"{self.title} is thinner than a cell everywhere. Choose a greater height or size."
            )
        cells, corner = _cut(cells, corner)
        return Solid(cells, corner, self.size * room.height, float(cells.any(axis=2).sum()))


def need_depth(room: Room, deep: float, title: str) -> None:
    """Raise ValueError unless something `deep` has as much room again on both sides."""
    wanted = int(np.ceil(2.5 * deep))
    if room.depth < wanted:
        raise ValueError(
            f"A {title} needs room on all sides: a depth of {wanted} cells or more,"
            f" not {room.depth}."
        )


def naca_outline(section: str, points: int = 120) -> Any:
    """The outline of a NACA section, a chord long, from the tail over the top to the tail again.

    Rows of x, y. Jacobs, Ward, Pinkerton 1933, NACA Report 460; the last coefficient of the
    thickness closes the tail.
    """
    camber, place, thickness = int(section[0]) / 100, int(section[1]) / 10, int(section[2:]) / 100
    x = 0.5 * (1 - np.cos(np.linspace(0, np.pi, points)))
    half = (
        5
        * thickness
        * (0.2969 * np.sqrt(x) - 0.1260 * x - 0.3516 * x**2 + 0.2843 * x**3 - 0.1036 * x**4)
    )
    middle, slope = np.zeros_like(x), np.zeros_like(x)
    if camber and place:
        front = x < place
        reach = np.where(front, place, 1 - place)
        middle = camber / reach**2 * (2 * place * x - x**2 + np.where(front, 0, 1 - 2 * place))
        slope = 2 * camber / reach**2 * (place - x)
    lean = np.arctan(slope)
    top = np.stack([x - half * np.sin(lean), middle + half * np.cos(lean)], axis=1)
    under = np.stack([x + half * np.sin(lean), middle - half * np.cos(lean)], axis=1)
    return np.concatenate([top[::-1], under[1:]])


def inside_polygon(x: Any, y: Any, rows: int, columns: int) -> Any:
    """Which cell centres (rows × columns) lie in a closed polygon: by the parity of crossings.

    An edge counts for the rows from its lower end to just under its upper one, so that a corner
    is met once.
    """
    flips = np.zeros((rows, columns + 1), dtype=np.int64)
    for x0, y0, x1, y1 in zip(x, y, np.roll(x, -1), np.roll(y, -1), strict=True):
        low, high = min(y0, y1), max(y0, y1)
        crossed = np.arange(max(0, int(np.ceil(low))), min(rows, int(np.ceil(high))))
        if len(crossed):
            at = x0 + (crossed - y0) * (x1 - x0) / (y1 - y0)
            np.add.at(flips, (crossed, np.clip(np.ceil(at), 0, columns).astype(int)), 1)
    return np.cumsum(flips, axis=1)[:, :columns] % 2 == 1


def _cut(cells: Any, corner: tuple[int, ...] = (0, 0, 0)) -> tuple[Any, tuple[int, int, int]]:
    """The box around what is True, and where its first cell lies."""
    spans = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        (found,) = np.nonzero(cells.any(axis=others))
        spans.append(slice(int(found[0]), int(found[-1]) + 1))
    z, y, x = (start + span.start for start, span in zip(corner, spans, strict=True))
    return cells[tuple(spans)].copy(), (z, y, x)
