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
NAMES = ("lattice", "kernels", "flow", "roofline")

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
