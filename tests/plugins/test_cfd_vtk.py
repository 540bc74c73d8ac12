"""What is written for ParaView is what VTK reads, and never fills the disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.heavy

Modules = Callable[[str], Any]


@pytest.fixture(scope="module")
def files(cfd_module: Modules) -> Any:
    return cfd_module("vtk_files")


@pytest.fixture(scope="module")
def room(cfd_module: Modules) -> Any:
    return cfd_module("tunnel").Tunnel(40, 40, 20.0, cfd_module("shapes").Sphere())


@pytest.fixture(scope="module")
def flow(room: Any) -> Any:
    flow = room.flow()
    flow.step(30)
    return flow


def test_vtk_itself_reads_the_same_cells(
    files: Any, room: Any, flow: Any, cfd_module: Modules, tmp_path: Path
) -> None:
    pytest.importorskip("vtk", reason="reads the file with VTK's own reader")
    import numpy as np
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkIOXML import vtkXMLImageDataReader

    speed = cfd_module("tunnel").SPEED
    path = files.Series(tmp_path, 1e9).write(flow, room, speed)
    reader = vtkXMLImageDataReader()
    assert reader.CanReadFile(str(path))
    reader.SetFileName(str(path))
    reader.Update()
    image = reader.GetOutput()
    nz, ny, nx = room.flags().shape
    assert image.GetDimensions() == (nx + 1, ny + 1, nz + 1)
    data = image.GetCellData()
    velocity = vtk_to_numpy(data.GetArray("velocity")).reshape(nz, ny, nx, 3)
    density = vtk_to_numpy(data.GetArray("density")).reshape(nz, ny, nx)
    flags = vtk_to_numpy(data.GetArray("flags")).reshape(nz, ny, nx)
    assert (flags == room.flags()).all()
    known_density, known_velocity = flow.moments()
    fluid = np.isfinite(known_density)
    assert 0 < fluid.sum() < fluid.size
    assert (density[fluid] == known_density[fluid]).all()
    expected = np.moveaxis(known_velocity, 0, -1)[fluid] / speed
    assert velocity[fluid] == pytest.approx(expected, abs=1e-6)
    assert (velocity[~fluid] == 0).all() and (density[~fluid] == 0).all()
    # One length is the sphere's diameter, counted from its middle.
    assert image.GetSpacing() == pytest.approx((1 / 8,) * 3)
    solid = np.argwhere(flags == cfd_module("lattice").OBSTACLE).mean(axis=0)[::-1]
    middle = (np.array(image.GetOrigin()) + (solid + 0.5) / 8).round(6)
    assert abs(middle).max() <= 0.5 / 8


def test_a_series_is_put_in_time_by_its_pvd_and_gone_on_with(
    files: Any, room: Any, flow: Any, tmp_path: Path
) -> None:
    import xml.etree.ElementTree as ElementTree

    first, step = files.Series(tmp_path, 1e9), flow.steps
    first.write(flow, room, 0.08)
    flow.step(10)
    files.Series(tmp_path, 1e9).write(flow, room, 0.08)
    sets = ElementTree.parse(tmp_path / "flow.pvd").getroot().findall("Collection/DataSet")
    assert [entry.get("file") for entry in sets] == [
        f"flow-{step:09d}.vti", f"flow-{step + 10:09d}.vti",
    ]  # fmt: skip
    times = [float(entry.get("timestep", "")) for entry in sets]
    assert times == pytest.approx([step * 0.08 / 8, (step + 10) * 0.08 / 8])
    assert not list(tmp_path.glob(".*")), "no drafts are left"


def test_the_budget_is_kept(files: Any, room: Any, flow: Any, tmp_path: Path) -> None:
    sizes = (flow.nx, flow.ny, flow.nz)
    one = files.file_bytes(sizes)
    series = files.Series(tmp_path, 1.5 * one)
    assert series.refusal(sizes) == ""
    path = series.write(flow, room, 0.08)
    assert path.stat().st_size == pytest.approx(one, abs=2048)
    assert "GB are allowed" in series.refusal(sizes)
    assert "GB are allowed" in files.Series(tmp_path, 1.5 * one).refusal(sizes)


def test_a_full_disk_is_noticed_before_it_is_full(
    files: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from types import SimpleNamespace

    monkeypatch.setattr(files.shutil, "disk_usage", lambda path: SimpleNamespace(free=5 << 20))
    assert "the disk has only" in files.Series(tmp_path, 1e12).refusal((100, 100, 100))


def test_a_write_that_fails_leaves_nothing_behind(files: Any, room: Any, tmp_path: Path) -> None:
    class Broken:
        nx, ny, nz, steps = 120, 40, 40, 7

        def moments(self, first: int, end: int) -> Any:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError):
        files.Series(tmp_path, 1e9).write(Broken(), room, 0.08)
    assert list(tmp_path.iterdir()) == []
