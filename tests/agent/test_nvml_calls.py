"""What watching a box costs its driver: at most 100 calls a refresh for ten GPUs."""

from __future__ import annotations

import pytest
from standin.fixtures import Standin
from standin.nvml_box import OpenBox


@pytest.mark.parametrize("interval_s", [0.5, 1.0, 2.0])
def test_no_refresh_of_ten_gpus_makes_more_than_100_calls(
    open_box: OpenBox, standin: Standin, interval_s: float
) -> None:
    box = open_box(interval_s=interval_s)
    counts = []
    for _ in range(40):
        before = standin.call_count()
        box.sample(interval_s)
        counts.append(standin.call_count() - before)
    assert max(counts) <= 100, counts
    assert min(counts) >= 80, counts


def test_a_faster_list_of_processes_does_not_break_the_limit(
    open_box: OpenBox, standin: Standin
) -> None:
    box = open_box(process_interval_s=1.0)
    for _ in range(20):
        before = standin.call_count()
        box.sample()
        assert standin.call_count() - before <= 100


def test_every_slow_reading_has_its_turn(open_box: OpenBox, standin: Standin) -> None:
    box = open_box()
    box.sample()
    for index in range(10):
        standin.set(index, margin=3, memory_clock=700, pcie_generation=1, pcie_width=4)
        standin.process(index, 4_100_000 + index)
    for gpu in box.settle(12).gpus:
        assert (gpu.thermal_margin_c, gpu.memory_clock_mhz) == (3, 700)
        assert (gpu.pcie_generation, gpu.pcie_width) == (1, 4)
        assert [process.pid for process in gpu.processes] == [4_100_000 + gpu.index]


def test_a_lost_gpu_costs_no_more_calls(open_box: OpenBox, standin: Standin) -> None:
    box = open_box()
    standin.lose(3)
    for _ in range(12):
        before = standin.call_count()
        box.sample()
        assert standin.call_count() - before <= 100


def test_the_pcie_call_that_takes_20_ms_is_never_made(open_box: OpenBox, standin: Standin) -> None:
    open_box().settle(6)
    assert "nvmlDeviceGetPcieThroughput" not in standin.calls()
