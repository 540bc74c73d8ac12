"""The flow as files for ParaView and VTK: one .vti a moment, and a .pvd that puts them in time.

The format: VTK XML ImageData, version 1.0, with raw appended data and 64-bit lengths
(docs.vtk.org, "VTK XML file formats").
"""

from __future__ import annotations

import os
import shutil
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

SPARE_BYTES = 1 << 30
"""Left free on the disk, whatever the budget says."""
ARRAYS = (("velocity", "Float32", 3), ("density", "Float32", 1), ("flags", "UInt8", 1))
_BYTES = {"Float32": 4, "UInt8": 1}
_ORDER = "LittleEndian" if sys.byteorder == "little" else "BigEndian"


class Series:
    """Files `flow-STEP.vti` and `flow.pvd` in `folder`, of at most `budget_bytes` together."""

    def __init__(self, folder: Path, budget_bytes: float) -> None:
        self.folder = folder
        self.budget_bytes = budget_bytes
        self._moments = _moments_in(folder)

    @property
    def written_bytes(self) -> int:
        return sum(path.stat().st_size for path in self.folder.glob("flow-*.vti"))

    def refusal(self, sizes: tuple[int, int, int]) -> str:
        """Why no further file of nx × ny × nz cells is written, in words; "" if it may be."""
        needed = file_bytes(sizes)
        if self.written_bytes + needed > self.budget_bytes:
            return (
                f"a file takes {needed / 1e9:.2g} GB, {self.written_bytes / 1e9:.2g} GB are written,"
                f" and {self.budget_bytes / 1e9:.2g} GB are allowed"
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.folder).free
        if free < needed + SPARE_BYTES:
            return f"a file takes {needed / 1e9:.2g} GB, and the disk has only {free / 1e9:.2g} GB"
        return ""

    def write(self, flow: Any, tunnel: Any, speed: float) -> Path:
        """Write the flow as it is now, and name it in the .pvd. Returns the path.

        Raises OSError if the disk does not take it; nothing half-written stays.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"flow-{flow.steps:09d}.vti"
        _replace(path, image(flow, tunnel, speed))
        self._moments[path.name] = flow.steps * speed / tunnel.size
        _replace(self.folder / "flow.pvd", [_collection(self._moments)])
        return path


def file_bytes(sizes: tuple[int, int, int]) -> int:
    """About how long a file of nx × ny × nz cells is."""
    return int(np.prod(sizes)) * sum(_BYTES[kind] * parts for _, kind, parts in ARRAYS) + 2048


def image(flow: Any, tunnel: Any, speed: float) -> Iterator[bytes]:
    """A .vti file, in parts.

    A length is 1 in units of the obstacle's, from its middle; velocity is in shares of the
    stream's speed, density in shares of that at rest; both are 0 where there is no fluid.
    """
    sizes = (flow.nx, flow.ny, flow.nz)
    yield _head(sizes, tunnel).encode("utf-8") + b"_"
    cells = flow.nx * flow.ny * flow.nz
    yield struct.pack("=Q", 12 * cells)
    for z in range(flow.nz):
        _, velocity = flow.moments(z, z + 1)
        yield np.nan_to_num(np.moveaxis(velocity / speed, 0, -1)).astype(np.float32).tobytes()
    yield struct.pack("=Q", 4 * cells)
    for z in range(flow.nz):
        density, _ = flow.moments(z, z + 1)
        yield np.nan_to_num(density).astype(np.float32).tobytes()
    yield struct.pack("=Q", cells)
    yield from (layer.tobytes() for layer in tunnel.flags())
    yield b"\n  </AppendedData>\n</VTKFile>\n"


def _head(sizes: tuple[int, int, int], tunnel: Any) -> str:
    extent = " ".join(f"0 {size}" for size in sizes)
    spacing = 1.0 / tunnel.size
    z, y, x = tunnel.room.middle
    origin = " ".join(f"{-(place + 0.5) * spacing:.9g}" for place in (x, y, z))
    cells, offset, arrays = int(np.prod(sizes)), 0, []
    for name, kind, parts in ARRAYS:
        arrays.append(
            f'        <DataArray type="{kind}" Name="{name}" NumberOfComponents="{parts}"'
            f' format="appended" offset="{offset}"/>'
        )
        offset += 8 + cells * parts * _BYTES[kind]
    return "\n".join(
        [
            '<?xml version="1.0"?>',
            f'<VTKFile type="ImageData" version="1.0" byte_order="{_ORDER}" header_type="UInt64">',
            f'  <ImageData WholeExtent="{extent}" Origin="{origin}"'
            f' Spacing="{spacing:.9g} {spacing:.9g} {spacing:.9g}">',
            f'    <Piece Extent="{extent}">',
            '      <CellData Vectors="velocity" Scalars="density">',
            *arrays,
            "      </CellData>",
            "    </Piece>",
            "  </ImageData>",
            '  <AppendedData encoding="raw">',
            "  ",
        ]
    )


def _collection(moments: dict[str, float]) -> bytes:
    """The .pvd: each file with its time, in lengths that the stream has passed."""
    lines = (
        f'    <DataSet timestep="{time:.9g}" file="{name}"/>'
        for name, time in sorted(moments.items())
    )
    return "\n".join(
        [
            '<?xml version="1.0"?>',
            f'<VTKFile type="Collection" version="1.0" byte_order="{_ORDER}">',
            "  <Collection>",
            *lines,
            "  </Collection>",
            "</VTKFile>\n",
        ]
    ).encode("utf-8")


def _moments_in(folder: Path) -> dict[str, float]:
    """The files and times of a .pvd that is already there: a job that is started again adds to it."""
    import re

    try:
        text = (folder / "flow.pvd").read_text(encoding="utf-8")
    except OSError:
        return {}
    found = re.findall(r'timestep="([^"]+)" file="([^"]+)"', text)
    return {name: float(time) for time, name in found if (folder / name).exists()}


def _replace(path: Path, parts: Any) -> None:
    """Write `parts` to `path` at once: a reader sees the old file or the new one."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("wb") as file:
            for part in parts:
                file.write(part)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
