"""Every fault of the simulated box is named by its health, and its end too."""

from __future__ import annotations

import pytest
from simulated_box import Box

from cockpit.agent.health import HealthMonitor
from cockpit.model import Event, Gpu
from cockpit.settings import Thresholds


def watch(box: Box, monitor: HealthMonitor, seconds: int) -> tuple[tuple[Gpu, ...], list[Event]]:
    events: list[Event] = []
    for _ in range(seconds):
        gpus, said = monitor.apply(box.info, box.sample())
        events.extend(said)
    return gpus, events


@pytest.mark.parametrize("demo", [False, True])
@pytest.mark.parametrize("kind", ["pcie", "sxm", "nvl"])
def test_a_box_without_faults_is_ok(kind: str, demo: bool) -> None:
    gpus, events = watch(Box(kind=kind, demo=demo), HealthMonitor(Thresholds()), 120)
    assert {gpu.state for gpu in gpus} == {"ok"}
    assert events == []


@pytest.mark.parametrize(
    ("fault", "state", "code", "text"),
    [
        ("lost", "lost", "lost", "GPU 6 fell off the bus (XID 79)"),
        ("hot", "critical", "thermal_slowdown", "GPU 6 is slowed hard by heat"),
        ("ecc", "critical", "ecc", "GPU 6 has 2 uncorrected memory errors"),
        ("xid", "critical", "xid", "GPU 6 had a GSP timeout (XID 119)"),
        ("link", "warning", "nvlink", "GPU 6 has 1 of 12 NVLinks down"),
        ("slow", "warning", "pcie", "GPU 6 runs PCIe x8 instead of x16"),
    ],
)
def test_a_fault_is_named_on_its_gpu_only_and_ends(
    fault: str, state: str, code: str, text: str
) -> None:
    box, monitor = Box(demo=True, faults=(f"6:{fault}",)), HealthMonitor(Thresholds())
    gpus, events = watch(box, monitor, 10)
    ill = gpus[6]
    assert ill.state == state
    assert any(r.code == code and r.text.startswith(text) for r in ill.reasons)
    assert all(gpu.state == "ok" for gpu in gpus if gpu.index != 6)
    assert all(event.gpu_index == 6 for event in events)
    box.source.fault(6, fault, clear=True)
    gpus, events = watch(box, monitor, 300)
    assert gpus[6].state == "ok"
    assert all(event.severity == "info" for event in events)
