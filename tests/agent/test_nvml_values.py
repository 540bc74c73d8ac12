"""Every figure of a GPU is what NVML says, in the unit of its name."""

from __future__ import annotations

import os
from typing import Any

import pynvml as nv
import pytest
from standin.fixtures import Standin
from standin.nvml_box import OpenBox
from standin.plain_nvml import as_pynvml_says

from cockpit.model import Gpu


def test_every_figure_of_all_ten_gpus_is_what_pynvml_says(
    open_box: OpenBox, standin: Standin, plain_pynvml: Any
) -> None:
    box = open_box()
    # Frozen loads, so that readings from different passes are comparable.
    for index in range(10):
        standin.set(index, load=7 + 9 * index)
    sample = box.settle(12)
    assert len(sample.gpus) == 10
    for index, gpu in enumerate(sample.gpus):
        wanted = as_pynvml_says(nv.nvmlDeviceGetHandleByIndex(index), standin)
        # What was read at an earlier pass is left out where it moves with the clock.
        got = {name: getattr(gpu, name) for name in wanted}
        assert got == pytest.approx(wanted), f"GPU {index}"
        assert gpu.index == index
        assert gpu.errors == {}
        assert gpu.recovery_action == "none"


def test_no_two_gpus_read_alike(open_box: OpenBox) -> None:
    gpus = open_box().settle(12).gpus
    for metric in ("power_w", "power_limit_w", "energy_j", "memory_used_bytes", "pcie_replays"):
        assert len({getattr(gpu, metric) for gpu in gpus}) == 10, metric


def test_throttle_reasons_have_names_and_their_times_are_seconds(
    open_box: OpenBox, standin: Standin
) -> None:
    standin.set(4, throttle=0x4 | 0x80, power_cap_ns=2_500_000_000, power_brake_ns=1_000_000)
    gpu: Gpu = open_box().gpu(4)
    assert gpu.throttle_reasons == ("power_cap", "power_brake")
    assert gpu.throttle_times_s["power_cap"] == 2.5
    assert gpu.throttle_times_s["power_brake"] == 0.001
    assert gpu.throttle_times_s["hw_thermal"] == 0.0


def test_facts_are_read_once_and_are_what_pynvml_says(open_box: OpenBox, plain_pynvml: Any) -> None:
    box = open_box().opened
    assert (box.source, box.gpu_count, box.problem) == ("nvml", 10, None)
    assert box.driver_version == nv.nvmlSystemGetDriverVersion()
    assert box.cuda_version == "13.0"
    for info in box.gpus:
        handle = nv.nvmlDeviceGetHandleByIndex(info.index)
        assert info.uuid == nv.nvmlDeviceGetUUID(handle)
        assert info.pci_bus_id == nv.nvmlDeviceGetPciInfo(handle).busId
        assert info.serial == nv.nvmlDeviceGetSerial(handle)
        assert info.vbios_version == nv.nvmlDeviceGetVbiosVersion(handle)
        assert (info.architecture, info.compute_capability) == ("Hopper", "9.0")
        assert info.memory_total_bytes == nv.nvmlDeviceGetMemoryInfo(handle).total
        assert info.power_limit_default_w == 350.0
        assert (info.power_limit_min_w, info.power_limit_max_w) == (200.0, 350.0)
        assert (info.sm_clock_max_mhz, info.memory_clock_max_mhz) == (1755, 1593)
        assert (info.pcie_generation_max, info.pcie_width_max) == (5, 16)
        assert (info.temperature_slowdown_c, info.temperature_shutdown_c) == (89, 95)
        assert info.numa_node == (0 if info.index < 5 else 1)
        assert info.cpu_affinity == ("0-15" if info.index < 5 else "16-31")


def test_the_topology_is_in_the_words_of_nvidia_smi(open_box: OpenBox) -> None:
    box = open_box().opened
    assert box.topology[0][:4] == ("X", "NV12", "PXB", "NODE")
    assert box.topology[0][9] == "SYS"
    for row, ways in enumerate(box.topology):
        assert ways[row] == "X"
        assert [box.topology[column][row] for column in range(10)] == list(ways)
    assert box.gpus[6].nvlink_peers == (7,)


def test_links_have_their_state_peer_and_errors(open_box: OpenBox, standin: Standin) -> None:
    box = open_box()
    standin.cut_link(2, 5)
    standin.link_errors(2, 7, 41)
    links = box.settle().gpus[2].nvlinks
    assert len(links) == 12
    assert [link.link for link in links if not link.active] == [5]
    assert {link.peer for link in links} == {3}
    assert [link.errors for link in links] == [41 if link == 7 else 0 for link in range(12)]


def test_a_gpu_without_activity_counters_has_its_rates_from_the_byte_counters(
    open_box: OpenBox, standin: Standin
) -> None:
    rates = {"pcie_rx": 3e9, "pcie_tx": 1e9, "nvlink_rx": 5e9, "nvlink_tx": 7e9}
    standin.set(1, gpm_supported=0, **rates)
    box = open_box()
    box.sample()
    gpu = box.gpu(1)
    assert gpu.pcie_rx_bytes_per_s == pytest.approx(3e9)
    assert gpu.pcie_tx_bytes_per_s == pytest.approx(1e9)
    assert gpu.nvlink_rx_bytes_per_s == pytest.approx(5e9, rel=1e-6)
    assert gpu.nvlink_tx_bytes_per_s == pytest.approx(7e9, rel=1e-6)
    assert gpu.sm_active_percent is None
    assert gpu.errors["sm_active_percent"] == "NVML_ERROR_NOT_SUPPORTED"
    assert "pcie_rx_bytes_per_s" not in gpu.errors


