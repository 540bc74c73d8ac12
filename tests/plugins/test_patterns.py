"""The Python example: its equations, its checkpoint, its picture, and what it tells. Needs NumPy."""

from __future__ import annotations

import os
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
from workload_run import REPOSITORY, run

from cockpit import plugins

pytestmark = pytest.mark.heavy

if os.environ.get("COCKPIT_REQUIRE_HEAVY") != "1":
    pytest.importorskip("numpy", reason="Turing patterns need numpy")

import numpy as np  # noqa: E402

PLUGIN = REPOSITORY / "plugins" / "patterns"
PRESETS = {preset.name: preset.parameters for preset in plugins.load(PLUGIN).presets}


@pytest.fixture
def code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PLUGIN))


def laplacian(field: Any) -> Any:
    around = sum(np.roll(field, shift, axis) for shift in (1, -1) for axis in (0, 1))
    return around - 4 * field


def test_a_step_is_the_equation(code: None) -> None:
    from reaction import SPREAD_FOOD, SPREAD_PRODUCT, Dish

    dish = Dish(33, feed=0.03, kill=0.06, seed=5)
    dish.step(20)
    u, v = dish.food.astype(float), dish.product.astype(float)
    dish.step()
    reacted = u * v * v
    food = u + SPREAD_FOOD * laplacian(u) - reacted + 0.03 * (1 - u)
    product = v + SPREAD_PRODUCT * laplacian(v) + reacted - (0.03 + 0.06) * v
    np.testing.assert_allclose(dish.food, food, atol=1e-6)
    np.testing.assert_allclose(dish.product, product, atol=1e-6)


def test_spreading_alone_loses_nothing(code: None) -> None:
    from reaction import Dish

    dish = Dish(40, feed=0.0, kill=0.0, seed=2)
    dish.food[:] = 0.0
    before = dish.product.sum(dtype=float)
    dish.step(200)
    assert dish.product.sum(dtype=float) == pytest.approx(before, rel=1e-5)
    assert dish.product.std() < 0.02


@pytest.mark.parametrize("preset", PRESETS)
def test_each_preset_grows_a_pattern(code: None, preset: str) -> None:
    from reaction import Dish

    dish = Dish(96, PRESETS[preset]["feed"], PRESETS[preset]["kill"], seed=1)
    dish.step(3000)
    assert 5 < dish.covered_percent() < 90
    assert dish.product.std() > 0.03


def test_a_checkpoint_goes_on_bit_for_bit(tmp_path: Path) -> None:
    chosen = {"size": 32, "feed": 0.0367, "kill": 0.0649, "seed": 3}
    command = (sys.executable, "workload.py")
    whole = run("patterns", command, tmp_path / "whole", steps=120, **chosen)
    half = run("patterns", command, tmp_path / "half", steps=70, **chosen)
    start = str(half.directory / half.tail.checkpoint)
    rest = run("patterns", command, tmp_path / "rest", steps=50, start=start, **chosen)
    with np.load(whole.directory / "dish.npz") as one, np.load(rest.directory / "dish.npz") as two:
        assert int(one["steps"]) == int(two["steps"]) == 120
        np.testing.assert_array_equal(one["product"], two["product"])
    spoilt = run("patterns", command, tmp_path / "bad", start=str(PLUGIN / "README.md"))
    assert spoilt.code == 2 and "is no checkpoint to start from" in spoilt.messages()[0]


def test_it_tells_all_that_its_views_show(tmp_path: Path) -> None:
    done = run("patterns", (sys.executable, "workload.py"), tmp_path / "job", steps=60, size=24)
    assert done.code == 0, done.log
    assert (done.tail.progress.done, done.tail.progress.total) == (60, 60)
    assert set(done.tail.metrics) == {"covered_percent", "mcells_per_s"}
    assert set(done.tail.frames) == {"product"} and done.tail.checkpoint == "dish.npz"
    assert done.tail.kernels["react"].bytes_per_s > 0
    assert done.tail.roofline.device == "CPU, one thread"
    assert size_of_png((done.directory / "images" / "dish.png").read_bytes()) == (24, 24)


def size_of_png(data: bytes) -> tuple[int, int]:
    """Width and height, once every checksum and the length of the pixels were right."""
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    place, pixels, size = 8, b"", (0, 0)
    while place < len(data):
        (length,), kind = struct.unpack_from(">I", data, place), data[place + 4 : place + 8]
        body = data[place + 8 : place + 8 + length]
        (checksum,) = struct.unpack_from(">I", data, place + 8 + length)
        assert checksum == zlib.crc32(kind + body)
        if kind == b"IHDR":
            size = struct.unpack_from(">II", body)
        pixels += body if kind == b"IDAT" else b""
        place += 12 + length
    assert len(zlib.decompress(pixels)) == size[1] * (1 + 3 * size[0])
    return size


def test_the_benchmark_reports_its_table(tmp_path: Path) -> None:
    done = run("patterns", (sys.executable, "bench.py"), tmp_path / "job", steps=4)
    assert done.code == 0, done.log
    table = done.table("bench")
    assert [row[0] for row in table["rows"]] == [64, 128, 256, 512, 1024]
    assert all(cell > 0 for row in table["rows"] for cell in row)
