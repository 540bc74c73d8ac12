"""What the person chose, as the parts of the tunnel need it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pictures import FIELDS, Plane
from shapes import Body, Cylinder, Sphere, Wing
from surface import Surface, read_stl
from tunnel import BGK_TAU_MINIMUM, SPEED, Tunnel

CPU_HEIGHT, GPU_HEIGHT = 80, 192
SIZES = {"cylinder": 20.0, "sphere": 20.0, "wing": 50.0, "stl": 25.0}
"""What `size` 0 means, in per cent of the height."""
FLAT = ("cylinder", "wing")
"""On a CPU these are computed in two dimensions, unless a depth is chosen."""


@dataclass(frozen=True)
class Output:
    """What is written beside the live fields."""

    plane: Plane
    field: str
    """The live picture beside that of the speed."""
    vtk: str
    vtk_every: int
    vtk_budget_bytes: float
    checkpoint_every: int


def with_automatic(
    chosen: Mapping[str, Any], kept: Mapping[str, Any], on_gpu: bool
) -> dict[str, Any]:
    """`chosen` with every 0 that means "what suits" replaced.

    `kept` is what a checkpoint was made with: there, what suited then suits again.
    """
    values = dict(chosen)
    if values["stl"] and values["obstacle"] == "cylinder":
        values["obstacle"] = "stl"
    obstacle = values["obstacle"]
    if obstacle not in SIZES:
        raise ValueError(f"{obstacle!r} is no obstacle: choose one of {', '.join(SIZES)}.")
    values["size"] = values["size"] or kept.get("size") or SIZES[obstacle]
    values["height"] = (
        values["height"] or kept.get("height") or (GPU_HEIGHT if on_gpu else CPU_HEIGHT)
    )
    flat = not on_gpu and obstacle in FLAT and values["span"] >= 100.0
    values["depth"] = values["depth"] or kept.get("depth") or (1 if flat else values["height"])
    return values


def tunnel_of(values: Mapping[str, Any]) -> Tunnel:
    """Raises ValueError in words for the person."""
    collision = values["collision"]
    tunnel = Tunnel(
        values["height"],
        values["depth"],
        values["reynolds"],
        _obstacle(values),
        "bgk" if collision == "auto" else collision,
        values["storage"],
    )
    if collision == "auto" and tunnel.tau < BGK_TAU_MINIMUM:
        tunnel = replace(tunnel, collision="regularized")
    tunnel.check()
    return tunnel


def remarks_on(tunnel: Tunnel) -> list[str]:
    """What the person must know about the flow that was chosen."""
    remarks = []
    if isinstance(tunnel.obstacle, Body):
        remarks += _remarks_on_surface(tunnel.obstacle.surface)
    if tunnel.blockage > 0.1:
        remarks.append(
            f"The obstacle takes {100 * tunnel.blockage:.0f} % of the tunnel, which hastens the flow"
            " around it: drag and frequency come out higher than in open air. Choose a smaller size"
            " for figures to compare."
        )
    if tunnel.solid.rows < 3:
        remarks.append("The obstacle is under three cells high, too few for its shape.")
    return remarks


def output_of(values: Mapping[str, Any]) -> Output:
    """Raises ValueError in words for the person."""
    if values["vtk"] not in ("none", "end", "series"):
        raise ValueError(f"{values['vtk']!r}: choose vtk none, end or series.")
    if values["field"] not in FIELDS:
        raise ValueError(f"{values['field']!r}: choose the field of {', '.join(FIELDS)}.")
    return Output(
        plane=Plane(values["plane"], values["position"] / 100.0),
        field=values["field"],
        vtk=values["vtk"],
        vtk_every=values["vtk_every"],
        vtk_budget_bytes=values["vtk_budget_gb"] * 1e9,
        checkpoint_every=values["checkpoint_every"],
    )


def physics_of(values: Mapping[str, Any], tunnel: Tunnel) -> dict[str, Any]:
    """What must be the same to go on from a checkpoint, by the names of the options."""
    names = ["obstacle", "reynolds", "height", "depth", "size"]
    if values["obstacle"] == "wing":
        names += ["section", "angle", "span"]
    cells = hashlib.sha256(tunnel.solid.cells.tobytes()).hexdigest()[:16]
    return {
        **{name: values[name] for name in names},
        "collision": tunnel.collision,
        "storage": tunnel.storage,
        "length": tunnel.length,
        "speed of the stream": SPEED,
        "shape of the obstacle": cells,
    }


def _obstacle(values: Mapping[str, Any]) -> Any:
    kind, size = values["obstacle"], values["size"] / 100.0
    if kind == "cylinder":
        return Cylinder(size)
    if kind == "sphere":
        return Sphere(size)
    if kind == "wing":
        return Wing(size, values["section"], values["angle"], values["span"] / 100.0)
    if not values["stl"]:
        raise ValueError("The obstacle stl needs a file: name it with --stl.")
    surface = read_stl(values["stl"])
    return Body(surface.turned(*(values[f"rotate_{axis}"] for axis in "xyz")), size)


def _remarks_on_surface(surface: Surface) -> list[str]:
    remarks = [f"The body has {len(surface.faces):,} triangles."]
    if surface.dropped:
        remarks.append(f"{surface.dropped:,} triangles have no area and were left out.")
    if not surface.closed:
        remarks.append(
            "The surface is not closed: at some edges there are not two triangles. What is inside"
            " was decided by its winding number; look at the picture before you trust the figures."
        )
    return remarks
