"""Which devices a waiting job gets, and when: pure functions over what is known.

The policy, in order:

1. Higher priority first, then the order of submission.
2. All or nothing: a job gets every device it asked for at once, or waits.
3. A job that must wait is promised devices: those that are free or that the time limits of the jobs
   on them say are given back first. A later job may pass it only if it cannot delay that: it uses
   other devices, or ends by its own time limit before. So no stream of small jobs can starve a big
   one. Without a time limit a job counts as never ending, and a device that is promised to somebody
   whose time nobody can tell is kept as soon as it becomes free.
4. What no job of ours can give back (a stranger's GPU, a lost one) promises nothing: whoever waits
   for that lets the others past until it is back.

This is backfilling: of EASY (Lifka, The ANL/IBM SP Scheduling System, JSSPP 1995) the promise to the
first waiting job, which no later decision can delay; of its conservative kind (Mu'alem and
Feitelson, IEEE TPDS 12(6), 2001, doi:10.1109/71.932708) that the next ones, PROMISES in all, have
one too, because a first job that waits for one named GPU must not leave all others unprotected.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from cockpit.agent.jobs.board import NEVER, Board, Hold
from cockpit.agent.jobs.resources import (
    Device,
    Resources,
    Wish,
    count_gpus,
    is_uuid,
    large_enough,
)
from cockpit.agent.jobs.topology import listed

PROMISES = 50
"""So many waiting jobs have devices promised to them; the others are told that they wait behind."""
EXPLAINED = 20
"""So many are told in detail why they wait: the others' reason does not change with every start."""


@dataclass(frozen=True)
class Waiting:
    """A job in the queue, in the order in which they are served."""

    job: str
    wish: Wish


@dataclass(frozen=True)
class Decision:
    """What becomes of a waiting job now: its devices and why these, or None and why it waits."""

    job: str
    devices: tuple[Device, ...] | None
    reason: str = ""
    why: str = ""


@dataclass(frozen=True)
class _Need:
    """A part of a wish: so many devices of one kind, or certain ones."""

    count: int
    profile: str = ""
    uuids: tuple[str, ...] = ()


def decide(
    queue: Sequence[Waiting], resources: Resources, holds: Sequence[Hold], now_s: float
) -> tuple[Decision, ...]:
    """What becomes of every waiting job, in the order of the queue."""
    one_pass = _Pass(resources, holds, now_s)
    return tuple([one_pass.decide(waiting) for waiting in queue])


