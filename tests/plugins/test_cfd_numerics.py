"""The wind tunnel's numbers against analytic solutions and the literature. Needs Warp."""

from __future__ import annotations

import importlib
import itertools
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

pytestmark = pytest.mark.heavy

PLUGIN = Path(__file__).parents[2] / "plugins" / "cfd"
NAMES = ("lattice", "kernels", "flow", "tunnel", "roofline")

if os.environ.get("COCKPIT_REQUIRE_HEAVY") != "1":
    pytest.importorskip("warp", reason="the wind tunnel needs warp-lang")


@pytest.fixture(scope="module")
def cfd(cache_home: Path) -> Iterator[SimpleNamespace]:
    """The plugin's modules, imported from its folder as its workload does."""
    import warp

    warp.config.log_level = warp.LOG_ERROR
    warp.config.kernel_cache_dir = str(cache_home / "cockpit" / "warp")
    sys.path.insert(0, str(PLUGIN))
    try:
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in NAMES})
    finally:
        sys.path.remove(str(PLUGIN))
        for name in NAMES:
            sys.modules.pop(name, None)


def test_a_closed_box_keeps_its_mass_to_rounding(cfd: SimpleNamespace) -> None:
    import numpy as np

    flags = np.full((12, 12, 12), cfd.lattice.WALL, dtype=np.uint8)
    flags[1:-1, 1:-1, 1:-1] = cfd.lattice.FLUID
    velocity = np.random.default_rng(7).uniform(-0.05, 0.05, (3, 12, 12, 12))
    flow = cfd.flow.Flow(flags, viscosity=0.05, velocity=velocity)
    fluid = flags == cfd.lattice.FLUID
    before = flow.populations()[:, fluid].sum(dtype=np.float64)
    flow.step(500)
    after = flow.populations()[:, fluid].sum(dtype=np.float64)
    # 500 steps of 19 single-precision sums in 1000 cells whose mass is 1.
    assert abs(after - before) < 1e-6 * fluid.sum()
    assert abs(flow.populations()).max() < 0.01, "the fluid should have come to rest"


