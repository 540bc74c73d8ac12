"""A driver that is away, that goes, and that comes back, without a restart."""

from __future__ import annotations

import ctypes
import threading

import pynvml as nv
import pytest
from standin.fixtures import Standin
from standin.nvml_box import OpenBox

from cockpit.agent.telemetry.nvml import library as library_module
from cockpit.agent.telemetry.nvml import library_present


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (nv.NVML_ERROR_UNINITIALIZED, "NVML_ERROR_UNINITIALIZED"),
        (nv.NVML_ERROR_DRIVER_NOT_LOADED, "NVML_ERROR_DRIVER_NOT_LOADED"),
        (nv.NVML_ERROR_LIB_RM_VERSION_MISMATCH, "NVML_ERROR_LIB_RM_VERSION_MISMATCH"),
    ],
)
def test_a_driver_that_goes_is_a_problem_with_advice_and_leaves_the_gpus_by_name(
    open_box: OpenBox, standin: Standin, code: int, name: str
) -> None:
    box = open_box()
    before = box.sample()
    revision = box.source.box().revision
    standin.driver_gone(code)
    sample = box.sample()
    assert [gpu.uuid for gpu in sample.gpus] == [gpu.uuid for gpu in before.gpus]
    assert all(gpu.power_w is None for gpu in sample.gpus)
    assert {gpu.errors["power_w"] for gpu in sample.gpus} == {name}
    info = box.source.box()
    assert info.problem
    assert info.advice
    assert info.gpu_count == 10
    assert info.revision > revision
    (event,) = sample.events
    assert (event.kind, event.severity) == ("driver", "critical")
    assert event.advice


def test_a_driver_that_comes_back_is_met_again_with_new_handles(
    open_box: OpenBox, standin: Standin
) -> None:
    box = open_box()
    box.sample()
    standin.driver_gone()
    box.settle(5)
    standin.driver_back("590.48.01")
    events = box.driver_returns()
    info = box.source.box()
    assert (info.problem, info.advice) == (None, None)
    assert info.driver_version == "590.48.01"
    assert [(event.kind, event.severity) for event in events] == [("driver", "info")]
    assert "590.48.01" in events[0].text
    gpus = box.settle(3).gpus
    assert [gpu.index for gpu in gpus] == list(range(10))
    assert all(gpu.errors == {} and gpu.power_w is not None for gpu in gpus)


def test_xids_are_heard_again_after_the_driver_came_back(
    open_box: OpenBox, standin: Standin
) -> None:
    box = open_box()
    standin.driver_gone()
    box.sample()
    standin.driver_back()
    box.driver_returns()
    standin.xid(6, 48)
    sample = box.sample_until(lambda sample: sample.gpus[6].last_xid is not None)
    assert sample.gpus[6].last_xid == 48


def test_a_gpu_that_is_gone_after_the_driver_came_back_keeps_its_place(
    open_box: OpenBox, standin: Standin
) -> None:
    box = open_box()
    before = box.sample()
    standin.driver_gone()
    box.sample()
    standin.vanish(3)
    standin.driver_back()
    box.driver_returns()
    sample = box.sample()
    assert [gpu.uuid for gpu in sample.gpus] == [gpu.uuid for gpu in before.gpus]
    assert sample.gpus[3].lost_since_s is not None
    assert sample.gpus[3].name == "NVIDIA H100 PCIe"
    assert sample.gpus[4].power_w == pytest.approx(before.gpus[4].power_w, abs=50)


def test_a_gpu_never_met_before_the_driver_went_takes_its_place_after(
    open_box: OpenBox, standin: Standin
) -> None:
    standin.lose(2)
    box = open_box()
    box.sample()
    standin.driver_gone()
    box.sample()
    standin.restore(2)
    standin.driver_back()
    box.driver_returns()
    gpus = box.sample().gpus
    assert [gpu.uuid[4:12] for gpu in gpus] == [f"{0x51A0 + index:08x}" for index in range(10)]
    assert gpus[2].power_w is not None


def test_a_box_whose_driver_is_away_at_the_start_opens_with_a_problem(
    open_box: OpenBox, standin: Standin
) -> None:
    standin.driver_gone()
    box = open_box()
    assert (box.opened.gpu_count, box.opened.gpus) == (0, ())
    assert box.opened.problem == "The NVIDIA driver is not loaded (NVML_ERROR_DRIVER_NOT_LOADED)"
    assert box.sample().gpus == ()
    standin.driver_back()
    sample = box.settle(5)
    assert len(sample.gpus) == 10
    assert box.source.box().problem is None


def test_the_driver_is_not_asked_again_at_every_pass(open_box: OpenBox, standin: Standin) -> None:
    box = open_box()
    standin.driver_gone()
    box.sample()
    before = standin.calls()["nvmlInitWithFlags"]
    for _ in range(12):
        box.sample(0.5)
    assert standin.calls()["nvmlInitWithFlags"] - before == 2


def test_a_driver_without_gpus_is_said(open_box: OpenBox, standin: Standin) -> None:
    standin.gpus(0)
    box = open_box()
    assert box.opened.problem == "The NVIDIA driver finds no GPU"
    assert box.sample().gpus == ()


def test_a_machine_without_the_library_is_said(
    open_box: OpenBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert library_present()
    monkeypatch.setattr(library_module, "LIBRARY_NAME", "libno-such-thing.so.1")
    assert not library_present()
    box = open_box()
    assert "libnvidia-ml.so.1" in (box.opened.problem or "")
    assert "--simulate" in (box.opened.advice or "")


def test_the_driver_is_let_go_at_the_end(
    open_box: OpenBox, standin: Standin, standin_library: object
) -> None:
    box = open_box()
    box.sample()
    box.source.close()
    standin.driver_gone()
    for thread in threading.enumerate():
        if thread.name == "nvml-xid":
            thread.join(10)
    assert ctypes.CDLL("libnvidia-ml.so.1").nvmlShutdown() == nv.NVML_ERROR_UNINITIALIZED
