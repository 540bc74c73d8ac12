"""What a job used, from what its GPUs told while it ran: energy, power, memory.

Energy is the difference of the GPU's own counter. It is claimed for a job only if the GPU was its
alone: a counter does not say which of two processes drew the power, and a MIG slice has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any

from cockpit.agent.jobs.shim import boot_id
from cockpit.model import Gpu, Process, Snapshot

JOULES_PER_KWH = 3_600_000.0
MOST_W = 2000.0
"""No GPU draws more: a counter that ran ahead of this was started anew in between."""
SLACK_S = 10.0
SMALL_SHARE = 0.01
"""So much of its time may be shared or unreadable before its energy is not claimed."""
JUMP_S = 2.0
"""A clock that differs by more from the monotonic one has been set; less is how late a reading came."""
SHORTEST_S = 1.0
"""A mean over less than one reading means nothing."""


@dataclass(frozen=True)
class Rates:
    """What a kilowatt hour costs and stands for; None where that is not configured."""

    price_per_kwh: float | None = None
    co2_g_per_kwh: float | None = None

    def cost(self, energy_j: float | None) -> float | None:
        """In the currency of the price."""
        return _times(energy_j, self.price_per_kwh)

    def co2_g(self, energy_j: float | None) -> float | None:
        """Grams."""
        return _times(energy_j, self.co2_g_per_kwh)


def _times(energy_j: float | None, per_kwh: float | None) -> float | None:
    return None if energy_j is None or per_kwh is None else energy_j / JOULES_PER_KWH * per_kwh


@dataclass
class _Meter:
    """One GPU's counter, as far as the job is concerned."""

    energy_j: float = 0.0
    counted_s: float = 0.0
    shared_s: float = 0.0
    """Of the job's time on it, when others were on it too."""
    unknown_s: float = 0.0
    last: tuple[float, float] | None = None
    """Time and counter of the last reading."""
    who: str = ""
    """Who shared it last."""
    error: str = ""
    """Why its counter could not be read last."""

    def claimable(self) -> str:
        """Why this energy is not the job's alone, or not all of it; empty if it is."""
        whole_s = self.counted_s + self.unknown_s
        if not self.counted_s:
            return self.error and f"its energy counter: {self.error}"
        if self.shared_s > SMALL_SHARE * whole_s:
            return f"shared with {self.who} for {self.shared_s:.0f} s, and one counter serves all"
        if self.unknown_s > SMALL_SHARE * whole_s:
            return f"its counter was started anew, which leaves {self.unknown_s:.0f} s unknown"
        return ""


