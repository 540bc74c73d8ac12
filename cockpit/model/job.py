"""A job: what was asked for, what became of it, and what it reports."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

JobState = Literal[
    "PENDING",
    "RUNNING",
    "COMPLETING",
    "COMPLETED",
    "FAILED",
    "CANCELLED",
    "TIMEOUT",
    "NODE_FAIL",
    "LOST",
    "UNREACHABLE",
]

ENDED_STATES: frozenset[str] = frozenset(
    {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "LOST"}
)


@dataclass(frozen=True)
class Progress:
    """How far a job is, in its own unit (`done` of `total`)."""

    done: float
    total: float
    eta_s: float | None = None
    """Seconds left at the pace so far."""
    unit: str = ""


@dataclass(frozen=True)
class KernelStat:
    """The latest report of one GPU kernel: `seconds` for `count` launches in all."""

    name: str
    seconds: float
    count: int = 1
    bytes: float | None = None
    flops: float | None = None
    bytes_per_s: float | None = None
    flops_per_s: float | None = None
    roofline_percent: float | None = None
    """Share of the nearer roof of this device, memory or arithmetic."""
    limited_by: Literal["memory", "arithmetic"] | None = None
    total_seconds: float | None = None
    """Of all reports of this job together, not of the latest alone; so is `total_count`."""
    total_count: int | None = None


@dataclass(frozen=True)
class Roofline:
    """What a job said its device can do at most: what its kernels are held against."""

    bytes_per_s: float | None = None
    flops_per_s: float | None = None
    measured: bool = False
    """True if the job measured it, False if it is from a data sheet."""
    device: str = ""


Cell = str | int | float | bool | None
"""Of a table; None is a figure that there is none of, shown as —."""


@dataclass(frozen=True)
class JobImage:
    """A picture as a job told it."""

    version: int
    """Grows with each picture of the same name."""
    format: Literal["png", "jpeg"]
    data: bytes
    """The whole file; at most 2.75 MB."""


@dataclass(frozen=True)
class JobTable:
    """A table as a job told it: every row has a cell for every column."""

    version: int
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    left_out: int = 0
    """Rows beyond what an event can hold."""


@dataclass(frozen=True)
class JobText:
    """A text as a job told it; any letters may be in it, also those that steer a terminal."""

    version: int
    text: str
    left_out: int = 0
    """Letters beyond what an event can hold."""


@dataclass(frozen=True)
class JobFile:
    """A thing in a job's directory."""

    path: str
    """From where it was listed."""
    kind: Literal["file", "folder", "link", "other", "unnameable"]
    """unnameable: its name is not UTF-8, and only its own box can open it."""
    size: int
    modified_ns: int
    inode: int
    """With the two above, the version of its content."""
    mode: int = 0o644
    leads_to: str = ""
    """Of a link."""


@dataclass(frozen=True)
class JobOutput:
    """Something that a job left for others, told when it was whole."""

    path: str
    """Relative to the job directory, unless it is none of its files."""
    kind: str = ""
    """Such as hf-model or lora-adapter."""
    summary: str = ""


@dataclass(frozen=True)
class ServiceWish:
    """Of a job that serves until it is stopped: what its clients speak, and how it is ready."""

    protocol: str = "http"
    """`openai` for what answers under /v1 as OpenAI's API does."""
    ready: str = "event"
    """The workload says so itself, or a path that answers 200 then, such as /health."""
    drain_s: float = 30.0
    """How long a stop lets it finish what it is answering, unless it is told otherwise."""


@dataclass(frozen=True)
class JobService:
    """How a service is."""

    protocol: str
    state: Literal["starting", "ready", "draining", "failed", "ended"]
    port: int | None = None
    """On the loopback of its box."""
    models: tuple[str, ...] = ()
    since_s: float | None = None
    detail: str = ""


@dataclass(frozen=True)
class ArrayMember:
    """Which one of an array's jobs this is."""

    id: str
    """The id of the array's first job: what the whole array is called by."""
    index: int
    size: int


