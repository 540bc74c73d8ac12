"""The wake and the drag against the literature. Needs Warp; two minutes on one core."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.heavy

Modules = Callable[[str], Any]


def test_a_cylinder_at_reynolds_100_sheds_vortices_as_in_open_air(cfd_module: Modules) -> None:
    """Strouhal number 0.164 to 0.167 (Williamson 1989, doi 10.1017/S0022112089002429, has 0.164 for
    parallel shedding; Norberg 2003 0.165 to 0.167), held here within 5 %. Drag 1.33 in open air
    (Park, Kwon, Choi 1998, KSME Int. J. 12, 1200) and up to 1.45 in the tables of other methods
    (Lai, Peskin 2000, doi 10.1006/jcph.2000.6483). Here 6 % of the tunnel is blocked, 8 diameters
    lie upstream, and the circle is made of 80 cells: the drag is a tenth too high.
    """
    tunnel, shapes = cfd_module("tunnel"), cfd_module("shapes")
    shedding = cfd_module("shedding")
    room = tunnel.Tunnel(160, 1, 100.0, shapes.Cylinder(0.0625))
    assert room.size == 10.0 and room.blockage < 0.065
    # A strong ripple: shedding starts at once, and is the same in the end.
    flow = room.flow(ripple=0.3)
    seen = shedding.Shedding(room.size, tunnel.SPEED)
    flow.step(room.settled_steps)
    while flow.steps < 15_000 and seen.found() is None:
        for _ in range(shedding.SAMPLES_PER_CYCLE):
            flow.step(seen.every)
            seen.add(*room.coefficients(flow.force())[:2])
    shed = seen.found()
    assert shed is not None
    assert 0.95 * 0.164 < shed.strouhal < 1.05 * 0.167, shed
    assert 1.33 < shed.drag < 1.33 * 1.13, shed
    assert 0.25 < shed.lift_amplitude < 0.45, shed


def test_a_sphere_at_reynolds_100_is_dragged_as_measured(cfd_module: Modules) -> None:
    """1.09 by the curve through the measurements, 24 / Re (1 + 0.15 Re^0.687) (Schiller, Naumann
    1933; Clift, Grace, Weber 1978). Made of whole cells it acts as if it were larger by about a
    third of a cell all around (Ladd 1994 has the like), which is 14 % of the face of one that is
    ten cells across, and 3 % of the tunnel is blocked: up to 22 % too high.
    """
    tunnel, shapes = cfd_module("tunnel"), cfd_module("shapes")
    room = tunnel.Tunnel(50, 50, 100.0, shapes.Sphere(0.2))
    flow = room.flow(ripple=0.0)
    flow.step(1200)
    drag, lift, side = room.coefficients(flow.force())
    measured = 24 / 100 * (1 + 0.15 * 100**0.687)
    assert measured < drag < 1.22 * measured
    assert abs(lift) < 1e-3 and abs(side) < 1e-3
