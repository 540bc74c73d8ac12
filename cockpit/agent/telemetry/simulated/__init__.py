"""A simulated box: no driver, no GPU, and always called SIMULATED."""

from cockpit.agent.telemetry.simulated.source import SimulatedSource

__all__ = ["SimulatedSource"]