class Account:
    """The figures of one job so far, over all of its attempts; goes on from what `plain` gave."""

    def __init__(
        self,
        job: str,
        gpus: Iterable[str],
        slices: Iterable[str] = (),
        saved: Mapping[str, Any] | None = None,
    ) -> None:
        self.gpus, self.slices = tuple(gpus), frozenset(slices)
        self.power_peak_w: float | None = None
        self.memory_peak_bytes: int | None = None
        self.clock_shift_s = 0.0
        """How far the clock was set while it ran: no part of its time."""
        self.saved_s = 0.0
        self._job = job
        self._clock: tuple[float, float, str] | None = None
        """Wall clock, monotonic clock and boot of the last reading."""
        self._attempt = (0.0, 0.0)
        """When the present attempt started by the clock of then, and how far it was set since."""
        self._meters: dict[str, _Meter] = {}
        self._load(saved or {})

    def observe(
        self,
        snapshot: Snapshot,
        started_s: float,
        ended_s: float | None,
        monotonic_s: float | None = None,
    ) -> None:
        """Take in one reading. `started_s` is that of the present attempt, `ended_s` its end if known."""
        self._follow_clock(snapshot.time_s, started_s, ended_s, monotonic_s)
        begun_s = started_s + self._attempt[1]
        found = [gpu for gpu in snapshot.gpus if gpu.uuid in self.gpus]
        for gpu in found:
            self._read(gpu, snapshot.time_s, begun_s, ended_s)
        if snapshot.time_s < begun_s or (ended_s is not None and snapshot.time_s > ended_s):
            return
        powers = [gpu.power_w for gpu in found if gpu.power_w is not None]
        if found and len(powers) == len(found):
            self.power_peak_w = max(self.power_peak_w or 0.0, sum(powers))
        held = [each.memory_used_bytes for each in self._own(snapshot)]
        if held and None not in held:
            total = sum(size or 0 for size in held)
            self.memory_peak_bytes = max(self.memory_peak_bytes or 0, total)

    def _read(self, gpu: Gpu, time_s: float, begun_s: float, ended_s: float | None) -> None:
        meter = self._meters.setdefault(gpu.uuid, _Meter())
        if gpu.energy_j is None:
            meter.error = gpu.errors.get("energy_j", "it did not answer")
            return
        before, meter.last = meter.last, (time_s, gpu.energy_j)
        if before is None or time_s <= before[0]:
            return
        elapsed_s, joules = time_s - before[0], gpu.energy_j - before[1]
        until_s = time_s if ended_s is None else min(ended_s, time_s)
        ran_s = max(0.0, until_s - max(begun_s, before[0]))
        # A counter that went down, or up beyond all bounds, was started anew with the driver.
        if not 0 <= joules <= MOST_W * (elapsed_s + SLACK_S):
            meter.unknown_s += ran_s
            return
        meter.energy_j += joules * ran_s / elapsed_s
        meter.counted_s += ran_s
        others = self._others(gpu)
        if others:
            meter.shared_s += ran_s
            meter.who = others

    def _others(self, gpu: Gpu) -> str:
        """Who else computes on it. A screen that is drawn on it draws next to nothing."""
        for process in gpu.processes:
            if process.job != self._job and process.kind != "graphics":
                if process.job is not None:
                    return f"job {process.job}"
                return f"process {process.pid} of {process.user or 'somebody'}"
        return ""

    def _own(self, snapshot: Snapshot) -> Iterator[Process]:
        for gpu in snapshot.gpus:
            places = [gpu.processes] if gpu.uuid in self.gpus else []
            places += [part.processes for part in gpu.slices if part.uuid in self.slices]
            for processes in places:
                yield from (each for each in processes if each.job == self._job)

    def _follow_clock(
        self, time_s: float, started_s: float, ended_s: float | None, monotonic_s: float | None
    ) -> None:
        """Notice that the clock was set, and bring what was read before to the new one."""
        now = (time_s, monotonic() if monotonic_s is None else monotonic_s, boot_id())
        before, self._clock = self._clock, now
        if started_s != self._attempt[0]:
            self._attempt = (started_s, 0.0)
        if before is None or before[2] != now[2] or ended_s is not None:
            return
        jump_s = (now[0] - before[0]) - (now[1] - before[1])
        if abs(jump_s) < JUMP_S:
            return
        self.clock_shift_s += jump_s
        self._attempt = (started_s, self._attempt[1] + jump_s)
        for meter in self._meters.values():
            if meter.last is not None:
                meter.last = (meter.last[0] + jump_s, meter.last[1])

    # What it comes to

    @property
    def gpu_energy_j(self) -> dict[str, float]:
        """By GPU; empty if it cannot be claimed."""
        if self.energy_j is None:
            return {}
        return {uuid: meter.energy_j for uuid, meter in self._meters.items()}

    @property
    def energy_j(self) -> float | None:
        """Of all its GPUs; None with a reason in `errors`."""
        if self._why_no_energy():
            return None
        return sum(meter.energy_j for meter in self._meters.values())

    @property
    def power_mean_w(self) -> float | None:
        """Of its GPUs together, whoever else was on them."""
        meters = [self._meters.get(uuid, _Meter()) for uuid in self.gpus]
        if not meters or any(meter.counted_s < SHORTEST_S for meter in meters):
            return None
        return sum(meter.energy_j / meter.counted_s for meter in meters)

    @property
    def errors(self) -> dict[str, str]:
        """Name of a figure → why it is None."""
        found = {}
        if why := self._why_no_energy():
            found["energy_j"] = why
        if self.power_mean_w is None:
            found["power_mean_w"] = (
                self._why_no_device() or "its GPUs were not read twice while it ran"
            )
        if self.power_peak_w is None:
            found["power_peak_w"] = self._why_no_device() or "no reading of its power"
        if self.memory_peak_bytes is None:
            none = not self.gpus and not self.slices
            found["memory_peak_bytes"] = (
                "it has no GPU" if none else "no process of it was seen on its GPUs"
            )
        return found

    def _why_no_device(self) -> str:
        if self.gpus:
            return ""
        return "a slice has no meter of its own" if self.slices else "it has no GPU"

    def _why_no_energy(self) -> str:
        if why := self._why_no_device():
            return why
        for meter in self._meters.values():
            if why := meter.claimable():
                return why
        if not any(meter.counted_s for meter in self._meters.values()):
            return "its GPUs were not read twice while it ran"
        return ""

    # From and to accounting.json

    def plain(self) -> dict[str, Any]:
        """What another Account continues from."""
        return {
            "meters": {uuid: vars(meter) for uuid, meter in self._meters.items()},
            "power_peak_w": self.power_peak_w,
            "memory_peak_bytes": self.memory_peak_bytes,
            "clock": self._clock,
            "clock_shift_s": self.clock_shift_s,
            "attempt": self._attempt,
        }

    def _load(self, saved: Mapping[str, Any]) -> None:
        try:
            for uuid, plain in saved.get("meters", {}).items():
                last = plain["last"]
                meter = _Meter(**{**plain, "last": None if last is None else (last[0], last[1])})
                self._meters[uuid] = meter
            self.power_peak_w = saved.get("power_peak_w")
            self.memory_peak_bytes = saved.get("memory_peak_bytes")
            clock, attempt = saved.get("clock"), saved.get("attempt", (0.0, 0.0))
            self._clock = None if clock is None else (clock[0], clock[1], clock[2])
            self.clock_shift_s = saved.get("clock_shift_s", 0.0)
            self._attempt = (attempt[0], attempt[1])
        except (TypeError, KeyError, IndexError, AttributeError):
            # Another version wrote it: what it had counted is lost, what comes is not.
            self._meters, self._clock = {}, None
