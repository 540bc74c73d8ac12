"""A GPU that fails costs that GPU only: lost, vanished, stuck, and telling of XIDs."""

from __future__ import annotations

import os
import threading
import time

import pytest
from standin.fixtures import Standin
from standin.nvml_box import DEADLINE_S, OpenBox

from cockpit.agent.telemetry.source import Sample
from cockpit.model import Event, Gpu


def figures(gpu: Gpu) -> list[object]:
    return [gpu.power_w, gpu.temperature_c, gpu.memory_used_bytes, gpu.sm_clock_mhz]


def test_a_lost_gpu_stays_by_name_with_the_time_it_last_answered(
    open_box: OpenBox, standin: Standin
) -> None:
    box = open_box()
    last = box.sample()
    answered_s = 1e9 + box.now_s
    standin.lose(3)
    box.sample()
    sample = box.sample(5)
    gpu = sample.gpus[3]
    assert (gpu.uuid, gpu.name) == (last.gpus[3].uuid, "NVIDIA H100 PCIe")
    assert figures(gpu) == [None] * 4
    assert gpu.errors["power_w"] == "NVML_ERROR_GPU_IS_LOST"
    assert gpu.lost_since_s == answered_s
    for other in sample.gpus[:3] + sample.gpus[4:]:
        assert other.lost_since_s is None
        assert None not in figures(other)


def test_a_lost_gpu_that_comes_back_is_read_again(open_box: OpenBox, standin: Standin) -> None:
    box = open_box()
    standin.lose(3)
    assert box.gpu(3).lost_since_s is not None
    standin.restore(3)
    gpu = box.settle(4).gpus[3]
    assert gpu.lost_since_s is None
    assert gpu.errors == {}
    assert None not in figures(gpu)


def test_a_gpu_that_was_lost_before_the_start_is_shown_and_met_when_it_comes(
    open_box: OpenBox, standin: Standin
) -> None:
    standin.lose(0)
    box = open_box()
    assert box.opened.gpu_count == 10
    assert box.gpu(0).lost_since_s is not None
    assert box.gpu(1).power_w is not None
    standin.restore(0)
    gpu = box.settle(4).gpus[0]
    assert gpu.lost_since_s is None
    assert gpu.name == "NVIDIA H100 PCIe"
    info = box.source.box().gpus[0]
    assert info.uuid == gpu.uuid == "GPU-000051a0-c0de-4a00-8000-000000000100"
    assert box.source.box().revision > box.opened.revision


def test_a_gpu_that_came_back_is_heard_when_it_tells_of_an_xid(
    open_box: OpenBox, standin: Standin
) -> None:
    standin.lose(0)
    box = open_box()
    standin.restore(0)
    box.settle(4)
    standin.xid(0, 31)
    box.sample_until(lambda sample: sample.gpus[0].last_xid == 31)


def test_a_gpu_that_vanishes_from_the_list_is_lost(open_box: OpenBox, standin: Standin) -> None:
    box = open_box()
    standin.vanish(9)
    sample = box.settle(12)
    assert len(sample.gpus) == 10
    assert sample.gpus[9].lost_since_s is not None
    assert sample.gpus[8].lost_since_s is None


def test_an_xid_is_an_event_with_words_and_advice_and_stays_with_its_gpu(
    open_box: OpenBox, standin: Standin
) -> None:
    box = open_box()
    standin.xid(2, 79)
    events: list[Event] = []

    def told(sample: Sample) -> bool:
        events.extend(sample.events)
        return bool(events)

    sample = box.sample_until(told)
    (event,) = events
    assert (event.kind, event.severity, event.gpu_index) == ("xid", "critical", 2)
    assert event.gpu_uuid == sample.gpus[2].uuid
    assert "GPU 2" in event.text
    assert "79" in event.text
    assert event.advice
    assert event.data == {"xid": 79}
    assert sample.gpus[2].last_xid == 79
    gpu = box.gpu(2)
    assert (gpu.last_xid, gpu.last_xid_s) == (79, event.time_s)
    assert box.sample().events == ()
    assert box.gpu(1).last_xid is None


