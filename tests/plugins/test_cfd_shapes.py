"""What stands in the tunnel has the shape, size and place that it was given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.heavy

Modules = Callable[[str], Any]


@pytest.fixture(scope="module")
def shapes(cfd_module: Modules) -> Any:
    return cfd_module("shapes")


@pytest.fixture(scope="module")
def room(shapes: Any) -> Any:
    return shapes.Room(height=80, length=240, depth=80)


def test_a_sphere_has_the_volume_face_and_place_of_one(shapes: Any, room: Any) -> None:
    import numpy as np

    solid = shapes.Sphere(0.25).solid(room)
    assert solid.length == 20.0
    assert solid.cells.sum() == pytest.approx(np.pi / 6 * 20**3, rel=0.02)
    assert solid.area == solid.face == pytest.approx(np.pi / 4 * 20**2, rel=0.03)
    middle = np.argwhere(solid.cells).mean(axis=0) + solid.corner
    assert np.abs(middle - room.middle).max() < 0.51


def test_a_cylinder_stands_through_the_whole_depth(shapes: Any, room: Any) -> None:
    import numpy as np

    solid = shapes.Cylinder(0.2).solid(room)
    assert solid.cells.shape[0] == 80 and solid.corner[0] == 0
    assert (solid.cells == solid.cells[0]).all()
    assert solid.cells[0].sum() == pytest.approx(np.pi / 4 * 16**2, rel=0.04)
    assert solid.area == 16 * 80 == solid.face


@given(digits=st.sampled_from(["0012", "2412", "4415", "0006", "6409"]))
@settings(deadline=None, max_examples=5)
def test_a_naca_section_is_as_thick_as_its_number_says(shapes: Any, digits: str) -> None:
    import numpy as np

    outline = shapes.naca_outline(digits)
    x, y = outline[:, 0], outline[:, 1]
    half = len(x) // 2 + 1
    thickness = np.hypot(x[:half] - x[half - 1 :][::-1], y[:half] - y[half - 1 :][::-1])
    assert thickness.max() == pytest.approx(int(digits[2:]) / 100, rel=0.01)
    area = 0.5 * abs(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))
    # The area under the thickness formula is 0.685 × thickness; camber bends and does not fatten.
    assert area == pytest.approx(0.685 * int(digits[2:]) / 100, rel=0.02)


def test_the_camber_of_a_section_peaks_where_its_number_says(shapes: Any) -> None:
    import numpy as np

    outline = shapes.naca_outline("4412")
    half = len(outline) // 2 + 1
    middle = (outline[:half] + outline[half - 1 :][::-1]) / 2
    assert middle[:, 1].max() == pytest.approx(0.04, rel=0.01)
    assert middle[np.argmax(middle[:, 1]), 0] == pytest.approx(0.4, abs=0.02)


def test_an_angle_of_attack_lifts_the_nose(shapes: Any, room: Any) -> None:
    import numpy as np

    solid = shapes.Wing(size=0.5, angle=20.0).solid(room)
    _, y, x = np.nonzero(solid.cells)
    nose, tail = y[x < x.min() + 4].mean(), y[x > x.max() - 4].mean()
    assert nose - tail == pytest.approx(40 * np.sin(np.radians(20)), abs=3)
    assert solid.area == 40 * 80, "chord × span"
    assert solid.cells[0].sum() == pytest.approx(0.685 * 0.12 * 40**2, rel=0.06)


def test_a_wing_with_tips_ends_inside_the_tunnel(shapes: Any, room: Any) -> None:
    solid = shapes.Wing(span=0.5).solid(room)
    assert (solid.corner[0], solid.cells.shape[0]) == (20, 40)
    assert not shapes.Wing(span=0.5).fills_depth
    assert shapes.Wing(span=1.0).fills_depth


@given(
    corners=st.lists(
        st.tuples(st.floats(-3, 23), st.floats(-3, 19)), min_size=3, max_size=8, unique=True
    )
)
@settings(deadline=None, max_examples=60)
def test_a_polygon_is_filled_by_parity_wherever_its_corners_lie(
    shapes: Any, corners: list[tuple[float, float]]
) -> None:
    """Against a plain test of one point at a time, by counting crossings."""
    import numpy as np

    x, y = np.array(corners).T
    filled = shapes.inside_polygon(x, y, 16, 20)
    for row in range(16):
        for column in range(20):
            odd = False
            for k in range(len(x)):
                x0, y0, x1, y1 = x[k - 1], y[k - 1], x[k], y[k]
                if (y0 > row) != (y1 > row):
                    at = x0 + (row - y0) * (x1 - x0) / (y1 - y0)
                    if abs(at - column) < 1e-9:
                        break
                    odd ^= column < at
            else:
                assert filled[row, column] == odd


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda shapes, room: shapes.Wing(section="12").solid(room), "four digits, such as 0012"),
        (lambda shapes, room: shapes.Wing(section="001x").solid(room), "is no NACA section"),
        (lambda shapes, room: shapes.Wing(size=0.8, angle=90.0).solid(room), None),
        (
            lambda shapes, room: shapes.Sphere().solid(shapes.Room(80, 240, 10)),
            "a depth of 40 cells or more, not 10",
        ),
    ],
)
def test_a_shape_that_does_not_fit_is_refused_in_words(
    shapes: Any, room: Any, make: Callable[[Any, Any], Any], words: str | None
) -> None:
    if words is None:
        assert make(shapes, room).rows == pytest.approx(64, abs=5), "but for the thin ends"
        return
    with pytest.raises(ValueError, match=words):
        make(shapes, room)
