"""What has to be remembered about one GPU to judge its next reading."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from cockpit.model import Gpu, GpuInfo, NvLink, Reason

_HOUR_S = 3600.0
_RATE_STEP_S = 60.0


@dataclass
class Held:
    """A reason that stands."""

    reason: Reason
    seen_s: float
    """When it was last found."""
    severe_s: float
    """When it was last found as severe as it is told."""


@dataclass
class Watch:
    """One GPU as it has been so far."""

    info: GpuInfo | None
    busy_s: float
    """When it last did anything."""
    standing: dict[str, Held] = field(default_factory=dict)
    """Reasons that are told, by code."""
    coming: dict[str, float] = field(default_factory=dict)
    """Codes that are found but not yet told → since when."""
    links_seen: set[int] = field(default_factory=set)
    """NVLinks that have been active."""
    xids: dict[int, float] = field(default_factory=dict)
    """XID → when it was last reported."""
    _links: tuple[NvLink, ...] = ()
    _links_down: int = 0
    _corrected: deque[tuple[float, int]] = field(default_factory=deque)

    def busy_percent(self, gpu: Gpu) -> float | None:
        """How busy the GPU is; with MIG that is known of its slices only."""
        if gpu.utilization_percent is not None:
            return gpu.utilization_percent
        known = [gpu.sm_active_percent, *(each.sm_active_percent for each in gpu.slices)]
        return max((percent for percent in known if percent is not None), default=None)

    def corrected_in_an_hour(self, count: int, now_s: float) -> int:
        """By how much the corrected ECC count has grown in the last hour, or since the start."""
        counts = self._corrected
        if counts and count < counts[-1][1]:
            counts.clear()  # The driver was loaded anew: it counts from 0.
        if not counts or now_s - counts[-1][0] >= _RATE_STEP_S:
            counts.append((now_s, count))
        while now_s - counts[0][0] > _HOUR_S:
            counts.popleft()
        return count - counts[0][1]

    def links_down(self, gpu: Gpu) -> int:
        """NVLinks that are down though they were up before, or though others of this GPU are."""
        if gpu.nvlinks is not self._links:
            self._links = gpu.nvlinks
            self.links_seen.update(each.link for each in gpu.nvlinks if each.active)
            # A card without a bridge has links too; with none of them ever up, none is missed.
            down = sum(each.active is False for each in gpu.nvlinks)
            self._links_down = down if self.links_seen else 0
        return self._links_down

    def note_xid(self, gpu: Gpu, now_s: float) -> None:
        """Remember the last XID with those before it: a cleanup must not hide its cause."""
        if gpu.last_xid is None:
            self.xids.clear()
        elif gpu.last_xid_s is not None:
            self.xids[gpu.last_xid] = gpu.last_xid_s
        else:
            self.xids.setdefault(gpu.last_xid, now_s)
