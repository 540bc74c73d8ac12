"""The wind tunnel as a whole: symmetric flows, refusals, pictures. Needs Warp."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.heavy

Modules = Callable[[str], Any]


@pytest.fixture(scope="module")
def tunnel(cfd_module: Modules) -> Any:
    return cfd_module("tunnel")


@pytest.fixture(scope="module")
def shapes(cfd_module: Modules) -> Any:
    return cfd_module("shapes")


def test_a_symmetric_flow_at_reynolds_20_stays_symmetric(tunnel: Any) -> None:
    import numpy as np

    room = tunnel.Tunnel(height=60, depth=1, reynolds=20.0)
    flow = room.flow(ripple=0.0)
    flow.step(3000)
    _, velocity = flow.plane("xy", 0)
    velocity = velocity[:, 1:-1, 1:-1]
    mirrored = velocity[:, ::-1] * np.array([1, -1, 1])[:, None, None]
    assert np.nanmax(np.abs(velocity - mirrored)) < 1e-4 * tunnel.SPEED
    drag, lift, side = room.coefficients(flow.force())
    assert abs(lift) < 1e-3 * drag
    assert abs(side) < 1e-3 * drag


def test_a_ripple_at_reynolds_20_dies_out(tunnel: Any) -> None:
    room = tunnel.Tunnel(height=60, depth=1, reynolds=20.0)
    flow = room.flow(ripple=0.05)
    flow.step(4500)
    drag, lift, _ = room.coefficients(flow.force())
    assert abs(lift) < 0.01 * drag


def test_pressure_at_rest_pushes_the_obstacle_nowhere(tunnel: Any, cfd_module: Modules) -> None:
    """A closed surface is pushed by nothing in a fluid at rest, whatever its pressure."""
    import numpy as np

    lattice, flow_of = cfd_module("lattice"), cfd_module("flow").Flow
    room = tunnel.Tunnel(height=40, depth=1, reynolds=20.0)
    flags = np.where(room.flags() == lattice.OBSTACLE, lattice.OBSTACLE, 0)
    flow = flow_of(flags.astype(np.uint8), room.viscosity, density=np.full(flags.shape, 1.05))
    flow.step(20)
    assert np.abs(flow.force()).max() < 1e-5


def test_a_wing_with_its_nose_up_is_lifted_and_one_with_its_nose_down_pushed_down(
    tunnel: Any, shapes: Any
) -> None:
    def lift_of(angle: float) -> float:
        room = tunnel.Tunnel(80, 1, 200.0, shapes.Wing(size=0.5, angle=angle))
        flow = room.flow(ripple=0.0)
        flow.step(2 * room.settled_steps)
        drag, lift, _ = room.coefficients(flow.force())
        assert 0.05 < drag < 1.5
        return float(lift)

    up, down = lift_of(8.0), lift_of(-8.0)
    assert up > 0.2
    assert down == pytest.approx(-up, rel=0.02)


def test_a_sphere_has_free_stream_on_all_sides_and_a_cylinder_its_own_images(
    tunnel: Any, shapes: Any, cfd_module: Modules
) -> None:
    stream = cfd_module("lattice").STREAM
    sphere = tunnel.Tunnel(40, 40, 20.0, shapes.Sphere()).flags()
    assert (sphere[[0, -1], :, :-1] == stream).all()
    cylinder = tunnel.Tunnel(40, 40, 20.0, shapes.Cylinder()).flags()
    assert (cylinder[0] == cylinder[20]).all()


def test_the_pictures_show_the_obstacle_and_its_wake_and_no_side_of_the_tunnel(
    tunnel: Any, shapes: Any
) -> None:
    wide = tunnel.Tunnel(160, 1, 100.0, shapes.Cylinder(0.0625)).sight
    assert [part.stop - part.start for part in wide] == [150, 50, 1], "15 × 5 diameters"
    narrow = tunnel.Tunnel(80, 80, 100.0, shapes.Sphere(0.2)).sight
    assert narrow == (slice(1, 239), slice(1, 79), slice(1, 79))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"height": 5}, "at least"),
        ({"height": 25}, "Choose a height of 30 or more"),
        ({"reynolds": 5000.0}, "Choose the collision regularized, a Reynolds number up to 384"),
    ],
)
def test_a_flow_that_cannot_be_computed_well_is_refused_in_words(
    tunnel: Any, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        tunnel.Tunnel(**{"height": 80, "depth": 1, "reynolds": 100.0, **changes}).check()


def test_what_suits_is_chosen_for_the_device_and_kept_at_a_restart(cfd_module: Modules) -> None:
    choices = cfd_module("choices")
    chosen = {"obstacle": "cylinder", "stl": "", "size": 0, "height": 0, "depth": 0, "span": 100.0}
    on_cpu = choices.with_automatic(chosen, {}, on_gpu=False)
    assert (on_cpu["height"], on_cpu["depth"], on_cpu["size"]) == (80, 1, 20.0)
    on_gpu = choices.with_automatic(chosen, {}, on_gpu=True)
    assert (on_gpu["height"], on_gpu["depth"]) == (192, 192)
    tips = choices.with_automatic({**chosen, "obstacle": "wing", "span": 50.0}, {}, on_gpu=False)
    assert (tips["depth"], tips["size"]) == (80, 50.0)
    assert choices.with_automatic({**chosen, "stl": "x"}, {}, False)["obstacle"] == "stl"
    kept = {"height": 60, "depth": 2, "size": 30.0}
    again = choices.with_automatic(chosen, kept, on_gpu=True)
    assert {name: again[name] for name in kept} == kept


def test_a_collision_that_is_stable_is_chosen_where_the_plain_one_is_not(
    cfd_module: Modules,
) -> None:
    choices = cfd_module("choices")
    chosen = {
        "obstacle": "cylinder",
        "stl": "",
        "size": 20.0,
        "height": 80,
        "depth": 1,
        "collision": "auto",
        "storage": "fp32",
    }
    assert choices.tunnel_of({**chosen, "reynolds": 300.0}).collision == "bgk"
    assert choices.tunnel_of({**chosen, "reynolds": 3000.0}).collision == "regularized"
    with pytest.raises(ValueError, match="Choose the collision regularized"):
        choices.tunnel_of({**chosen, "reynolds": 3000.0, "collision": "bgk"})


def test_what_does_not_fit_into_memory_or_on_so_many_devices_is_refused_first(
    cfd_module: Modules,
) -> None:
    devices = cfd_module("devices")
    two = devices.chosen_devices("cpu", 2)
    assert devices.told(two) == "CPU, 2 threads"
    with pytest.raises(ValueError, match="smaller height or depth, or storage fp16"):
        devices.check_memory(two, 10**13, "fp32")
    devices.check_memory(two, 1000, "fp16")
    with pytest.raises(ValueError, match="cannot be shared by 2 threads: choose a depth of 16"):
        devices.check_layers(two, 1)
    with pytest.raises(ValueError, match="choose auto, cpu or cuda"):
        devices.chosen_devices("tpu", 1)


def test_only_the_named_words_of_native_code_are_left_out_of_the_log(
    cfd_module: Modules, capfd: pytest.CaptureFixture[str]
) -> None:
    with cfd_module("devices").left_out_of_log(b"no driver"):
        os.write(2, "Warning: no driver.\nError: café.\n".encode())
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "Error: café.\nafter\n"