@dataclass(frozen=True)
class Job:
    """A workload on this box. Until it ends, `ended_s` and `exit_code` are None."""

    id: str
    name: str
    plugin: str | None
    command: tuple[str, ...]
    state: JobState
    reason: str = ""
    box: str = ""
    gpus: tuple[str, ...] = ()
    """UUIDs of the whole GPUs it has, or shares."""
    slices: tuple[str, ...] = ()
    """UUIDs of the MIG slices it has."""
    submitted_s: float = 0.0
    started_s: float | None = None
    """Of the present attempt."""
    ended_s: float | None = None
    exit_code: int | None = None
    progress: Progress | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    energy_j: float | None = None
    cost: float | None = None
    gpu_seconds: float | None = None
    co2_g: float | None = None
    """From its energy and the configured carbon intensity; None without either."""
    power_mean_w: float | None = None
    power_peak_w: float | None = None
    """Of its whole GPUs together, while it ran; None for a job that only has slices."""
    memory_peak_bytes: int | None = None
    """The most that its own processes held on its GPUs at once."""
    notify: bool | None = None
    """Whether its end is told; None: as it is configured."""
    errors: Mapping[str, str] = field(default_factory=dict)
    """Name of a figure above → why it is None, of a job that has started."""
    kernels: tuple[KernelStat, ...] = ()
    roofline: Roofline | None = None
    frames: tuple[str, ...] = ()
    """Names of the live fields this job draws."""
    images: Mapping[str, str] = field(default_factory=dict)
    """Name → path, relative to the job directory, of the newest picture it reported."""
    tables: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    """Names of the tables and texts it reported; `job.table` and `job.text` have their content."""
    checkpoint: str | None = None
    """Where its newest checkpoint lies."""
    outputs: Mapping[str, JobOutput] = field(default_factory=dict)
    """What it left for others, by name: `job:ID` means them."""
    service: JobService | None = None
    """Of a job that serves; its key is told by `job.service` alone."""
    views: tuple[Mapping[str, Any], ...] = ()
    """From the plugin: what its job screen shows."""
    directory: str = ""
    log_bytes: int = 0
    """How much was ever logged, what rotation has put aside included."""
    requeued_from: str | None = None
    """The id of the job that this one runs again."""
    removed: bool = False
    """The last that is told of a job: its directory is gone."""
    time_limit_s: float | None = None
    after: tuple[str, ...] = ()
    """The ids of the jobs that had to complete before this one."""
    priority: int = 0
    shared: bool = False
    """Whether others may be on its GPUs at the same time."""
    gpu_memory_bytes: int | None = None
    retries: int = 0
    attempt: int = 1
    array: ArrayMember | None = None
    placement: str = ""
    """Why these GPUs, in words."""
    left: str | None = None
    """What it left on its GPUs, in words; empty once they were seen to be free, None before."""
    secrets: tuple[str, ...] = ()
    """Names of the variables that only its environment holds the values of."""


def wants_notice(job: Job, when: Collection[str], min_seconds: float) -> bool:
    """Whether somebody is to be told that this job has ended, unless it was said otherwise for it:
    one that ended in one of these states, and ran so long."""
    if job.state not in ENDED_STATES:
        return False
    if job.notify is not None:
        return job.notify
    begun_s = job.started_s if job.started_s is not None else job.ended_s
    return job.state in when and (job.ended_s or 0.0) - (begun_s or 0.0) >= min_seconds


@dataclass(frozen=True)
class FamilyMember:
    """One of the plugins that share an environment."""

    plugin: str
    requires: tuple[str, ...] = ()


@dataclass(frozen=True)
class JobRequest:
    """Everything the agent needs to run a job; the desk has already checked the parameters."""

    name: str
    command: tuple[str, ...]
    plugin: str | None = None
    plugin_directory: str | None = None
    """Copied into the job directory before the start; the command runs inside that copy."""
    requires: tuple[str, ...] = ()
    """PEP 508 requirements of the workload's own environment."""
    environment_name: str | None = None
    """The family whose environment it runs in; None for one of its own requirements alone."""
    family: tuple[FamilyMember, ...] = ()
    """Every plugin of that family, this one too: its environment has what all of them require."""
    gpus: int | tuple[str, ...] = 1
    """A count, or the UUIDs themselves. 0 for a job that asks for slices."""
    slices: tuple[str, ...] = ()
    """One entry a slice: a MIG profile such as `2g.20gb`, or a slice's UUID."""
    gpu_memory_bytes: int | None = None
    """On each GPU: only one with so much memory, and of a shared one so much is set aside."""
    shared: bool = False
    """Its GPUs may be given to other shared jobs too, as far as `gpu_memory_bytes` go."""
    priority: int = 0
    """Higher first; -1000 to 1000."""
    retries: int = 0
    """How often it is started again when it FAILED, each time after a longer pause."""
    array: tuple[int, ...] = ()
    """One job for each index, all from this request; `COCKPIT_ARRAY_INDEX` tells them apart."""
    array_parallel: int | None = None
    """At most so many jobs of the array at once."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    """Names of variables; their values travel beside the request and are never written down."""
    working_directory: str | None = None
    """Run there, on the files as they are then."""
    snapshot_directory: str | None = None
    """Copied into the job directory at submit; the command runs inside that copy."""
    views: tuple[Mapping[str, Any], ...] = ()
    service: ServiceWish | None = None
    token: str | None = None
    """Chosen by the client: submitting the same token twice makes one job."""
    notify: bool | None = None
    """Whether its end is told; None: as the agent's settings have it."""
    time_limit_s: float | None = None
    """From its start (the building of its environment included): then it is ended as TIMEOUT."""
    after: tuple[str, ...] = ()
    """Ids of jobs: this one starts once all have COMPLETED, and never if one ends otherwise."""


@dataclass(frozen=True)
class Prospect:
    """What would become of a request that is submitted now."""

    fate: Literal["starts", "waits", "never"]
    text: str = ""
    """Why on these devices, why it would wait, or why it can never run here and what could."""
    gpus: tuple[str, ...] = ()
    slices: tuple[str, ...] = ()
    """UUIDs of what it would start on; none for one that waits."""
    builds: bool = False
    """Whether its environment has to be built first."""