def _taylor_green_error(cfd: SimpleNamespace, size: int) -> float:
    """Relative error of the velocity after a fixed viscous time, Mach number falling with size.

    Exact solution (Taylor, Green 1937): both velocity parts decay as exp(-2 ν k² t).
    """
    import numpy as np

    speed, viscosity = 0.64 / size, 0.05
    wave = 2 * np.pi / size
    x = (np.arange(size) * wave)[None, None, :]
    y = (np.arange(size) * wave)[None, :, None]
    u = -np.cos(x) * np.sin(y) * speed
    v = np.sin(x) * np.cos(y) * speed
    velocity = np.stack([u, v, np.zeros_like(u)])
    density = 1 - 0.75 * speed**2 * (np.cos(2 * x) + np.cos(2 * y))
    flow = cfd.flow.Flow(
        np.zeros((1, size, size), dtype=np.uint8), viscosity, velocity=velocity, density=density
    )
    flow.step(size * size // 8)
    decay = np.exp(-2 * viscosity * wave**2 * flow.steps)
    expected = np.stack([u[0], v[0]], axis=-1) * decay
    error = flow.slice(0)[:, :, :2] - expected
    return float(np.sqrt((error**2).sum() / (expected**2).sum()))


def test_taylor_green_vortices_decay_with_second_order_accuracy(cfd: SimpleNamespace) -> None:
    import numpy as np

    errors = [_taylor_green_error(cfd, size) for size in (16, 32, 64)]
    orders = [np.log2(coarse / fine) for coarse, fine in itertools.pairwise(errors)]
    assert errors[-1] < 2e-3
    assert min(orders) > 1.8, (errors, orders)


def test_flow_between_walls_decays_as_its_slowest_mode(cfd: SimpleNamespace) -> None:
    """Flow along x that decays between two walls at rest: the slowest mode, sin(π y / h)."""
    import numpy as np

    rows, viscosity, speed = 32, 0.1, 0.02
    flags = np.zeros((1, rows + 2, 4), dtype=np.uint8)
    flags[:, [0, -1], :] = cfd.lattice.WALL
    y = np.arange(rows + 2) - 0.5
    profile = speed * np.sin(np.pi * y / rows)
    velocity = np.zeros((3, 1, rows + 2, 4))
    velocity[0] = profile[None, :, None]
    flow = cfd.flow.Flow(flags, viscosity, velocity=velocity)
    flow.step(1500)
    expected = profile * np.exp(-viscosity * (np.pi / rows) ** 2 * flow.steps)
    found = flow.slice(0)[1:-1, 0, 0]
    assert np.abs(found - expected[1:-1]).max() < 5e-3 * expected.max()


def test_a_symmetric_flow_at_reynolds_20_stays_symmetric(cfd: SimpleNamespace) -> None:
    import numpy as np

    tunnel = cfd.tunnel.Tunnel(height=60, depth=1, reynolds=20.0)
    flow = tunnel.flow(ripple=0.0)
    flow.step(3000)
    velocity = flow.slice(0)[1:-1, 1:-1]
    mirrored = velocity[::-1] * np.array([1, -1, 1])
    assert np.nanmax(np.abs(velocity - mirrored)) < 1e-4 * cfd.tunnel.SPEED
    drag, lift = tunnel.coefficients(flow.force())
    assert abs(lift) < 1e-3 * drag


def test_a_ripple_at_reynolds_20_dies_out(cfd: SimpleNamespace) -> None:
    tunnel = cfd.tunnel.Tunnel(height=60, depth=1, reynolds=20.0)
    flow = tunnel.flow(ripple=0.05)
    flow.step(4500)
    drag, lift = tunnel.coefficients(flow.force())
    assert abs(lift) < 0.01 * drag


def test_the_wake_at_reynolds_100_sheds_vortices_as_in_the_literature(
    cfd: SimpleNamespace,
) -> None:
    """Unbounded cylinder at Re 100: drag 1.33 ± 0.01, Strouhal number 0.164 ± 0.002 (Park, Kwon,
    Choi 1998, KSME Int. J. 12, 1200; Williamson 1989, doi 10.1017/S0022112089002429).

    Here the obstacle takes a fifth of the tunnel, which hastens the flow past it: continuity
    alone gives (1 / (1 - 0.2))² = 1.56 times the drag at most, 1.25 times the frequency.
    """
    import numpy as np

    tunnel = cfd.tunnel.Tunnel(height=60, depth=1, reynolds=100.0)
    flow = tunnel.flow(ripple=0.1)
    flow.step(4500)
    drags, lifts = [], []
    for _ in range(160):
        flow.step(25)
        drag, lift = tunnel.coefficients(flow.force())
        drags.append(drag)
        lifts.append(lift)
    assert 1.33 < np.mean(drags) < 1.33 * 1.56
    assert max(lifts) > 0.15 and min(lifts) < -0.15
    rises = [n for n in range(1, 160) if lifts[n - 1] < np.mean(lifts) <= lifts[n]]
    period = 25 * (rises[-1] - rises[0]) / (len(rises) - 1)
    strouhal = tunnel.diameter / (period * cfd.tunnel.SPEED)
    assert 0.164 < strouhal < 0.164 * 1.35


def test_pressure_at_rest_pushes_the_obstacle_nowhere(cfd: SimpleNamespace) -> None:
    """A closed surface is pushed by nothing in a fluid at rest, whatever its pressure."""
    import numpy as np

    tunnel = cfd.tunnel.Tunnel(height=40, depth=1, reynolds=20.0)
    flags = np.where(tunnel.flags() == cfd.lattice.OBSTACLE, cfd.lattice.OBSTACLE, 0)
    flow = cfd.flow.Flow(
        flags.astype(np.uint8), tunnel.viscosity, density=np.full(flags.shape, 1.05)
    )
    flow.step(20)
    assert np.abs(flow.force()).max() < 1e-5


def test_a_sphere_in_three_dimensions_meets_drag_and_no_lift(cfd: SimpleNamespace) -> None:
    tunnel = cfd.tunnel.Tunnel(height=30, depth=30, reynolds=20.0, obstacle="sphere")
    flow = tunnel.flow(ripple=0.0)
    flow.step(400)
    drag, lift = tunnel.coefficients(flow.force())
    assert 1.0 < drag < 10.0
    assert abs(lift) < 1e-3 * drag


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"height": 5}, "at least"),
        ({"obstacle": "sphere"}, "room on all sides"),
        ({"reynolds": 5000.0}, "Choose a Reynolds number up to 384"),
        ({"height": 3000, "depth": 3000}, "Choose a smaller height"),
    ],
)
def test_a_flow_that_cannot_be_computed_well_is_refused_in_words(
    cfd: SimpleNamespace, changes: dict[str, float], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        cfd.tunnel.Tunnel(**{"height": 80, "depth": 1, "reynolds": 100.0, **changes})


def test_pictures_mark_the_obstacle_and_show_the_stream(cfd: SimpleNamespace) -> None:
    import numpy as np

    tunnel = cfd.tunnel.Tunnel(height=200, depth=1, reynolds=100.0)
    flow = tunnel.flow(ripple=0.0)
    speed, vorticity = cfd.tunnel.fields(flow.slice(0, tunnel.block), tunnel.block)
    assert speed.shape[0] <= 160 and speed.shape[1] <= 320
    middle, front = speed.shape[0] // 2, speed.shape[1] // 4
    assert np.isnan(speed[middle, front])
    assert speed[middle, 3 * front] == pytest.approx(1.0, abs=1e-5)
    assert vorticity[middle, 3 * front] == pytest.approx(0.0, abs=1e-5)


def test_the_roof_is_measured_in_bytes_per_second(cfd: SimpleNamespace) -> None:
    assert 1e8 < cfd.roofline.measured_bandwidth("cpu") < 1e13


def test_the_same_source_compiles_for_an_h100(cfd: SimpleNamespace, tmp_path: Path) -> None:
    """To machine code for compute capability 9.0, which needs no GPU."""
    import warp

    even, _ = cfd.kernels.step_kernels("fp32", "bgk")
    warp.compile_aot_module(even.module, arch=90, module_dir=str(tmp_path), use_ptx=False)
    (binary,) = tmp_path.glob("*.cubin")
    assert binary.read_bytes()[:4] == b"\x7fELF"
    assert b"stream_collide" in binary.read_bytes()
