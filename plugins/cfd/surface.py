"""The surface of a body, from an STL file: read, checked, turned."""

from __future__ import annotations

import logging
import os
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

LARGEST_BYTES = 1 << 30
"""Of an STL file: about twenty million triangles, finer than any tunnel can hold."""
HEAD_BYTES, TRIANGLE_BYTES = 84, 50


@dataclass(frozen=True, eq=False)
class Surface:
    """Triangles. `closed` says that each edge joins two of them, so that there is an inside."""

    points: Any
    """n × 3, in the order x, y, z."""
    faces: Any
    """m × 3 numbers of points."""
    closed: bool
    dropped: int = 0
    """Triangles without an area, which were left out."""

    @property
    def bounds(self) -> tuple[Any, Any]:
        """The least and the greatest x, y, z."""
        return self.points.min(axis=0), self.points.max(axis=0)

    def turned(self, x: float, y: float, z: float) -> Surface:
        """Turned by so many degrees around x, then y, then z, each counted by the right hand."""
        points = self.points
        for axis, angle in enumerate((x, y, z)):
            points = points @ _turn(axis, np.radians(angle)).T
        return replace(self, points=points)


def read_stl(path: str | os.PathLike[str]) -> Surface:
    """The surface in a binary or ASCII STL file.

    Read by trimesh, which also joins equal corners. Raises ValueError, in words for the person, if
    the file cannot be read or holds no body.
    """
    path = Path(path)
    _check_file(path)
    mesh = _load(path)
    if not len(mesh.faces):
        raise ValueError(f"{path} holds no triangles. Is it an STL file?")
    if not np.isfinite(mesh.vertices).all():
        raise ValueError(f"{path} has corners that are no numbers (NaN or infinite).")
    count = len(mesh.faces)
    mesh.merge_vertices()
    mesh.update_faces(mesh.nondegenerate_faces())
    mesh.remove_unreferenced_vertices()
    if not len(mesh.faces) or not (np.ptp(mesh.vertices, axis=0) > 0).all():
        raise ValueError(f"{path} is flat: it has no inside that could stand in the stream.")
    return Surface(
        points=np.array(mesh.vertices, dtype=np.float64),
        faces=np.array(mesh.faces, dtype=np.int64),
        closed=bool(mesh.is_watertight),
        dropped=count - len(mesh.faces),
    )


def _check_file(path: Path) -> None:
    """Raise ValueError for what can be said without reading all of it."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}.") from None
    if size == 0:
        raise ValueError(f"{path} is empty.")
    if size > LARGEST_BYTES:
        raise ValueError(
            f"{path} has {size / 1e9:.1f} GB; {LARGEST_BYTES / 1e9:.1f} GB is the most that is"
            " read. Simplify the mesh: a tunnel cannot hold such detail."
        )
    said = struct.unpack("<I", head[80:])[0] if len(head) == HEAD_BYTES else 0
    if size == HEAD_BYTES + TRIANGLE_BYTES * said or head.lstrip()[:5].lower() == b"solid":
        return
    raise ValueError(
        f"{path} is no STL file, or cut short: neither ASCII that begins with `solid` nor binary"
        " with as many triangles as its head says."
    )


def _load(path: Path) -> Any:
    # Here, since most runs have no STL file and trimesh takes a second to import.
    import trimesh

    logging.getLogger("trimesh").setLevel(logging.CRITICAL)
    try:
        with path.open("rb") as file:
            return trimesh.load_mesh(file, file_type="stl", process=False)
    # A parser of other people's files may raise anything.
    except Exception as error:
        raise ValueError(f"{path} cannot be read as STL: {error}") from None


def _turn(axis: int, angle: float) -> Any:
    first, second = (axis + 1) % 3, (axis + 2) % 3
    turn = np.eye(3)
    turn[first, first] = turn[second, second] = np.cos(angle)
    turn[second, first] = np.sin(angle)
    turn[first, second] = -turn[second, first]
    return turn
