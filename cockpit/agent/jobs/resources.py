"""What a box has to give to jobs: whole GPUs and slices, and what speaks against handing one out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from cockpit.agent.jobs.topology import Topology, topology
from cockpit.model import BoxInfo, Gpu, GpuInfo, JobRequest, Process, Slice, Snapshot

Obstacle = Literal["", "EXTERNAL", "LEAKED", "critical", "lost"]
GIB = 1 << 30


@dataclass(frozen=True)
class Device:
    """A whole GPU, or a slice of one."""

    uuid: str
    gpu_index: int
    profile: str = ""
    """The MIG profile of a slice; empty for a whole GPU."""
    memory_bytes: int | None = None
    obstacle: Obstacle = ""
    details: str = ""
    """Of the obstacle: who is there, by pid and user."""
    temperature_c: float | None = None

    @property
    def name(self) -> str:
        """`GPU 3`, or `slice 2g.20gb of GPU 3`."""
        gpu = f"GPU {self.gpu_index}"
        return f"slice {self.profile} of {gpu}" if self.profile else gpu

    @property
    def trouble(self) -> str:
        """`EXTERNAL (pid 4242 of ana)`; empty without an obstacle."""
        return f"{self.obstacle} ({self.details})" if self.details else self.obstacle


@dataclass(frozen=True)
class Wish:
    """What a job needs to start: equal wishes have equal chances."""

    gpus: int | tuple[str, ...] = 0
    """A count, or the UUIDs themselves."""
    slices: tuple[str, ...] = ()
    """A profile or a UUID for each."""
    memory_bytes: int | None = None
    """On each device; of a shared one so much is set aside."""
    shared: bool = False
    limit_s: float | None = None
    """The most that it runs; None for no limit."""

    @property
    def empty(self) -> bool:
        """True for a job that needs no device at all."""
        return self.gpus in (0, ()) and not self.slices


def wish_of(request: JobRequest) -> Wish:
    """The part of a request that is about devices and time."""
    return Wish(
        request.gpus,
        tuple(sorted(request.slices)),
        request.gpu_memory_bytes,
        request.shared,
        request.time_limit_s,
    )


@dataclass(frozen=True)
class Resources:
    """Everything there is, at one moment."""

    devices: tuple[Device, ...] = ()
    """GPUs that are not in MIG mode in index order, then every slice."""
    sliced: tuple[GpuInfo, ...] = ()
    """GPUs in MIG mode: never given as a whole."""
    topology: Topology = field(default_factory=Topology)

    @property
    def gpus(self) -> tuple[Device, ...]:
        """The whole GPUs."""
        return tuple(device for device in self.devices if not device.profile)

    @property
    def slices(self) -> tuple[Device, ...]:
        """The slices."""
        return tuple(device for device in self.devices if device.profile)


@dataclass(frozen=True)
class Tenancy:
    """What the queue knows of who may be on a device, by its UUID."""

    holders: Mapping[str, Collection[str]] = field(default_factory=dict)
    """The jobs that have it now."""
    ended: Container[str] = ()
    """The jobs that are over: a process of theirs is a leftover."""
    leaks: Mapping[str, str] = field(default_factory=dict)
    """What ended jobs are known to have left, in words."""
    alive: Callable[[Process], bool] = lambda process: True
    """False for a process that a list of some seconds ago still shows."""


def survey(box: BoxInfo, snapshot: Snapshot, tenancy: Tenancy | None = None) -> Resources:
    """The devices of a box as they were last seen."""
    known = {gpu.uuid: gpu for gpu in snapshot.gpus}
    tenancy = tenancy or Tenancy()
    whole, cut, slices = [], [], []
    for info in box.gpus:
        gpu = known.get(info.uuid)
        if gpu is not None and (gpu.mig_enabled or gpu.slices):
            cut.append(info)
            slices += [_slice(gpu, each, tenancy) for each in gpu.slices]
        else:
            whole.append(_whole(info, gpu, tenancy))
    return Resources((*whole, *slices), tuple(cut), topology(box))


def _whole(info: GpuInfo, gpu: Gpu | None, tenancy: Tenancy) -> Device:
    if gpu is None or gpu.state == "lost":
        return Device(info.uuid, info.index, memory_bytes=info.memory_total_bytes, obstacle="lost")
    obstacle, details = _obstacle(gpu, gpu.uuid, gpu.processes, tenancy)
    return Device(
        info.uuid,
        info.index,
        memory_bytes=info.memory_total_bytes or gpu.memory_total_bytes,
        obstacle=obstacle,
        details=details,
        temperature_c=gpu.temperature_c,
    )


def _slice(gpu: Gpu, part: Slice, tenancy: Tenancy) -> Device:
    obstacle, details = _obstacle(gpu, part.uuid, part.processes, tenancy)
    return Device(part.uuid, gpu.index, part.profile, part.memory_total_bytes, obstacle, details)


def _obstacle(
    gpu: Gpu, uuid: str, processes: Sequence[Process], tenancy: Tenancy
) -> tuple[Obstacle, str]:
    if gpu.state == "lost":
        return "lost", ""
    if uuid in tenancy.leaks:
        return "LEAKED", tenancy.leaks[uuid]
    holders = tenancy.holders.get(uuid, ())
    others = [
        process
        for process in processes
        if process.kind != "graphics"
        and process.job not in holders
        # One that /proc does not show may be the holder's own, seen from another pid namespace.
        and not (holders and process.start_ticks is None)
        and tenancy.alive(process)
    ]
    left = [process for process in others if process.job in tenancy.ended]
    if left:
        return "LEAKED", f"{people(left)}, left by job {left[0].job}"
    if others:
        return "EXTERNAL", people(others)
    return ("critical", "") if gpu.state == "critical" else ("", "")


def people(processes: Sequence[Process]) -> str:
    """`pid 123 of ana, pid 124 of ana and 3 more`."""
    named = [f"pid {each.pid} of {each.user or 'unknown'}" for each in processes[:3]]
    more = f" and {len(processes) - 3} more" if len(processes) > 3 else ""
    return ", ".join(named) + more


def refusal(wish: Wish, resources: Resources) -> str:
    """Why this can never run on what the box has now, and what could; empty if it could."""
    if wish.shared and not wish.empty and wish.memory_bytes is None:
        return (
            "a shared job has to say how much memory it needs on each GPU: add --gpu-memory, such as"
            " --gpu-memory 20G"
        )
    if isinstance(wish.gpus, tuple):
        return _refuse_named(wish.gpus, resources) or _refuse_slices(wish, resources)
    return _refuse_count(wish, resources) or _refuse_slices(wish, resources)


def _refuse_count(wish: Wish, resources: Resources) -> str:
    count, gpus = wish.gpus, resources.gpus
    assert isinstance(count, int)
    if count < 0:
        return f"{count} GPUs make no sense: ask for 0 to {len(gpus)}"
    if count > len(gpus):
        cut = resources.sliced
        but = f" that {'is' if len(gpus) == 1 else 'are'} not cut into slices" if cut else ""
        instead = f"ask for at most {len(gpus)}" if gpus else "ask for --slice instead"
        return f"it asks for {count_gpus(count)} and this box has {len(gpus)}{but}: {instead}"
    large = [gpu for gpu in gpus if large_enough(gpu, wish)]
    if count > len(large):
        most = max(gpu.memory_bytes or 0 for gpu in gpus)
        wanted = f"{(wish.memory_bytes or 0) / GIB:.1f} GiB".replace(".0 ", " ")
        if large:
            return (
                f"only {count_gpus(len(large))} here {'has' if len(large) == 1 else 'have'}"
                f" {wanted}: ask for at most {len(large)}, or for less --gpu-memory"
            )
        advice = f"ask for --gpu-memory {most // GIB}G or less"
        fitting = -(-(wish.memory_bytes or 0) * count // max(1, most))
        if fitting <= len(gpus):
            advice += f", or for {count_gpus(fitting)} with so much"
        return f"no GPU here has {wanted}; the largest has {most / GIB:.1f} GiB: {advice}"
    return ""


def _refuse_named(uuids: tuple[str, ...], resources: Resources) -> str:
    cut = {info.uuid: info for info in resources.sliced}
    for uuid in uuids:
        if uuid in cut:
            have = _profiles(resources, cut[uuid].index)
            return f"GPU {cut[uuid].index} is cut into slices ({have}): ask for --slice instead"
    unknown = sorted(set(uuids) - {gpu.uuid for gpu in resources.gpus})
    if unknown:
        return f"this box has no GPU {', '.join(unknown)}: see `cockpit status`"
    if len(set(uuids)) != len(uuids):
        return "it names the same GPU twice: name each once"
    return ""


def _refuse_slices(wish: Wish, resources: Resources) -> str:
    if not wish.slices:
        return ""
    slices = resources.slices
    if not slices:
        return "this box has no slices: no GPU of it is in MIG mode"
    uuids = {part.uuid for part in slices}
    have = Counter(part.profile.lower() for part in slices if large_enough(part, wish))
    for name, count in Counter(each.lower() for each in wish.slices).items():
        if is_uuid(name):
            if name not in {uuid.lower() for uuid in uuids}:
                return f"this box has no slice {name}: see `cockpit status --json`"
            if count > 1:
                return f"it names slice {name} twice: name each once"
        elif count > have[name]:
            wanted = f"{count} slices {name}" if count > 1 else f"a slice {name}"
            memory = ""
            if wish.memory_bytes is not None:
                memory = f" with {wish.memory_bytes / GIB:.1f} GiB"
            return (
                f"it asks for {wanted}{memory} and this box has {have[name]}:"
                f" there are {_profiles(resources)}"
            )
    return ""


def _profiles(resources: Resources, gpu_index: int | None = None) -> str:
    found = Counter(
        part.profile for part in resources.slices if gpu_index in (None, part.gpu_index)
    )
    return ", ".join(f"{count} × {name}" for name, count in sorted(found.items())) or "none"


def large_enough(device: Device, wish: Wish) -> bool:
    """Whether the device has the memory that is asked for."""
    return wish.memory_bytes is None or (device.memory_bytes or 0) >= wish.memory_bytes


def is_uuid(name: str) -> bool:
    """True for what names one slice, False for a profile."""
    return name.lower().startswith("mig-")


def count_gpus(count: int) -> str:
    """`1 GPU`, `2 GPUs`."""
    return "1 GPU" if count == 1 else f"{count} GPUs"
