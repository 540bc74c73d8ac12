"""Health over what a driver says, by way of the NVML source and the stand-in library."""

from __future__ import annotations

import time
from collections.abc import Callable

from standin.fixtures import Standin
from standin.nvml_box import NvmlBox, OpenBox

from cockpit.agent.health import HealthMonitor
from cockpit.model import Event, Gpu
from cockpit.settings import Thresholds


class Ward:
    """A box and its monitor, looked at once a second."""

    def __init__(self, box: NvmlBox) -> None:
        self.box = box
        self.monitor = HealthMonitor(Thresholds())
        self.gpus: tuple[Gpu, ...] = ()
        self.events: list[Event] = []
        self.settle(15)

    def look(self) -> None:
        sample = self.box.sample()
        self.gpus, events = self.monitor.apply(self.box.source.box(), sample)
        self.events += [*sample.events, *events]

    def settle(self, seconds: int) -> None:
        for _ in range(seconds):
            self.look()

    def look_until(self, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20
        while not true():
            assert time.monotonic() < deadline
            self.look()
            time.sleep(0.01)

    def codes(self, index: int) -> list[str]:
        return [reason.code for reason in self.gpus[index].reasons]

    def told(self) -> list[tuple[int | None, str, str]]:
        return [(event.gpu_index, event.kind, event.text) for event in self.events]


def test_a_box_that_is_well_has_nothing_to_tell(open_box: OpenBox) -> None:
    ward = Ward(open_box())
    ward.settle(60)
    assert [(gpu.state, gpu.reasons) for gpu in ward.gpus] == [("ok", ())] * 10
    assert ward.events == []


def test_lost_heat_and_an_xid_are_each_named_on_their_gpu_only(
    open_box: OpenBox, standin: Standin
) -> None:
    ward = Ward(open_box())
    standin.lose(3)
    standin.overheat(2)
    standin.xid(4, 31)
    ward.look_until(lambda: ward.gpus[4].state != "ok")
    ward.settle(5)
    assert ward.gpus[3].state == "lost"
    assert ward.codes(3) == ["lost"]
    assert ward.gpus[2].state == "critical"
    assert "thermal_slowdown" in ward.codes(2)
    assert ward.gpus[4].state == "warning"
    assert ward.codes(4) == ["xid"]
    assert {gpu.index for gpu in ward.gpus if gpu.state != "ok"} == {2, 3, 4}
    told = ward.told()
    assert (3, "lost", "GPU 3 no longer answers") in told
    assert (4, "xid", "GPU 4 had a memory page fault (XID 31)") in told
    assert [index for index, kind, _ in told if kind == "throttle"] == [2]


def test_a_gpu_that_comes_back_is_told_once(open_box: OpenBox, standin: Standin) -> None:
    ward = Ward(open_box())
    standin.lose(3)
    ward.settle(5)
    standin.restore(3)
    ward.settle(15)
    assert ward.gpus[3].state == "ok"
    assert ward.told() == [
        (3, "lost", "GPU 3 no longer answers"),
        (3, "back", "GPU 3 answers again"),
    ]


def test_a_cut_link_is_missed(open_box: OpenBox, standin: Standin) -> None:
    ward = Ward(open_box())
    standin.cut_link(6, 0)
    ward.settle(25)
    assert ward.codes(6) == ["nvlink"]


def test_a_driver_that_goes_away_is_no_fault_of_any_gpu(
    open_box: OpenBox, standin: Standin
) -> None:
    ward = Ward(open_box())
    standin.driver_gone()
    ward.settle(10)
    assert all(event.kind == "driver" for event in ward.events)
    assert all(gpu.state == "critical" for gpu in ward.gpus)
    standin.driver_back()
    ward.look_until(lambda: all(gpu.state == "ok" for gpu in ward.gpus))
    ward.settle(30)
    assert all(gpu.state == "ok" for gpu in ward.gpus)
    assert not {event.kind for event in ward.events} & {"lost", "back", "throttle", "xid"}
