"""Jobs of one box: a queue over job directories, each job under a shim that outlives the agent."""

from cockpit.agent.jobs.service import JobService

__all__ = ["JobService"]
