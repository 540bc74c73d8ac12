"""The real source: NVIDIA's management library, read cheaply and truthfully."""

from cockpit.agent.telemetry.nvml.library import library_present
from cockpit.agent.telemetry.nvml.source import NvmlSource

__all__ = ["NvmlSource", "library_present"]
