"""The NVML source on a stand-in box, with one clock for both that moves only when it is told to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from standin.fixtures import Standin

from cockpit.agent.telemetry.nvml import NvmlSource
from cockpit.agent.telemetry.processes import ProcessTable
from cockpit.agent.telemetry.source import Sample
from cockpit.model import BoxInfo, Event, Gpu
from cockpit.settings import AgentSettings

DEADLINE_S = 20.0


class NvmlBox:
    """A source, opened, and the stand-in that it reads."""

    def __init__(self, standin: Standin, settings: AgentSettings) -> None:
        self.standin = standin
        self.now_s = 50_000.0
        self.rested_s = 0.0
        self.source = NvmlSource(
            settings,
            ProcessTable(),
            clock=lambda: self.now_s,
            wall=lambda: 1e9 + self.now_s,
            rest=self.rest,
        )
        self.opened: BoxInfo = self.source.open()

    def rest(self, seconds: float) -> None:
        """Where the source would sleep."""
        self.rested_s += seconds

    def pass_on(self, seconds: float = 1.0) -> None:
        """Let time pass, for the source and for the GPUs."""
        self.now_s += seconds
        self.standin.advance(seconds)

    def sample(self, seconds: float = 1.0) -> Sample:
        """The sample after `seconds` have passed."""
        self.pass_on(seconds)
        return self.source.sample()

    def gpu(self, index: int, seconds: float = 1.0) -> Gpu:
        """One GPU of the next sample."""
        return self.sample(seconds).gpus[index]

    def settle(self, seconds: float = 12.0) -> Sample:
        """The sample after so many passes of a second that every slow reading had its turn."""
        for _ in range(int(seconds) - 1):
            self.sample()
        return self.sample()

    def sample_until(self, wanted: Callable[[Sample], bool]) -> Sample:
        """The first sample that is as wanted: for what a thread does, which no fake clock moves."""
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            sample = self.sample()
            if wanted(sample):
                return sample
            time.sleep(0.01)
        raise AssertionError("it never came")

    def driver_returns(self) -> list[Event]:
        """Sample until the driver is met again; returns the events on the way."""
        events: list[Event] = []

        def met(sample: Sample) -> bool:
            events.extend(sample.events)
            return self.source.box().problem is None

        self.sample_until(met)
        return events


OpenBox = Callable[..., NvmlBox]


@pytest.fixture
def open_box(standin: Standin) -> Iterator[OpenBox]:
    """Opens a source on the stand-in; told first, the stand-in is what the source finds."""
    boxes: list[NvmlBox] = []

    def open_it(**settings: object) -> NvmlBox:
        boxes.append(NvmlBox(standin, AgentSettings(**settings)))  # type: ignore[arg-type]
        return boxes[-1]

    yield open_it
    for box in boxes:
        box.source.close()
