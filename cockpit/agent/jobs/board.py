"""Who has which device and until when, and what is promised to jobs that wait: one pass of decisions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cockpit.agent.jobs.resources import Device, Wish

NEVER = math.inf


@dataclass(frozen=True)
class Hold:
    """A device in the hands of a job."""

    job: str
    uuid: str
    until_s: float = NEVER
    """When it is given back at the latest; NEVER for a job without a time limit."""
    shared_bytes: int | None = None
    """What a shared job has set aside on it; None for an exclusive one."""


@dataclass(frozen=True)
class Promise:
    """A device that a waiting job is to have, from `from_s` on."""

    job: str
    from_s: float
    hold: Hold


class Board:
    """The devices over time, as one pass of decisions fills them."""

    def __init__(self, holds: Iterable[Hold], now_s: float) -> None:
        self.now_s = now_s
        self._holds: dict[str, list[Hold]] = {}
        self._promises: dict[str, list[Promise]] = {}
        self._last_s: dict[str, float] = {}
        """When the last of all that have a device, or were promised it, gives it back."""
        for hold in holds:
            self._holds.setdefault(hold.uuid, []).append(hold)
            self._given_back(hold)

    def holders(self, device: Device) -> list[str]:
        """The jobs that have it."""
        return [hold.job for hold in self._holds.get(device.uuid, ())]

    def fits(self, device: Device, wish: Wish) -> bool:
        """Whether the job could be on it now, as far as the jobs go that already are."""
        return _together(device, wish, self._holds.get(device.uuid, ()))

    def kept_for(self, device: Device, wish: Wish) -> str:
        """The job whose promise would be broken if this one took the device now; empty if none."""
        promises = self._promises.get(device.uuid)
        if not promises:
            return ""
        until_s = self.now_s + (NEVER if wish.limit_s is None else wish.limit_s)
        in_the_way = [promise for promise in promises if promise.from_s < until_s]
        if not in_the_way:
            return ""
        # Jobs that agreed to share may be on it together, whoever comes first.
        both = [*self._holds.get(device.uuid, ()), *(promise.hold for promise in in_the_way)]
        return "" if _together(device, wish, both) else in_the_way[0].job

    def free_from_s(self, device: Device, wish: Wish) -> float:
        """The earliest time that the job can have it for good, NEVER if nobody can tell."""
        if not wish.shared:
            return max(self.now_s, self._last_s.get(device.uuid, self.now_s))
        holds = [
            *self._holds.get(device.uuid, ()),
            *(promise.hold for promise in self._promises.get(device.uuid, ())),
        ]
        if _together(device, wish, holds):
            return self.now_s
        times_s: list[float] = sorted({max(hold.until_s, self.now_s) for hold in holds})
        for time_s in times_s:
            later = [hold for hold in holds if max(hold.until_s, self.now_s) > time_s]
            if _together(device, wish, later):
                return time_s
        return NEVER

    def take(self, job: str, wish: Wish, devices: Sequence[Device]) -> None:
        """Give the devices to a job that starts now."""
        until_s = NEVER if wish.limit_s is None else self.now_s + wish.limit_s
        for device in devices:
            hold = _hold(job, device, wish, until_s)
            self._holds.setdefault(device.uuid, []).append(hold)
            self._given_back(hold)

    def promise(self, job: str, wish: Wish, devices: Sequence[Device], from_s: float) -> None:
        """Keep the devices for a job that waits. Without a known time they are kept from now on."""
        until_s = NEVER if wish.limit_s is None else from_s + wish.limit_s
        kept_from_s = self.now_s if from_s == NEVER else from_s
        for device in devices:
            hold = _hold(job, device, wish, until_s)
            self._promises.setdefault(device.uuid, []).append(Promise(job, kept_from_s, hold))
            self._given_back(hold)

    def _given_back(self, hold: Hold) -> None:
        self._last_s[hold.uuid] = max(self._last_s.get(hold.uuid, hold.until_s), hold.until_s)


def _hold(job: str, device: Device, wish: Wish, until_s: float) -> Hold:
    return Hold(job, device.uuid, until_s, (wish.memory_bytes or 0) if wish.shared else None)


def _together(device: Device, wish: Wish, holds: Sequence[Hold]) -> bool:
    """Exclusive jobs are alone on a device; shared ones as many as its memory holds."""
    if not holds:
        return True
    if not wish.shared:
        return False
    aside = wish.memory_bytes or 0
    for hold in holds:
        if hold.shared_bytes is None:
            return False
        aside += hold.shared_bytes
    return aside <= (device.memory_bytes or 0)