def test_activity_waits_for_a_second_sample_and_is_not_asked_twice_within_100_ms(
    open_box: OpenBox,
) -> None:
    box = open_box()
    first = box.source.sample().gpus[0]
    assert first.sm_active_percent is None
    assert first.errors["sm_active_percent"] == "waiting for a second sample"
    read = box.gpu(0).sm_active_percent
    assert read is not None
    assert box.gpu(0, seconds=0.05).sm_active_percent == read


def test_the_source_rests_after_it_opened_so_that_the_first_sample_has_activity(
    open_box: OpenBox,
) -> None:
    box = open_box()
    gpu = box.sample(box.rested_s + 0.001).gpus[0]
    assert gpu.sm_active_percent is not None
    assert gpu.errors == {}


def test_a_figure_that_the_gpu_does_not_have_is_none_with_its_error(
    open_box: OpenBox, standin: Standin
) -> None:
    standin.fail_field(6, nv.NVML_FI_DEV_MEMORY_TEMP)
    standin.fail_field(6, nv.NVML_FI_DEV_REMAPPED_UNC)
    standin.fail(6, "nvmlDeviceGetUtilizationRates", nv.NVML_ERROR_UNKNOWN)
    standin.fail(6, "nvmlDeviceGetMarginTemperature")
    box = open_box()
    for sample in (box.settle(4), box.sample(), box.sample()):
        gpu, neighbour = sample.gpus[6], sample.gpus[7]
        assert gpu.errors == {
            "memory_temperature_c": "NVML_ERROR_NOT_SUPPORTED",
            "remapped_rows": "NVML_ERROR_NOT_SUPPORTED",
            "utilization_percent": "NVML_ERROR_UNKNOWN",
            "thermal_margin_c": "NVML_ERROR_NOT_SUPPORTED",
        }
        assert all(getattr(gpu, metric) is None for metric in gpu.errors)
        assert gpu.power_w is not None
        assert neighbour.errors == {}


def test_a_figure_that_can_be_read_again_has_no_error_any_more(
    open_box: OpenBox, standin: Standin
) -> None:
    box = open_box()
    standin.fail(0, "nvmlDeviceGetUtilizationRates", nv.NVML_ERROR_TIMEOUT)
    assert box.gpu(0).errors == {"utilization_percent": "NVML_ERROR_TIMEOUT"}
    standin.fail(0, "nvmlDeviceGetUtilizationRates", nv.NVML_SUCCESS)
    gpu = box.gpu(0)
    assert gpu.errors == {}
    assert gpu.utilization_percent is not None


def test_thermal_slowdown_shows_in_reasons_margin_clock_and_times(
    open_box: OpenBox, standin: Standin
) -> None:
    box = open_box()
    standin.overheat(2)
    gpu = box.settle(3).gpus[2]
    assert gpu.throttle_reasons == ("hw_slowdown", "sw_thermal", "hw_thermal")
    assert gpu.thermal_margin_c == 0
    assert gpu.sm_clock_mhz == 735
    assert gpu.throttle_times_s["hw_thermal"] == 7.5


def test_ecc_remaps_recovery_and_a_narrow_bus_are_told(open_box: OpenBox, standin: Standin) -> None:
    box = open_box()
    standin.set(8, ecc_uncorrected=2, remap_pending=1, remapped_uncorrectable=4)
    standin.set(8, recovery_action=4, pcie_width=8, pcie_generation=3)
    gpu = box.settle().gpus[8]
    assert (gpu.ecc_uncorrected, gpu.remap_pending, gpu.remap_failed) == (2, True, False)
    assert gpu.remapped_rows == 8 % 3 + 4
    assert gpu.recovery_action == "drain_and_reset"
    assert (gpu.pcie_generation, gpu.pcie_width) == (3, 8)


def test_processes_are_described_and_go_when_they_end(open_box: OpenBox, standin: Standin) -> None:
    standin.process(3, os.getpid(), 5 << 30)
    standin.process(3, os.getppid(), 1 << 20, kind="g")
    box = open_box()
    found = {process.pid: process for process in box.sample().gpus[3].processes}
    assert found[os.getpid()].memory_used_bytes == 5 << 30
    assert found[os.getpid()].mine
    assert "py" in (found[os.getpid()].command or "")
    assert found[os.getppid()].kind == "graphics"
    standin.end_process(3, os.getpid())
    assert [process.pid for process in box.settle(4).gpus[3].processes] == [os.getppid()]


def test_many_processes_on_one_gpu_are_all_found(open_box: OpenBox, standin: Standin) -> None:
    pids = range(4_000_000, 4_000_024)
    for pid in pids:
        standin.process(0, pid, 1 << 20)
    assert {process.pid for process in open_box().sample().gpus[0].processes} == set(pids)
