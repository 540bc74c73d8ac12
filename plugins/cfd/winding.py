"""The kernel that asks Warp for the winding number of a surface around each cell."""

from __future__ import annotations

import warp as wp

wp.set_module_options({"enable_backward": False})


@wp.kernel
def inside_by_winding(mesh: wp.uint64, reach: float, inside: wp.array(dtype=wp.uint8, ndim=3)):
    """1 where the mesh winds around the cell's centre by more than a half."""
    z, y, x = wp.tid()
    place = wp.vec3(float(x), float(y), float(z))
    query = wp.mesh_query_point_sign_winding_number(mesh, place, reach, 2.0, 0.5)
    if query.result and query.sign < 0.0:
        inside[z, y, x] = wp.uint8(1)
