"""States that do not flap, reasons that say since when, events at transitions only."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from patient import START_S, WELL, Patient, codes

from cockpit.agent.health import HealthMonitor
from cockpit.agent.telemetry.source import Sample
from cockpit.model import BoxInfo
from cockpit.settings import Thresholds

HOT = ("sw_thermal",)
HOTTER = ("hw_slowdown", "hw_thermal")


def test_a_gpu_that_is_ok_is_handed_on_as_it_is() -> None:
    gpus, events = HealthMonitor(Thresholds()).apply(
        BoxInfo("box", "nvml", "590", 1), Sample(START_S, (WELL,))
    )
    assert gpus[0] is WELL
    assert events == ()


def test_a_slowdown_is_told_when_it_begins_and_when_it_is_over() -> None:
    patient = Patient()
    patient.see()
    assert patient.events == []
    patient.see(throttle_reasons=HOT)
    (begin,) = patient.said
    assert (begin.kind, begin.severity, begin.gpu_index) == ("throttle", "warning", 3)
    assert begin.gpu_uuid == "GPU-3"
    assert begin.text.startswith("GPU 3 is slowed by heat")
    assert begin.advice
    patient.see_for(60, throttle_reasons=HOT)
    patient.see_for(20)
    (_, end) = patient.events
    assert (end.kind, end.severity) == ("throttle", "info")
    assert end.text == "GPU 3 is no longer slowed by heat"
    assert end.data["over"]
    assert end.data["seconds"] > 60


def test_it_is_told_again_only_when_it_gets_worse() -> None:
    patient = Patient()
    patient.see_for(5, throttle_reasons=HOT)
    patient.see_for(5, throttle_reasons=HOTTER)
    assert [event.severity for event in patient.events] == ["warning", "critical"]
    assert patient.see(throttle_reasons=HOT).state == "critical"
    gpu = patient.see_for(20, throttle_reasons=HOT)
    assert gpu.state == "warning"
    assert gpu.reasons[0].since_s == START_S + 1
    assert len(patient.events) == 2


@given(st.lists(st.sampled_from([HOT, HOTTER, ("power_cap",)]), max_size=60))
def test_a_state_never_flaps(readings: list[tuple[str, ...]]) -> None:
    patient = Patient()
    states = [patient.see(throttle_reasons=reasons).state for reasons in readings]
    rank = {"ok": 0, "warning": 1, "critical": 2}
    better = [
        number
        for number in range(1, len(states))
        if rank[states[number]] < rank[states[number - 1]]
    ]
    for number in better:
        # It was at least as bad as told ten seconds ago, and never since.
        worst = max(rank[_direct(readings[back])] for back in range(max(0, number - 9), number + 1))
        assert worst <= rank[states[number]]
    assert all(
        rank[state] >= rank[_direct(seen)] for state, seen in zip(states, readings, strict=True)
    )


def _direct(reasons: tuple[str, ...]) -> str:
    return {HOT: "warning", HOTTER: "critical"}.get(reasons, "ok")


def test_what_lasts_only_a_moment_is_not_told_at_all() -> None:
    patient = Patient()
    for _ in range(20):
        assert patient.see(pcie_width=8).state == "ok"
        assert patient.see().state == "ok"
    assert patient.events == []


def test_a_busy_gpu_that_pauses_does_not_make_its_narrow_link_come_and_go() -> None:
    patient = Patient()
    patient.see_for(5, pcie_width=8)
    for _ in range(10):
        assert patient.see_for(20, pcie_width=8, utilization_percent=0.0).state == "warning"
        patient.see_for(5, pcie_width=8)
    assert [event.severity for event in patient.events] == ["warning"]


def test_a_link_that_just_woke_up_is_given_time_to_be_read_again() -> None:
    patient = Patient()
    patient.see_for(60, pcie_generation=1, utilization_percent=0.0)
    assert patient.see_for(12, pcie_generation=1).state == "ok"
    assert patient.see_for(60).state == "ok"
    assert patient.events == []


def test_reasons_stand_with_the_worst_first() -> None:
    gpu = Patient().see(remap_pending=True, ecc_uncorrected=2, throttle_reasons=HOT)
    assert codes(gpu) == ["ecc", "thermal_slowdown", "remap_pending"]
    assert gpu.state == "critical"


def test_a_gpu_is_lost_once_and_back_once() -> None:
    patient = Patient()
    patient.see(remap_pending=True)
    patient.events.clear()
    for _ in range(5):
        gpu = patient.see(power_w=None, lost_since_s=START_S)
    assert codes(gpu) == ["lost"]
    assert patient.see().state == "ok"
    assert [(event.kind, event.severity) for event in patient.events] == [
        ("lost", "critical"),
        ("back", "info"),
    ]
    assert patient.events[0].text == "GPU 3 no longer answers"
    assert patient.events[1].text == "GPU 3 answers again"


def test_a_driver_that_hangs_for_a_moment_ends_nothing_else() -> None:
    patient = Patient()
    patient.see(remap_pending=True)
    silent = dict.fromkeys(("power_w", "temperature_c", "memory_used_bytes", "sm_clock_mhz"))
    gpu = patient.see_for(30, **silent, errors={"power_w": "NVML_ERROR_TIMEOUT"})
    assert codes(gpu) == ["stuck", "remap_pending"]
    patient.see_for(10, remap_pending=True)
    assert [event.data["code"] for event in patient.events] == ["remap_pending", "stuck", "stuck"]


def test_a_driver_that_goes_away_and_comes_back_is_followed() -> None:
    patient = Patient()
    patient.see(remap_pending=True)
    assert patient.monitor.apply(patient.box, Sample(patient.now_s + 1, ())) == ((), ())
    patient.see(30.0, remap_pending=True)
    assert len(patient.events) == 1


class TestPowerBudget:
    def test_a_box_over_its_budget_is_told_once_and_so_is_its_return(self) -> None:
        patient = Patient(budget_w=200.0)
        patient.see_for(5, power_w=150.0)
        assert patient.events == []
        patient.see_for(5, power_w=195.0)
        (over,) = patient.events
        assert (over.kind, over.severity, over.gpu_index) == ("alert", "warning", None)
        assert "0.20 kW" in over.text
        assert over.advice
        patient.see_for(29, power_w=100.0)
        assert len(patient.events) == 1
        patient.see_for(5, power_w=100.0)
        assert [event.severity for event in patient.events] == ["warning", "info"]

    def test_above_the_budget_itself_it_is_critical(self) -> None:
        patient = Patient(budget_w=200.0)
        patient.see(power_w=201.0)
        assert [event.severity for event in patient.events] == ["critical"]

    def test_a_box_that_goes_on_to_exceed_it_is_told_again(self) -> None:
        patient = Patient(budget_w=200.0)
        for power_w in (195.0, 201.0, 195.0, 201.0):
            patient.see(power_w=power_w)
        assert [event.severity for event in patient.events] == ["warning", "critical"]

    @pytest.mark.parametrize("budget_w", [None, 0.0])
    def test_without_a_budget_there_is_nothing_to_exceed(self, budget_w: float | None) -> None:
        patient = Patient(budget_w=budget_w)
        patient.see(power_w=5000.0)
        assert patient.events == []

    def test_a_gpu_that_cannot_be_read_is_left_out(self) -> None:
        patient = Patient(budget_w=200.0)
        patient.see(power_w=None)
        assert patient.events == []
