"""What a workload imports: `from cockpit.sdk import job`.

Standard library only, so that it runs in any environment. Under cockpit every call becomes an
event that the job screen shows; anywhere else the same calls print short lines, so that
`python workload.py` works by itself.
"""

from __future__ import annotations

from cockpit.sdk.frames import Frame, FrameReader, FrameWriter
from cockpit.sdk.parameters import Parameters
from cockpit.sdk.workload import Job

__all__ = ["Frame", "FrameReader", "FrameWriter", "Job", "Parameters", "job"]

job = Job()
"""This process's job, read from the environment on first use."""
