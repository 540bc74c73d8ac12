"""STL files become bodies of cells; bad ones are refused in words."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.heavy

Modules = Callable[[str], Any]
CORNERS = [(x, y, z) for z in (0.0, 1.0) for y in (0.0, 1.0) for x in (0.0, 1.0)]
BOX = [
    *((0, 2, 1), (1, 2, 3), (4, 5, 6), (5, 7, 6), (0, 1, 4), (1, 5, 4)),
    *((2, 6, 3), (3, 6, 7), (0, 4, 2), (2, 4, 6), (1, 3, 5), (3, 7, 5)),
]
"""The twelve triangles of a unit cube, all facing outwards."""


def binary(triangles: list[list[tuple[float, float, float]]]) -> bytes:
    body = b"".join(
        struct.pack("<12fH", 0, 0, 0, *(part for corner in triangle for part in corner), 0)
        for triangle in triangles
    )
    return b"made by a test".ljust(80) + struct.pack("<I", len(triangles)) + body


def ascii_text(triangles: list[list[tuple[float, float, float]]]) -> bytes:
    lines = ["solid cube"]
    for triangle in triangles:
        lines += ["facet normal 0 0 0", " outer loop"]
        lines += ["  vertex " + " ".join(f"{part:.9g}" for part in corner) for corner in triangle]
        lines += [" endloop", "endfacet"]
    return "\n".join([*lines, "endsolid cube"]).encode()


def cube(x: float = 1.0, y: float = 1.0, z: float = 1.0) -> list[list[tuple[float, float, float]]]:
    return [
        [(CORNERS[n][0] * x, CORNERS[n][1] * y, CORNERS[n][2] * z) for n in triangle]
        for triangle in BOX
    ]


def ball(detail: int = 24) -> tuple[Any, Any]:
    """Points and triangles of a unit sphere, from rings, closed at the poles."""
    import numpy as np

    polar = np.linspace(0, np.pi, detail + 1)[1:-1]
    turn = np.linspace(0, 2 * np.pi, 2 * detail, endpoint=False)
    rings = [(np.sin(p) * np.cos(t), np.sin(p) * np.sin(t), np.cos(p)) for p in polar for t in turn]
    points = np.array([*rings, (0, 0, 1), (0, 0, -1)])
    around, faces = len(turn), []
    for n in range(around):
        m = (n + 1) % around
        faces.append((len(rings), n, m))
        last = len(rings) - around
        faces.append((len(rings) + 1, last + m, last + n))
        for ring in range(detail - 2):
            a, b = ring * around, (ring + 1) * around
            faces += [(a + n, b + n, b + m), (a + n, b + m, a + m)]
    return points, np.array(faces)


@pytest.fixture(scope="module")
def voxels(cfd_module: Modules) -> Any:
    return cfd_module("voxels")


@pytest.fixture(scope="module")
def surface(cfd_module: Modules) -> Any:
    return cfd_module("surface")


@pytest.mark.parametrize("written", [binary, ascii_text])
def test_a_cube_is_read_from_both_kinds_of_stl(
    surface: Any, tmp_path: Path, written: Callable[..., bytes]
) -> None:
    path = tmp_path / "cube.stl"
    path.write_bytes(written(cube(2.0, 3.0, 4.0)))
    found = surface.read_stl(path)
    assert (len(found.points), len(found.faces), found.closed, found.dropped) == (8, 12, True, 0)
    low, high = found.bounds
    assert (high - low).tolist() == [2.0, 3.0, 4.0]


def test_a_binary_file_whose_head_begins_with_solid_is_read_all_the_same(
    surface: Any, tmp_path: Path
) -> None:
    path = tmp_path / "cube.stl"
    path.write_bytes(b"solid but binary".ljust(80) + binary(cube())[80:])
    assert len(surface.read_stl(path).faces) == 12


def test_a_hole_is_noticed_and_a_triangle_without_area_is_left_out(
    surface: Any, tmp_path: Path
) -> None:
    path = tmp_path / "open.stl"
    path.write_bytes(binary(cube()[:-1]))
    assert not surface.read_stl(path).closed
    thin = [[(0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (1.0, 0.0, 0.0)]]
    path.write_bytes(binary(cube() + thin))
    found = surface.read_stl(path)
    assert (found.dropped, found.closed) == (1, True)


def test_turning_is_by_the_right_hand_around_x_then_y_then_z(surface: Any, tmp_path: Path) -> None:
    path = tmp_path / "cube.stl"
    path.write_bytes(binary(cube(2.0, 3.0, 4.0)))
    low, high = surface.read_stl(path).turned(90.0, 0.0, 90.0).bounds
    # Around x: y, z = 3, 4 become 4, 3. Around z: x, y = 2, 4 become 4, 2.
    assert (high - low).round(9).tolist() == [4.0, 2.0, 3.0]
    turned = surface.Surface(points=[[0.0, 1.0, 0.0]], faces=[], closed=True).turned(90, 0, 0)
    assert turned.points.round(9).tolist() == [[0.0, 0.0, 1.0]]


NAN = binary([*cube()[:-1], [(float("nan"), 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)]])
FLAT = binary([[(0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)]])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read: No such file"),
        (b"", "is empty"),
        (b"\x89PNG" + bytes(500), "is no STL file, or cut short"),
        (binary(cube())[:-30], "is no STL file, or cut short"),
        (binary([]), "holds no triangles"),
        (b"solid nothing\nendsolid nothing\n", "holds no triangles"),
        (b"solid x\nfacet normal 0 0 1\nouter loop\nvertex 0 a 0\n", "holds no triangles|as STL"),
        (NAN, "corners that are no numbers"),
        (FLAT, "is flat"),
    ],
)
def test_a_bad_file_is_refused_with_the_reason_and_its_name(
    surface: Any, tmp_path: Path, content: bytes | None, words: str
) -> None:
    path = tmp_path / "bad.stl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=words) as error:
        surface.read_stl(path)
    assert str(path) in str(error.value)


def test_a_gigantic_file_is_refused_before_it_is_read(surface: Any, tmp_path: Path) -> None:
    path = tmp_path / "huge.stl"
    with path.open("wb") as file:
        file.write(binary([])[:84])
        file.truncate(2 << 30)
    with pytest.raises(ValueError, match=r"2\.1 GB; 1\.1 GB is the most"):
        surface.read_stl(path)


def test_a_ball_of_triangles_fills_the_cells_of_a_ball(voxels: Any) -> None:
    import numpy as np

    points, faces = ball()
    cells, corner = voxels.solid_cells(points * 9.3 + (14.2, 13.7, 15.1), faces, closed=True)
    z, y, x = np.indices(cells.shape)
    places = np.stack([x + corner[2], y + corner[1], z + corner[0]], axis=-1)
    distance = np.linalg.norm(places - (14.2, 13.7, 15.1), axis=-1)
    assert cells[distance < 9.3 * 0.985].all()
    assert not cells[distance > 9.3].any()


@given(
    low=st.tuples(*[st.integers(-4, 4)] * 3),
    extent=st.tuples(*[st.integers(1, 7)] * 3),
    flipped=st.booleans(),
)
@settings(deadline=None, max_examples=40)
def test_rays_through_corners_and_edges_count_once(
    voxels: Any, low: tuple[int, ...], extent: tuple[int, ...], flipped: bool
) -> None:
    """A box whose faces, edges and diagonals all pass through cell centres: half of them belong
    to it, so that it has as many cells as its volume."""
    import numpy as np

    points = np.array(CORNERS) * extent + low
    faces = np.array(BOX)[:, ::-1] if flipped else np.array(BOX)
    cells, _ = voxels.solid_cells(points, faces, closed=True)
    assert cells.sum() == np.prod(extent)


@given(turn=st.tuples(*[st.floats(0, 360)] * 3), shift=st.tuples(*[st.floats(0.05, 0.95)] * 3))
@settings(deadline=None, max_examples=25)
def test_the_volume_stays_however_a_body_is_turned_and_moved(
    voxels: Any, surface: Any, turn: tuple[float, ...], shift: tuple[float, ...]
) -> None:
    import numpy as np

    body = surface.Surface(np.array(CORNERS) * (12.0, 9.0, 15.0), np.array(BOX), True)
    points = body.turned(*turn).points + shift
    cells, _ = voxels.solid_cells(points, body.faces, closed=True)
    assert cells.sum() == pytest.approx(12 * 9 * 15, rel=0.06)


@pytest.mark.parametrize("flipped", [False, True])
def test_a_body_with_a_hole_is_filled_by_its_winding_number(voxels: Any, flipped: bool) -> None:
    points, faces = ball(16)
    whole, _ = voxels.solid_cells(points * 8 + 9.6, faces, closed=True)
    torn = faces[3:] if not flipped else faces[3:, ::-1]
    found, _ = voxels.solid_cells(points * 8 + 9.6, torn, closed=False)
    assert found.shape == whole.shape
    assert (found != whole).mean() < 0.01


def test_parity_does_not_care_which_way_triangles_face(voxels: Any) -> None:
    import numpy as np

    points, faces = ball(12)
    mixed = np.where(np.arange(len(faces))[:, None] % 2 == 0, faces, faces[:, ::-1])
    plain, _ = voxels.solid_cells(points * 6 + 7.3, faces, closed=True)
    other, _ = voxels.solid_cells(points * 6 + 7.3, mixed, closed=True)
    assert (plain == other).all()


def test_a_body_is_fitted_to_its_share_of_the_tunnel(
    cfd_module: Modules, surface: Any, tmp_path: Path
) -> None:
    shapes = cfd_module("shapes")
    path = tmp_path / "brick.stl"
    path.write_bytes(binary(cube(40.0, 20.0, 10.0)))
    room = shapes.Room(height=80, length=240, depth=80)
    solid = shapes.Body(surface.read_stl(path), 0.25).solid(room)
    assert solid.cells.shape == (10, 20, 40), "depth × height × length"
    assert (solid.length, solid.area, solid.face) == (20.0, 200.0, 200)
    with pytest.raises(ValueError, match=r"too long for this tunnel. Choose a size up to 15 %"):
        shapes.Body(surface.read_stl(path).turned(0, 0, 0), 0.25).solid(shapes.Room(80, 48, 80))