class _Pass:
    """One walk through the queue."""

    def __init__(self, resources: Resources, holds: Sequence[Hold], now_s: float) -> None:
        self._resources = resources
        self._board = Board(holds, now_s)
        self._failed: dict[Wish, tuple[str, str]] = {}
        """Wishes that could not be met in this pass: whatever comes later makes it no easier. With
        the first job that has it, and what the others are told."""
        self._waiting = 0
        self._promised = 0
        self._hopeless: set[Wish] = set()
        """Wishes to which a promise was made though nobody can tell when any device of theirs is
        free: for an exclusive job the next such promise is of the same ones, and changes nothing."""
        self._known: dict[tuple[_Need, int | None, tuple[str, ...]], list[Device]] = {}

    def decide(self, waiting: Waiting) -> Decision:
        job, wish = waiting.job, waiting.wish
        if wish.empty:
            return Decision(job, ())
        if not self._resources.devices:
            return Decision(job, None, "waiting until the GPUs have been read")
        failed = self._failed.get(wish)
        if failed is None:
            devices = self._now(wish)
            if devices is not None:
                why = self._why(wish, devices)
                self._board.take(job, wish, devices)
                return Decision(job, devices, why=why)
        self._waiting += 1
        reason = failed[1] if failed else f"waiting for {_wanted(wish)} behind earlier jobs"
        if failed is None:
            self._failed[wish] = (job, reason)
        if self._waiting <= EXPLAINED:
            reason = f"waiting behind job {failed[0]}" if failed else self._reason(wish)
        if self._promised < PROMISES:
            self._promise(job, wish)
        return Decision(job, None, reason)

    def _now(self, wish: Wish) -> tuple[Device, ...] | None:
        """The devices to start on, if all of them are free and promised to nobody before."""
        chosen: list[Device] = []
        for need in needs(wish):
            free = [
                device
                for device in self._candidates(need, wish)
                if self._board.fits(device, wish) and not self._board.kept_for(device, wish)
            ]
            if len(free) < need.count:
                return None
            chosen += self._best(free, need, wish)
        return tuple(chosen)

    def _promise(self, job: str, wish: Wish) -> None:
        """Keep for a waiting job what it can have first; nothing if jobs cannot give it enough."""
        if wish in self._hopeless:
            self._promised += 1
            return
        found: list[tuple[_Need, list[tuple[float, Device]]]] = []
        start_s, soonest_s = self._board.now_s, NEVER
        for need in needs(wish):
            times = [
                (self._board.free_from_s(device, wish), device)
                for device in self._candidates(need, wish)
            ]
            times.sort(key=lambda each: (each[0], each[1].gpu_index, each[1].uuid))
            if len(times) < need.count:
                return
            start_s = max(start_s, times[need.count - 1][0])
            soonest_s = min(soonest_s, times[0][0])
            found.append((need, times))
        chosen: list[Device] = []
        for need, times in found:
            ready = [device for time_s, device in times if time_s <= start_s]
            # Where nobody can tell, those that are free already or that are known to be come first.
            chosen += ready[: need.count] if start_s == NEVER else self._best(ready, need, wish)
        self._board.promise(job, wish, chosen, start_s)
        self._promised += 1
        if soonest_s == NEVER and not wish.shared:
            self._hopeless.add(wish)

    def _candidates(self, need: _Need, wish: Wish) -> list[Device]:
        """The devices that this need could ever be met with, as things are."""
        key = (need, wish.memory_bytes, wish.slices)
        if key not in self._known:
            usable = _usable_named if need.uuids else _usable
            self._known[key] = [
                device for device in self._resources.devices if usable(device, need, wish)
            ]
        return self._known[key]

    def _best(self, free: Sequence[Device], need: _Need, wish: Wish) -> list[Device]:
        """The devices that belong together best, and leave most to others."""
        if need.uuids:
            return list(free)
        if need.profile:
            # Where most is taken already: whole GPUs of free slices can be cut anew.
            left = Counter(device.gpu_index for device in free)
            return sorted(free, key=lambda each: (left[each.gpu_index], each.gpu_index))[
                : need.count
            ]
        chosen = []
        if wish.shared:
            chosen = [device for device in free if self._board.holders(device)][: need.count]
        rest = {device.gpu_index: device for device in free if device not in chosen}
        heat_c = {index: device.temperature_c for index, device in rest.items()}
        missing = need.count - len(chosen)
        if missing:
            indices = self._resources.topology.choose(rest, missing, heat_c)
            chosen += [rest[index] for index in indices]
        return sorted(chosen, key=lambda device: device.gpu_index)

    # In words

    def _why(self, wish: Wish, devices: Sequence[Device]) -> str:
        """Why these devices, as one sentence."""
        if wish.slices:
            return ", ".join(dict.fromkeys(device.name for device in devices))
        indices = [device.gpu_index for device in devices]
        gpus = f"GPU{'s' if len(indices) > 1 else ''} {listed(indices)}"
        if isinstance(wish.gpus, tuple):
            return f"{gpus}: as named"
        others = sorted({job for device in devices for job in self._board.holders(device)}, key=int)
        if others:
            return f"{gpus}: shared with job {listed([int(job) for job in others])}"
        free = {
            device.gpu_index
            for device in self._resources.gpus
            if not device.obstacle and not self._board.holders(device)
        }
        return f"{gpus}: {self._resources.topology.why(indices, free)}"

    def _reason(self, wish: Wish) -> str:
        """Why the wish cannot be met now: which devices are missing, and who has them."""
        for need in needs(wish):
            reason = self._missing(need, wish) if need.uuids else self._shortage(need, wish)
            if reason:
                return reason
        return f"waiting for {_wanted(wish)}"

    def _missing(self, need: _Need, wish: Wish) -> str:
        known = {device.uuid: device for device in self._resources.devices}
        for uuid in need.uuids:
            device = known.get(uuid)
            if device is None:
                return f"waiting for {uuid}: it is not there now"
            if device.obstacle in ("lost", "LEAKED"):
                return f"waiting for {device.name}: it is {device.trouble}"
            if not self._board.fits(device, wish):
                return f"waiting for {device.name}: job {self._board.holders(device)[0]} has it"
            job = self._board.kept_for(device, wish)
            if job:
                return f"waiting for {device.name}: it is kept for job {job}"
        return ""

    def _shortage(self, need: _Need, wish: Wish) -> str:
        fitting = [d for d in self._candidates(need, wish) if self._board.fits(d, wish)]
        kept = [job for device in fitting if (job := self._board.kept_for(device, wish))]
        if len(fitting) >= need.count:
            if len(fitting) - len(kept) >= need.count:
                return ""
            return f"waiting behind job {kept[0]}: what is free is kept for it"
        kind = [d for d in self._resources.devices if d.profile.lower() == need.profile]
        held = [device for device in kind if self._board.holders(device)]
        small = [device for device in kind if not large_enough(device, wish)]
        words = [f"{len(held)} held by jobs"] if held else []
        words += [f"{d.name} {d.trouble}" for d in kind if d.obstacle and d not in held]
        words += [f"{len(small)} with less memory"] if small else []
        details = f" ({', '.join(words)})" if words else ""
        return f"waiting for {_wanted(wish)}: {len(fitting)} of {len(kind)} free{details}"


def _usable(device: Device, need: _Need, wish: Wish) -> bool:
    return (
        device.profile.lower() == need.profile
        and not device.obstacle
        and device.uuid not in wish.slices
        and large_enough(device, wish)
    )


def _usable_named(device: Device, need: _Need, wish: Wish) -> bool:
    """Whoever names a GPU may know the stranger on it; one that is lost or leaked helps nobody."""
    return device.uuid in need.uuids and device.obstacle not in ("lost", "LEAKED")


def needs(wish: Wish) -> list[_Need]:
    """The parts of a wish: named devices first, so that no count takes them away."""
    named = tuple(name for name in wish.slices if is_uuid(name))
    found = [_Need(len(named), uuids=named)] if named else []
    if isinstance(wish.gpus, tuple):
        if wish.gpus:
            found.append(_Need(len(wish.gpus), uuids=wish.gpus))
    elif wish.gpus > 0:
        found.append(_Need(wish.gpus))
    profiles = Counter(name.lower() for name in wish.slices if not is_uuid(name))
    found += [_Need(count, profile=name) for name, count in sorted(profiles.items())]
    return found


def _wanted(wish: Wish) -> str:
    parts = []
    if wish.gpus not in (0, ()):
        count = wish.gpus if isinstance(wish.gpus, int) else len(wish.gpus)
        parts.append(count_gpus(count))
    for name, count in sorted(Counter(wish.slices).items()):
        parts.append(f"slice {name}" if count == 1 else f"{count} slices {name}")
    return " and ".join(parts)
