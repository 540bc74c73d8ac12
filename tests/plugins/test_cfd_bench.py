"""`cockpit bench cfd`: what its rows say, and that wrong numbers get no speed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.heavy

Modules = Callable[[str], Any]


@pytest.fixture
def bench(cfd_module: Modules, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The benchmark with a small box and short batches."""
    module = cfd_module("bench")
    monkeypatch.setattr(module, "CPU_CELLS", 16)
    monkeypatch.setattr(module, "BATCH_S", 0.01)
    return module


def test_a_row_is_consistent_in_itself(bench: Any, cfd_module: Modules) -> None:
    devices = cfd_module("devices").chosen_devices("cpu", 2)
    row = dict(zip(bench.COLUMNS, bench.row(devices, "fp16", "bgk", 10e9), strict=True))
    assert (row["devices"], row["cells"]) == ("CPU, 2 threads", "16 × 16 × 32")
    assert row["GB/s"] == pytest.approx(row["MLUPS"] * 77e-3, abs=0.02)
    assert row["% of copy"] == pytest.approx(100 * row["GB/s"] / row["copy GB/s"], abs=0.2)
    assert row["FluidX3D MLUPS"] == "—", "nothing is published for this CPU"


def test_numbers_are_right_before_they_are_fast(
    bench: Any, cfd_module: Modules, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices = cfd_module("devices").chosen_devices("cpu", 1)
    assert bench.wrong(devices, "fp32", "regularized") is None
    monkeypatch.setattr(bench.Flow, "step", lambda flow, count: None)
    assert "off by" in bench.wrong(devices, "fp32", "regularized")


def test_one_two_four_and_all_devices_are_measured(bench: Any) -> None:
    assert [bench._counts(most) for most in (1, 2, 10)] == [[1], [1, 2], [1, 2, 4, 8, 10]]
