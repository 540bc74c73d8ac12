"""Which source an agent reads from, by its settings; each is imported only when it is the one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from cockpit.agent.telemetry.source import JobLoad, Sample, Source
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


PAST_S = 600
"""Seconds of a demo's past: as much as the wall's charts show."""


def made_up_past(source: Source) -> Iterable[Sample]:
    """What a demo would have shown before now; nothing for any other source."""
    from cockpit.agent.telemetry.simulated import SimulatedSource

    return source.past(PAST_S) if isinstance(source, SimulatedSource) else ()
