"""The nouns that cross every boundary, as frozen dataclasses with units in their names.

Times are Unix seconds (`_s`) unless a docstring says otherwise. A figure that could not be read is
None, and its reason stands in `Gpu.errors`; it is never 0.
"""

from __future__ import annotations

from cockpit.model.box import (
    HISTORY_METRICS,
    THROTTLE_BITS,
    BoxInfo,
    Event,
    Gpu,
    GpuInfo,
    GpuState,
    NvLink,
    Process,
    Reason,
    Series,
    Severity,
    Slice,
    Snapshot,
    SourceKind,
    Totals,
)
from cockpit.model.documents import (
    SCHEMA,
    reason_line,
    status_document,
)
from cockpit.model.job import (
    ENDED_STATES,
    ArrayMember,
    Cell,
    FamilyMember,
    Job,
    JobFile,
    JobImage,
    JobOutput,
    JobRequest,
    JobState,
    JobTable,
    JobText,
    KernelStat,
    Progress,
    Prospect,
    Roofline,
    wants_notice,
)
from cockpit.model.usage import LedgerEntry, Run

__all__ = [
    "ENDED_STATES",
    "HISTORY_METRICS",
    "SCHEMA",
    "THROTTLE_BITS",
    "ArrayMember",
    "BoxInfo",
    "Cell",
    "Event",
    "FamilyMember",
    "Gpu",
    "GpuInfo",
    "GpuState",
    "Job",
    "JobFile",
    "JobImage",
    "JobOutput",
    "JobRequest",
    "JobState",
    "JobTable",
    "JobText",
    "KernelStat",
    "LedgerEntry",
    "NvLink",
    "Process",
    "Progress",
    "Prospect",
    "Reason",
    "Roofline",
    "Run",
    "Series",
    "Severity",
    "Slice",
    "Snapshot",
    "SourceKind",
    "Totals",
    "reason_line",
    "status_document",
    "wants_notice",
]
