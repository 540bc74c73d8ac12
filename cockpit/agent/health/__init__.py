"""The state of each GPU, in plain words and with what to do about it."""

from cockpit.agent.health.monitor import HealthMonitor

__all__ = ["HealthMonitor"]
