"""Faults of the simulated box: what each shows, its XID, and that it can be cleared."""

from __future__ import annotations

import threading

import pytest
from simulated_box import Box

from cockpit.errors import UsageError


@pytest.mark.parametrize(
    ("fault", "xid"),
    [
        ("lost", 79),
        ("ecc", 48),
        ("xid", 119),
        ("xid31", 31),
        ("xid79", 79),
        ("link", 74),
    ],
)
def test_a_fault_reports_the_xid_of_a_real_card(fault: str, xid: int) -> None:
    box = Box(faults=(f"4:{fault}",))
    sample = box.sample()
    (event,) = sample.events
    assert event.kind == "xid"
    assert event.gpu_index == 4
    assert event.gpu_uuid == box.info.gpus[4].uuid
    assert f"(XID {xid})" in event.text
    assert event.data["xid"] == xid
    assert sample.gpus[4].last_xid == xid
    assert sample.gpus[4].last_xid_s == box.now_s
    assert box.sample().events == ()


@pytest.mark.parametrize("fault", ["hot", "slow"])
def test_heat_and_slowness_have_no_xid(fault: str) -> None:
    assert Box(faults=(f"4:{fault}",)).sample().events == ()


def test_a_lost_card_keeps_its_name_and_nothing_else() -> None:
    box = Box()
    before = box.gpu(3)
    box.source.fault(3, "lost")
    lost = box.gpu(3)
    assert (lost.index, lost.uuid, lost.name) == (3, before.uuid, before.name)
    assert lost.lost_since_s == box.now_s
    assert lost.power_w is None
    assert lost.memory_used_bytes is None
    assert lost.errors["power_w"] == "NVML_ERROR_GPU_IS_LOST"
    since_s = lost.lost_since_s
    assert box.gpu(3, 60.0).lost_since_s == since_s
    box.source.fault(3, "lost", clear=True)
    back = box.gpu(3)
    assert back.lost_since_s is None
    assert back.power_w is not None


def test_a_hot_card_is_slowed_from_the_first_sample_and_cools_when_cleared() -> None:
    box = Box(demo=True, faults=("2:hot",))
    hot = box.gpu(2)
    assert "hw_thermal" in hot.throttle_reasons
    assert (hot.thermal_margin_c or 0) < 0
    box.source.fault(2, "hot", clear=True)
    box.gpu(2)
    cool = box.gpu(2, 600.0)
    cool = box.gpu(2)
    assert "hw_thermal" not in cool.throttle_reasons
    assert (cool.thermal_margin_c or 0) > 10


def test_an_idle_card_in_hot_air_is_slowed_too() -> None:
    gpu = Box(faults=("2:hot",)).gpu(2)
    assert "idle" in gpu.throttle_reasons
    assert "hw_thermal" in gpu.throttle_reasons
    assert "idle" not in gpu.throttle_times_s


def test_memory_errors_ask_for_a_reset() -> None:
    box = Box(faults=("5:ecc",))
    gpu = box.gpu(5)
    assert gpu.ecc_uncorrected == 2
    assert gpu.remap_pending
    assert gpu.recovery_action == "reset"
    box.source.fault(5, "ecc", clear=True)
    gpu = box.gpu(5)
    assert (gpu.ecc_uncorrected, gpu.remap_pending, gpu.recovery_action) == (0, False, "none")
    assert gpu.remapped_rows == 1


def test_a_link_goes_down_alone() -> None:
    links = Box(faults=("6:link",)).gpu(6).nvlinks
    assert [link.link for link in links if not link.active] == [0]
    assert links[0].errors


def test_a_slow_card_runs_x8_and_at_lower_clocks() -> None:
    box = Box(demo=True, faults=("6:slow",))
    gpu = box.gpu(6)
    assert gpu.pcie_width == 8
    assert gpu.sm_clock_mhz is not None
    box.source.fault(6, "slow", clear=True)
    box.gpu(6)
    well = box.gpu(6, 60.0)
    assert well.pcie_width == 16
    assert gpu.sm_clock_mhz < 0.7 * (well.sm_clock_mhz or 0)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("hot", "GPU index"),
        ("x:hot", "GPU index"),
        ("10:hot", "no such GPU"),
        ("3:cold", "'cold' is unknown"),
        ("3:xidx", "'xidx' is unknown"),
        ("3:", "is unknown"),
    ],
)
def test_a_fault_that_cannot_be_is_refused_with_what_can(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as refused:
        Box(faults=(text,))
    assert refused.value.advice


def test_asking_for_a_fault_on_a_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError, match="no such GPU"):
        Box().source.fault(10, "hot")


def test_a_fault_may_be_asked_for_from_another_thread() -> None:
    box = Box()
    thread = threading.Thread(target=box.source.fault, args=(1, "xid31"))
    thread.start()
    thread.join()
    assert box.gpu(1).last_xid == 31
