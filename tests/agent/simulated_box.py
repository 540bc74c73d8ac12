"""A simulated source with its clock in hand, for the tests of the simulation."""

from __future__ import annotations

from collections.abc import Sequence

from cockpit.agent.telemetry.processes import ProcessTable
from cockpit.agent.telemetry.simulated import SimulatedSource
from cockpit.agent.telemetry.source import JobLoad, Sample
from cockpit.model import Gpu
from cockpit.settings import AgentSettings, SimulateSettings

START_S = 1_800_000_000.0


class Box:
    """`sample` and `gpu` let the clock go on first."""

    def __init__(self, jobs: Sequence[JobLoad] = (), **simulate: object) -> None:
        self.now_s = START_S
        self.jobs = list(jobs)
        settings = AgentSettings(simulate=SimulateSettings(**simulate))  # type: ignore[arg-type]
        self.source = SimulatedSource(
            settings, ProcessTable(), lambda: self.jobs, lambda: self.now_s
        )
        self.info = self.source.open()

    def sample(self, after_s: float = 1.0) -> Sample:
        self.now_s += after_s
        return self.source.sample()

    def gpu(self, index: int, after_s: float = 1.0) -> Gpu:
        return self.sample(after_s).gpus[index]
