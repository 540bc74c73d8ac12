"""Which cells lie inside a surface of triangles."""

from __future__ import annotations

from typing import Any

import numpy as np

RAY_CHUNK = 4_000_000
"""Pairs of a triangle and a ray that are looked at together: bounds the memory."""


def solid_cells(points: Any, faces: Any, closed: bool) -> tuple[Any, tuple[int, int, int]]:
    """The cells (z × y × x) whose centres lie inside, and where the first of them lies.

    `points` are n × 3 in the order x, y, z, in cells: cell (z, y, x) has its centre there. A closed
    surface is filled by the parity of what a ray crosses, whichever way its triangles face. One
    with holes has no inside by parity: there the winding number decides, which changes only
    smoothly near a hole.
    """
    low = np.floor(points.min(axis=0)).astype(int)
    high = np.ceil(points.max(axis=0)).astype(int)
    shape = tuple((high - low + 1)[::-1])
    moved = points - low
    cells = by_parity(moved, faces, shape) if closed else by_winding(moved, faces, shape)
    return cells, (int(low[2]), int(low[1]), int(low[0]))


def by_parity(points: Any, faces: Any, shape: tuple[int, int, int]) -> Any:
    """Cells from which a ray along x crosses a closed surface an odd number of times.

    Ties are broken by half-open edges, computed alike for both triangles at an edge: each ray
    meets exactly one of them, and one through a corner meets the surface the right number of times.
    """
    flips = np.zeros((shape[0], shape[1], shape[2] + 1), dtype=np.int32)
    corners = points[faces]
    first = np.ceil(corners.min(axis=1)).astype(np.int64)
    last = np.floor(corners.max(axis=1)).astype(np.int64)
    rows, layers = (np.maximum(0, last[:, a] - first[:, a] + 1) for a in (1, 2))
    pairs = rows * layers
    for chosen in _chunks(pairs):
        each = np.repeat(chosen, pairs[chosen])
        number = np.arange(len(each)) - np.repeat(
            np.cumsum(pairs[chosen]) - pairs[chosen], pairs[chosen]
        )
        y = first[each, 1] + number % rows[each]
        z = first[each, 2] + number // rows[each]
        met = _crosses(corners[each], y, z)
        y, z, each = y[met], z[met], each[met]
        x = _depth(corners[each], y, z)
        column = np.clip(np.ceil(x), 0, shape[2]).astype(np.int64)
        np.add.at(flips, (z, y, column), 1)
    return np.cumsum(flips[:, :, : shape[2]], axis=2) % 2 == 1


def _chunks(pairs: Any) -> Any:
    """The numbers of the triangles that meet any ray, in parts of bounded work."""
    (useful,) = np.nonzero(pairs)
    if not len(useful):
        return []
    part = np.cumsum(pairs[useful]) // RAY_CHUNK
    return np.split(useful, np.nonzero(np.diff(part))[0] + 1)


def _crosses(corners: Any, y: Any, z: Any) -> Any:
    """Whether the ray along x through (y, z) meets each triangle: the parity of edges beside it."""
    odd = np.zeros(len(y), dtype=bool)
    for start in range(3):
        a, b = corners[:, start, 1:], corners[:, (start + 1) % 3, 1:]
        # One order for both triangles at an edge, so that they compute the same number.
        swapped = (a[:, 1] > b[:, 1]) | ((a[:, 1] == b[:, 1]) & (a[:, 0] > b[:, 0]))
        a, b = np.where(swapped[:, None], b, a), np.where(swapped[:, None], a, b)
        spans = (a[:, 1] <= z) & (z < b[:, 1])
        rise = np.where(spans, b[:, 1] - a[:, 1], 1.0)
        edge = a[:, 0] + (z - a[:, 1]) / rise * (b[:, 0] - a[:, 0])
        odd ^= spans & (y < edge)
    return odd


def _depth(corners: Any, y: Any, z: Any) -> Any:
    """The x at which each ray meets its triangle's plane, never outside of the triangle."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    normal = np.cross(b - a, c - a)
    steep = np.where(normal[:, 0] == 0.0, 1.0, normal[:, 0])
    x = a[:, 0] - (normal[:, 1] * (y - a[:, 1]) + normal[:, 2] * (z - a[:, 2])) / steep
    return np.clip(x, corners[:, :, 0].min(axis=1), corners[:, :, 0].max(axis=1))


def by_winding(points: Any, faces: Any, shape: tuple[int, int, int]) -> Any:
    """Cells around which the surface winds by more than a half.

    Warp's fast winding numbers (Barill et al. 2018, doi 10.1145/3197517.3201337). Triangles that
    mostly face inwards are turned over first.
    """
    import warp as wp
    from winding import inside_by_winding

    if _volume(points, faces) < 0:
        faces = faces[:, ::-1]
    mesh = wp.Mesh(
        points=wp.array(points, dtype=wp.vec3, device="cpu"),
        indices=wp.array(np.ascontiguousarray(faces).ravel(), dtype=wp.int32, device="cpu"),
        support_winding_number=True,
    )
    inside = wp.zeros(shape, dtype=wp.uint8, device="cpu")
    reach = float(np.linalg.norm(shape))
    wp.launch(inside_by_winding, dim=shape, inputs=[mesh.id, reach, inside], device="cpu")
    return inside.numpy() == 1


def _volume(points: Any, faces: Any) -> float:
    """Six times what the triangles enclose around their middle; below 0 if they face inwards."""
    corners = points[faces] - points.mean(axis=0)
    return float(np.einsum("ij,ij->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])))