def test_a_lost_gpu_still_tells_its_last_xid(open_box: OpenBox, standin: Standin) -> None:
    box = open_box()
    standin.xid(2, 79)
    box.sample_until(lambda sample: sample.gpus[2].last_xid == 79)
    standin.lose(2)
    assert box.gpu(2).last_xid == 79


def test_a_stuck_gpu_costs_only_itself_and_rejoins(open_box: OpenBox, standin: Standin) -> None:
    box = open_box(stuck_after_s=0.2)
    box.sample()
    standin.stick(4)
    before = standin.calls()["nvmlDeviceGetUtilizationRates"]
    sample = box.sample()
    gpu = sample.gpus[4]
    assert figures(gpu) == [None] * 4
    assert gpu.errors["power_w"].startswith("no answer from the driver for ")
    assert gpu.lost_since_s is None
    others = sample.gpus[:4] + sample.gpus[5:]
    assert all(None not in figures(other) for other in others)
    assert all(other.errors == {} for other in others)
    # The GPUs after the stuck one were read at this very pass.
    assert standin.calls()["nvmlDeviceGetUtilizationRates"] == before + 9
    standin.restore(4)
    sample = box.sample_until(lambda sample: sample.gpus[4].power_w is not None)
    assert sample.gpus[4].errors == {}


def test_a_gpu_known_to_be_stuck_is_not_waited_for_again(
    open_box: OpenBox, standin: Standin
) -> None:
    box = open_box(stuck_after_s=1.0)
    box.sample()
    standin.stick(4)
    box.sample()
    started = time.monotonic()
    for _ in range(10):
        assert box.gpu(4).power_w is None
    # Ten passes that waited for it would have taken ten times as long.
    assert time.monotonic() - started < 5.0


def test_with_every_gpu_stuck_a_sample_still_returns_and_says_so(
    open_box: OpenBox, standin: Standin
) -> None:
    standin.gpus(3)
    box = open_box(stuck_after_s=0.2)
    box.sample()
    for index in range(3):
        standin.stick(index)
    sample = box.sample_until(
        lambda sample: all("no answer" in g.errors.get("power_w", "") for g in sample.gpus)
    )
    assert len(sample.gpus) == 3
    for index in range(3):
        standin.restore(index)
    box.sample_until(lambda sample: all(gpu.power_w is not None for gpu in sample.gpus))


def test_a_slow_driver_is_not_a_stuck_one(open_box: OpenBox, standin: Standin) -> None:
    standin.gpus(2)
    box = open_box(stuck_after_s=0.4)
    box.sample()
    # A pass now takes longer than a stuck call is given, but no single call does.
    standin.delay_ms(40)
    gpus = box.sample().gpus
    standin.delay_ms(0)
    assert [gpu.errors for gpu in gpus] == [{}, {}]


def test_a_gpu_stuck_at_the_start_does_not_hold_up_the_others(
    open_box: OpenBox, standin: Standin
) -> None:
    standin.stick(5)
    box = open_box(stuck_after_s=0.2)
    assert box.opened.gpu_count == 10
    sample = box.sample()
    assert sample.gpus[5].power_w is None
    assert sample.gpus[6].power_w is not None
    standin.restore(5)
    box.sample_until(lambda sample: sample.gpus[5].power_w is not None)
    assert box.source.box().gpus[5].name == "NVIDIA H100 PCIe"


@pytest.mark.parametrize("stuck", [False, True])
def test_closing_twice_is_safe_and_leaves_no_reader_behind(
    open_box: OpenBox, standin: Standin, stuck: bool
) -> None:
    box = open_box(stuck_after_s=0.2)
    if stuck:
        standin.stick(1)
    box.sample()
    box.source.close()
    box.source.close()
    standin.restore(1)
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline and "nvml-reader" in thread_names():
        time.sleep(0.01)
    assert "nvml-reader" not in thread_names()


def thread_names() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


def test_this_process_is_named_as_the_one_on_its_gpu_whatever_another_gpu_does(
    open_box: OpenBox, standin: Standin
) -> None:
    standin.process(7, os.getpid())
    box = open_box()
    standin.lose(0)
    assert [process.pid for process in box.settle(4).gpus[7].processes] == [os.getpid()]
