"""The live pictures show the plane, the field and the side up that they say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.heavy

Modules = Callable[[str], Any]
SPEED = 0.08


@pytest.fixture(scope="module")
def views(cfd_module: Modules) -> Any:
    return cfd_module("pictures")


def turning(views: Any, plane: str, rate: float = 0.01) -> Any:
    """The pictures of a body of air that turns by `rate` within `plane`, columns towards rows."""
    import numpy as np

    rows, columns = np.mgrid[:9, :11].astype(float)
    moments = np.zeros((9, 11, 4))
    along, up = views.INSIDE[plane]
    moments[..., along] = -rate * (rows - 4) * SPEED
    moments[..., up] = rate * (columns - 5) * SPEED
    return views.pictures(moments, views.Plane(plane), SPEED, block=1)


@pytest.mark.parametrize("plane", ["xy", "xz", "yz"])
def test_air_that_turns_has_twice_its_rate_as_vorticity_and_swirls(views: Any, plane: str) -> None:
    seen = turning(views, plane)
    assert seen.vorticity == pytest.approx(0.02)
    assert seen.swirl == pytest.approx(0.01**2)
    assert seen.speed[4, 5] == 0.0


def test_air_that_is_sheared_swirls_nowhere(views: Any) -> None:
    import numpy as np

    moments = np.zeros((8, 8, 4))
    moments[..., 0] = 0.01 * np.arange(8)[:, None] * SPEED
    seen = views.pictures(moments, views.Plane(), SPEED, block=1)
    assert seen.vorticity == pytest.approx(-0.01)
    assert seen.swirl == pytest.approx(0.0)


def test_a_block_of_cells_counts_as_so_many_cells(views: Any) -> None:
    import numpy as np

    moments = np.zeros((8, 8, 4))
    moments[..., 1] = 0.03 * np.arange(8)[None, :] * SPEED
    assert views.pictures(moments, views.Plane(), SPEED, block=3).vorticity == pytest.approx(0.01)


def test_the_top_row_comes_first_and_pressure_is_in_stagnation_pressures(views: Any) -> None:
    import numpy as np

    moments = np.zeros((4, 6, 4))
    moments[3, :, 0] = SPEED
    moments[3, :, 3] = 1.5 * SPEED**2
    seen = views.pictures(moments, views.Plane(), SPEED, block=1)
    assert seen.speed[0] == pytest.approx(1.0) and seen.speed[-1] == pytest.approx(0.0)
    assert seen.pressure[0] == pytest.approx(1.0), "p = rho / 3, over 1/2 u^2"
    assert seen.fastest == pytest.approx(1.0)


def test_a_plane_without_any_fluid_is_still(views: Any) -> None:
    import numpy as np

    seen = views.pictures(np.full((4, 6, 4), np.nan), views.Plane(), SPEED, block=1)
    assert seen.fastest == 0.0


@pytest.mark.parametrize(
    ("name", "share", "place"), [("xy", 0.5, 10), ("xz", 0.0, 0), ("yz", 1.0, 59), ("yz", 0.25, 15)]
)
def test_a_plane_lies_at_its_share_of_the_way(
    views: Any, name: str, share: float, place: int
) -> None:
    assert views.Plane(name, share).place((60, 40, 20)) == place


def test_large_planes_are_shown_in_blocks(views: Any) -> None:
    assert views.Plane("xy").block((320, 160, 999)) == 1
    assert views.Plane("xy").block((960, 320, 1)) == 3
    assert views.Plane("xz").block((960, 1, 640)) == 4
    assert views.Plane("yz").block((9999, 300, 100)) == 2


@pytest.mark.parametrize("plane", [("zz", 0.5), ("xy", 1.5)])
def test_no_such_plane_is_refused(views: Any, plane: tuple[str, float]) -> None:
    with pytest.raises(ValueError, match="plane"):
        views.Plane(*plane)


def test_each_plane_of_a_flow_is_the_cut_through_its_cells(views: Any, cfd_module: Modules) -> None:
    """A velocity and a density that say where they are: a cut finds its own place again."""
    import numpy as np

    lattice = cfd_module("lattice")
    z, y, x = np.meshgrid(*(np.arange(n) for n in (6, 8, 10)), indexing="ij")
    velocity = np.stack([x, y, z]) * 1e-3
    flags = np.zeros((6, 8, 10), dtype=np.uint8)
    flags[2, 3, 4] = lattice.WALL
    density = 1.0 + 1e-3 * (x + y + z)
    flow = cfd_module("flow").Flow(flags, 0.1, velocity=velocity, density=density)
    for name, place, rows, columns in (
        ("xy", 2, y[2], x[2]),
        ("xz", 3, z[:, 3], x[:, 3]),
        ("yz", 4, y[:, :, 4].T, z[:, :, 4].T),
    ):
        sizes = {"xy": 6, "xz": 8, "yz": 10}
        found = views.Plane(name, (place + 0.5) / sizes[name]).moments(flow)
        along, up = views.INSIDE[name]
        wall = np.isnan(found[..., 0])
        assert wall.sum() == 1
        assert found[..., along][~wall] == pytest.approx(columns[~wall] * 1e-3, abs=1e-7)
        assert found[..., up][~wall] == pytest.approx(rows[~wall] * 1e-3, abs=1e-7)
        expected = (rows + columns + place)[~wall] * 1e-3
        assert found[..., 3][~wall] == pytest.approx(expected, abs=1e-6)
        in_slabs = cfd_module("flow").Flow(
            flags, 0.1, velocity=velocity, density=density, device=["cpu"] * 3
        )
        cut = views.Plane(name, (place + 0.5) / sizes[name])
        assert np.array_equal(cut.moments(in_slabs), found, equal_nan=True)
    blocks = views.Plane("xy", 0.4).moments(flow, block=2)
    assert blocks.shape == (4, 5, 4)
    assert blocks[0, 0, 0] == pytest.approx(0.5e-3, abs=1e-7)
    assert np.isfinite(blocks).all(), "one cell of four in a wall leaves the mean of three"
