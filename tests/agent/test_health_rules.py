"""What makes a GPU other than ok: each rule when it holds, and when it just does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from patient import START_S, WELL, Patient, codes

from cockpit.agent.health import xids
from cockpit.model import Event, NvLink, Process, Slice

LINKS = WELL.nvlinks
ONE_DOWN = (NvLink(0, False, 2), *LINKS[1:])
HOLDER = Process(77, memory_used_bytes=30 << 30)
IDLE: dict[str, Any] = {
    "utilization_percent": 0.0,
    "memory_used_bytes": 30 << 30,
    "processes": (HOLDER,),
}
LONG_S = 120
"""Longer than any reason must last before it is told."""


@pytest.mark.parametrize(
    ("code", "state", "readings", "healthy"),
    [
        ("thermal_slowdown", "critical", {"throttle_reasons": ("hw_slowdown", "hw_thermal")}, {}),
        ("thermal_slowdown", "warning", {"throttle_reasons": ("sw_thermal",)}, {}),
        ("power_brake", "critical", {"throttle_reasons": ("hw_slowdown", "power_brake")}, {}),
        ("hw_slowdown", "warning", {"throttle_reasons": ("hw_slowdown",)}, {}),
        ("margin", "warning", {"thermal_margin_c": 5.0}, {"thermal_margin_c": 6.0}),
        ("margin", "critical", {"thermal_margin_c": 0.0}, {"thermal_margin_c": None}),
        (
            "memory_temperature",
            "warning",
            {"memory_temperature_c": 95.0},
            {"memory_temperature_c": 94.0},
        ),
        ("ecc", "critical", {"ecc_uncorrected": 1}, {"ecc_uncorrected": None}),
        ("remap_pending", "warning", {"remap_pending": True}, {"remap_pending": None}),
        ("remap_failed", "critical", {"remap_failed": True}, {"remap_failed": None}),
        ("recovery", "critical", {"recovery_action": "reset"}, {"recovery_action": None}),
        ("recovery", "critical", {"recovery_action": "reboot"}, {}),
        ("recovery", "warning", {"recovery_action": "drain_p2p"}, {}),
        ("recovery", "warning", {"recovery_action": "drain_and_reset"}, {}),
        ("recovery", "warning", {"recovery_action": "something_new"}, {}),
        (
            "pcie",
            "warning",
            {"pcie_width": 8, "utilization_percent": 20.0},
            {"pcie_width": 8, "utilization_percent": 19.0},
        ),
        (
            "pcie_generation",
            "warning",
            {"pcie_generation": 3},
            {"pcie_generation": 1, "utilization_percent": 0.0},
        ),
        ("nvlink", "warning", {"nvlinks": ONE_DOWN}, {"nvlinks": LINKS}),
        (
            "orphan_memory",
            "warning",
            {"memory_used_bytes": 31 << 30, "utilization_percent": 0.0},
            {"memory_used_bytes": 31 << 30, "utilization_percent": 5.0},
        ),
        (
            "orphan_memory",
            "warning",
            {
                "memory_used_bytes": 32 << 30,
                "utilization_percent": 0.0,
                "processes": (HOLDER,),
            },
            {
                "memory_used_bytes": (30 << 30) + (1 << 29),
                "utilization_percent": 0.0,
                "processes": (HOLDER,),
            },
        ),
    ],
)
def test_a_rule_holds_only_where_it_should(
    code: str, state: str, readings: dict[str, Any], healthy: dict[str, Any]
) -> None:
    patient = Patient()
    ill = patient.see_for(LONG_S, **readings)
    assert codes(ill) == [code]
    assert ill.state == state
    reason = ill.reasons[0]
    assert "GPU 3" in reason.text
    assert len(reason.text) <= 60
    assert reason.advice
    assert reason.since_s == START_S + 1
    well = patient.see_for(LONG_S, **healthy)
    assert (well.state, well.reasons) == ("ok", ())
    never = Patient()
    assert never.see_for(LONG_S, **healthy).reasons == ()
    assert never.events == []


@pytest.mark.parametrize("mark", ["power_cap", "idle", "application_clocks", "sync_boost"])
def test_ordinary_throttle_marks_are_nothing_to_tell(mark: str) -> None:
    patient = Patient()
    assert patient.see_for(5, throttle_reasons=(mark,)).state == "ok"
    assert patient.events == []


def test_thresholds_move_the_rules() -> None:
    patient = Patient(
        margin_warning_c=10.0, memory_temperature_warning_c=60.0, orphan_memory_bytes=1 << 20
    )
    gpu = patient.see_for(30, thermal_margin_c=9.0, utilization_percent=0.0)
    assert codes(gpu) == ["margin", "memory_temperature", "orphan_memory"]


class TestSilence:
    def test_a_lost_gpu_is_lost_since_it_last_answered(self) -> None:
        gpu = Patient().see(power_w=None, lost_since_s=START_S, ecc_uncorrected=4)
        assert gpu.state == "lost"
        assert codes(gpu) == ["lost"]
        assert gpu.reasons[0].since_s == START_S
        assert gpu.reasons[0].text == "GPU 3 is lost to the driver"

    def test_with_xid_79_it_fell_off_the_bus(self) -> None:
        gpu = Patient().see(power_w=None, lost_since_s=START_S, last_xid=79)
        assert gpu.reasons[0].text == "GPU 3 fell off the bus (XID 79)"
        assert gpu.reasons[0].advice == "check power and seating, then reboot"

    def test_a_gpu_for_which_the_driver_does_not_answer_is_critical(self) -> None:
        nothing = dict.fromkeys(
            ("power_w", "temperature_c", "memory_used_bytes", "sm_clock_mhz"), None
        )
        errors = dict.fromkeys(nothing, "NVML_ERROR_TIMEOUT")
        patient = Patient()
        assert patient.see(**nothing, errors=errors).state == "ok"
        gpu = patient.see_for(3, **nothing, errors=errors)
        assert gpu.state == "critical"
        assert gpu.reasons[0].text == "the driver does not answer for GPU 3"

    def test_a_driver_that_is_away_is_the_boxs_problem_and_told_by_its_source(self) -> None:
        patient = Patient()
        patient.box = replace(patient.box, problem="no driver", advice="load it", revision=1)
        silent = dict.fromkeys(("power_w", "temperature_c", "memory_used_bytes", "sm_clock_mhz"))
        gpu = patient.see(**silent, errors={"power_w": "NVML_ERROR_DRIVER_NOT_LOADED"})
        assert gpu.state == "critical"
        assert gpu.reasons[0].text == "GPU 3 has no readings: the driver is away"
        assert gpu.reasons[0].advice == "load it"
        patient.box = replace(patient.box, problem=None, revision=2)
        assert patient.see().state == "ok"
        assert patient.events == []

    def test_one_that_is_not_found_any_more_is_lost(self) -> None:
        gpu = Patient().see(power_w=None, errors={"power_w": "NVML_ERROR_GPU_NOT_FOUND"})
        assert gpu.state == "lost"

    def test_one_reading_that_fails_is_not_silence(self) -> None:
        gpu = Patient().see(power_w=None, errors={"power_w": "NVML_ERROR_UNKNOWN"})
        assert gpu.state == "ok"


class TestEcc:
    def test_a_rising_corrected_count_is_told_at_the_rate_of_an_hour(self) -> None:
        patient = Patient(ecc_corrected_per_hour_warning=100.0)
        assert patient.see(ecc_corrected=5000).state == "ok"
        assert patient.see(600.0, ecc_corrected=5099).state == "ok"
        gpu = patient.see(600.0, ecc_corrected=5100)
        assert codes(gpu) == ["ecc_corrected"]
        assert "100 memory errors" in gpu.reasons[0].text

    def test_an_old_rise_is_forgotten(self) -> None:
        patient = Patient(ecc_corrected_per_hour_warning=100.0)
        patient.see(ecc_corrected=0)
        patient.see(60.0, ecc_corrected=150)
        for _ in range(59):
            assert patient.see(60.0, ecc_corrected=150).state == "warning"
        for _ in range(3):
            gpu = patient.see(60.0, ecc_corrected=150)
        assert gpu.state == "ok"

    def test_a_counter_that_begins_anew_is_no_rise(self) -> None:
        patient = Patient()
        patient.see(ecc_corrected=900)
        patient.see(ecc_corrected=0)
        assert patient.see(ecc_corrected=50).state == "ok"
        assert codes(patient.see(ecc_corrected=150)) == ["ecc_corrected"]


class TestXids:
    def test_an_applications_own_fault_is_a_warning_for_some_minutes(self) -> None:
        patient = Patient()
        seen = {"last_xid": 31, "last_xid_s": START_S}
        gpu = patient.see(**seen)
        assert (gpu.state, gpu.reasons[0].text) == (
            "warning",
            "GPU 3 had a memory page fault (XID 31)",
        )
        assert patient.see(290.0, **seen).state == "warning"
        assert patient.see(10.0, **seen).state == "ok"

    def test_a_grave_one_stands_until_nvml_says_that_nothing_is_to_be_done(self) -> None:
        patient = Patient()
        seen = {"last_xid": 119, "last_xid_s": START_S}
        assert patient.see(**seen, recovery_action=None).state == "critical"
        assert patient.see(7200.0, **seen, recovery_action=None).state == "critical"
        assert patient.see(**seen, recovery_action="none").state == "warning"

    def test_a_cleanup_does_not_hide_its_cause(self) -> None:
        patient = Patient()
        patient.see(last_xid=48, last_xid_s=START_S, recovery_action=None)
        gpu = patient.see(last_xid=45, last_xid_s=START_S + 1, recovery_action=None)
        assert "(XID 48)" in gpu.reasons[0].text

    def test_nor_when_both_come_at_once(self) -> None:
        both = tuple(
            Event(0, START_S, "xid", "info", "", gpu_uuid="GPU-3", data={"xid": number})
            for number in (48, 45)
        )
        gpu = Patient().see(events=both, last_xid=45, last_xid_s=START_S, recovery_action=None)
        assert "(XID 48)" in gpu.reasons[0].text

    def test_a_driver_loaded_anew_has_no_xids(self) -> None:
        patient = Patient()
        patient.see(last_xid=48, last_xid_s=START_S)
        assert patient.see(last_xid=None, last_xid_s=None).state == "ok"

    def test_they_are_told_by_their_source_and_not_again(self) -> None:
        patient = Patient()
        patient.see_for(400, last_xid=31, last_xid_s=START_S)
        assert patient.events == []

    def test_every_entry_of_the_catalogue_fits_a_line_and_says_what_to_do(self) -> None:
        for number in range(200):
            known = xids.describe(number)
            assert known.number == number
            assert known.advice
            assert len(xids.sentence(15, number)) <= 60
            assert len(known.advice) <= 60

    def test_an_unknown_one_is_a_warning_that_says_where_to_look(self) -> None:
        known = xids.describe(999)
        assert known.severity == "warning"
        assert "catalogue" in known.advice


class TestLinks:
    def test_links_that_were_never_up_are_not_missed(self) -> None:
        down = tuple(NvLink(link, False) for link in range(4))
        assert Patient().see_for(LONG_S, nvlinks=down).state == "ok"

    def test_links_that_were_up_are(self) -> None:
        patient = Patient()
        patient.see()
        gpu = patient.see_for(LONG_S, nvlinks=tuple(NvLink(link, False) for link in range(4)))
        assert gpu.reasons[0].text == "GPU 3 has 4 of 4 NVLinks down"

    def test_a_link_that_cannot_be_read_is_not_called_down(self) -> None:
        unread = (NvLink(0, None), *LINKS[1:])
        assert Patient().see_for(LONG_S, nvlinks=unread).state == "ok"


class TestHeldMemory:
    def test_a_process_that_holds_memory_and_does_nothing_is_told_in_time(self) -> None:
        patient = Patient(idle_hold_s=3600.0)
        patient.see()
        assert patient.see(3599.0, **IDLE).reasons == ()
        gpu = patient.see(3601.0, **IDLE)
        assert gpu.state == "ok"
        assert codes(gpu) == ["idle_hold"]
        assert gpu.reasons[0].severity == "info"
        assert gpu.reasons[0].text == "GPU 3 idle for 2 h with 30 GiB held"
        assert gpu.reasons[0].since_s == START_S + 1
        assert patient.see(utilization_percent=3.0, processes=(HOLDER,)).reasons == ()
        assert patient.events == []

    def test_an_empty_gpu_may_idle_for_ever(self) -> None:
        patient = Patient()
        patient.see()
        assert patient.see(1e6, utilization_percent=0.0).reasons == ()

    def test_memory_of_a_process_that_cannot_be_read_is_no_orphan(self) -> None:
        readings = {**IDLE, "processes": (Process(77),)}
        assert Patient().see_for(LONG_S, **readings).reasons == ()

    def test_processes_that_could_not_be_asked_for_are_no_orphans(self) -> None:
        readings = {**IDLE, "processes": (), "errors": {"processes": "NVML_ERROR_UNKNOWN"}}
        assert Patient().see_for(LONG_S, **readings).reasons == ()

    def test_processes_on_slices_count(self) -> None:
        part = Slice("MIG-1", "7g.80gb", 0, sm_active_percent=0.0, processes=(HOLDER,))
        readings = {
            "utilization_percent": None,
            "memory_used_bytes": 30 << 30,
            "slices": (part,),
        }
        patient = Patient(idle_hold_s=60.0)
        assert codes(patient.see_for(LONG_S, **readings)) == ["idle_hold"]
