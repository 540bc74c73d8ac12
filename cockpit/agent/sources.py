"""Which source an agent reads from, by its settings; each is imported only when it is the one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cockpit.agent.telemetry.source import JobLoad, Source
from cockpit.model import SourceKind
from cockpit.settings import AgentSettings


def source_kind(settings: AgentSettings) -> SourceKind:
    """What `settings.source` means on this machine: `auto` is nvml where there is a driver library."""
    if settings.source != "auto":
        return settings.source
    from cockpit.agent.telemetry.nvml import library_present

    return "nvml" if library_present() else "simulated"


def make_source(
    kind: SourceKind, settings: AgentSettings, loads: Callable[[], Sequence[JobLoad]]
) -> Source:
    """A source of that kind, not yet opened."""
    if kind == "replay":
        from cockpit.agent.telemetry.replay import ReplaySource

        return ReplaySource(settings)
    from cockpit.agent.telemetry.processes import ProcessTable

    if kind == "nvml":
        from cockpit.agent.telemetry.nvml import NvmlSource

        return NvmlSource(settings, ProcessTable())
    from cockpit.agent.telemetry.simulated import SimulatedSource

    return SimulatedSource(settings, ProcessTable(), loads)
