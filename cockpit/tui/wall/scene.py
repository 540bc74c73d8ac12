"""What the blocks of the wall read: the live state, the last minutes, what is selected."""

from __future__ import annotations

from dataclasses import dataclass, field

from cockpit.model import BoxInfo, Gpu, GpuInfo, Job, Snapshot
from cockpit.tui.live import Live
from cockpit.tui.trail import Trail
from cockpit.tui.wall.words import all_processes, mark


@dataclass
class Trails:
    """The last minutes of one GPU."""

    power_w: Trail = field(default_factory=Trail)
    temperature_c: Trail = field(default_factory=Trail)


@dataclass
class Scene:
    """Shared by all blocks of one wall."""

    live: Live
    trails: dict[str, Trails] = field(default_factory=dict)
    total_w: Trail = field(default_factory=Trail)
    selected: int = 0
    """Position (not index) of the selected GPU."""
    words: str = ""
    """What the filter was given; GPUs that do not match are faint."""
    guessed_count: int = 10
    """How many GPUs to leave room for before the box has answered."""

    @property
    def count(self) -> int:
        """GPUs on the wall."""
        if self.live.snapshot is not None and self.live.snapshot.gpus:
            return len(self.live.snapshot.gpus)
        if self.live.box is not None and self.live.box.gpu_count:
            return self.live.box.gpu_count
        return self.guessed_count

    def gpu(self, position: int) -> Gpu | None:
        """The figures of a GPU; None while the driver has not answered."""
        snapshot = self.live.snapshot
        if snapshot is None or position >= len(snapshot.gpus):
            return None
        return snapshot.gpus[position]

    def info(self, gpu: Gpu) -> GpuInfo | None:
        """The static facts of a GPU."""
        for info in self.live.box.gpus if self.live.box else ():
            if info.uuid == gpu.uuid:
                return info
        return None

    def trail(self, uuid: str) -> Trails:
        """The last minutes of a GPU."""
        return self.trails.setdefault(uuid, Trails())

    def keep(self, snapshot: Snapshot) -> None:
        """Add a snapshot to the last minutes."""
        for gpu in snapshot.gpus:
            trail = self.trail(gpu.uuid)
            trail.power_w.add(snapshot.time_s, gpu.power_w)
            trail.temperature_c.add(snapshot.time_s, gpu.temperature_c)
        self.total_w.add(snapshot.time_s, snapshot.totals.power_w)

    def matches(self, gpu: Gpu, job: Job | None) -> bool:
        """Whether a GPU has every word of the filter somewhere."""
        if not self.words:
            return True
        parts = [str(gpu.index), gpu.name, gpu.state, mark(gpu)[0]]
        parts += [reason.text for reason in gpu.reasons]
        parts += [f"{process.user} {process.command}" for process in all_processes(gpu)]
        if job is not None:
            parts += [f"#{job.id}", job.name, job.plugin or ""]
        text = " ".join(parts).casefold()
        return all(word in text for word in self.words.casefold().split())


def power_top(gpu: Gpu, info: GpuInfo | None) -> float:
    """The top of a GPU's power scale: the most its limit can be, which no setting changes."""
    limits = [gpu.power_limit_w, info.power_limit_max_w if info else None]
    return max((limit for limit in limits if limit), default=350.0)


def budget(box: BoxInfo | None, snapshot: Snapshot | None) -> float | None:
    """The watts the box may draw: its budget, or else the sum of the limits."""
    if box is not None and box.power_budget_w:
        return box.power_budget_w
    return snapshot.totals.power_limit_w if snapshot is not None else None


def bridged(live: Live, left: Gpu, right: Gpu) -> str:
    """How two neighbours hang together over NVLink: `up`, `down` (a link is dead), or nothing."""
    infos = {info.uuid: info for info in live.box.gpus} if live.box else {}
    info = infos.get(left.uuid)
    if info is None or info.nvlink_peers != (right.index,):
        return ""
    dead = any(link.active is False for gpu in (left, right) for link in gpu.nvlinks) or "lost" in (
        left.state,
        right.state,
    )
    return "down" if dead else "up"
