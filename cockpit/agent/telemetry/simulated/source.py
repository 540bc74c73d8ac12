"""A box of H100s that is not there: believable readings, under the load of real processes."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from cockpit.agent.health import xids
from cockpit.agent.telemetry.processes import ProcessTable
from cockpit.agent.telemetry.simulated import faults
from cockpit.agent.telemetry.simulated.card import Card
from cockpit.agent.telemetry.simulated.cards import CARDS, simulated_box
from cockpit.agent.telemetry.simulated.demo import Tenant, sliced_gpu, tenants
from cockpit.agent.telemetry.simulated.faults import Condition, Fault
from cockpit.agent.telemetry.simulated.jobs import JobLoads
from cockpit.agent.telemetry.simulated.load import Load, part, together
from cockpit.agent.telemetry.simulated.readings import read
from cockpit.agent.telemetry.simulated.slices import (
    PLACES,
    Layout,
    parse_mig,
    read_slices,
    slice_uuid,
)
from cockpit.agent.telemetry.source import JobLoad, Sample
from cockpit.model import BoxInfo, Event, Gpu, GpuInfo, Slice
from cockpit.settings import AgentSettings


@dataclass
class _Slot:
    """One GPU of the box: the card in it, what is wrong with it, and who lives on it."""

    info: GpuInfo
    card: Card
    condition: Condition = field(default_factory=Condition)
    tenants: list[Tenant] = field(default_factory=list)
    layout: Layout = field(default_factory=dict)
    """Its slices; empty without MIG."""


class SimulatedSource:
    """Implements `Source`. The same seed, clock and jobs give the same readings.

    Raises UsageError if the settings ask for a fault that cannot be.
    """

    def __init__(
        self,
        settings: AgentSettings,
        processes: ProcessTable,
        loads: Callable[[], Sequence[JobLoad]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._box = simulated_box(settings)
        self._jobs = JobLoads(processes)
        self._running = loads
        self._clock = clock
        self._sampled_s: float | None = None
        self._demo = settings.simulate.demo
        self._slots = _slots(settings, self._box)
        # Faults may be asked for from any thread; they happen at the next sample.
        self._asked: deque[tuple[Fault, bool]] = deque(
            (faults.parse_fault(text, self._box.gpu_count), False)
            for text in settings.simulate.faults
        )

    def open(self) -> BoxInfo:
        """The box; there is nothing to open."""
        return self._box

    def box(self) -> BoxInfo:
        """The box, which never changes."""
        return self._box

    def close(self) -> None:
        """Nothing is held."""

    def fault(self, gpu_index: int, kind: str, clear: bool = False) -> None:
        """Begin a fault (`faults.KINDS`, or `xid` with a number such as `xid79`), or clear it.

        It shows in the next sample. Safe from any thread. Raises UsageError for a GPU or kind that
        does not exist.
        """
        self._asked.append((faults.make_fault(gpu_index, kind, self._box.gpu_count), clear))

    def sample(self) -> Sample:
        """Every GPU now, and the XIDs of the faults that have begun since the last sample."""
        return self._sample_at(self._clock())

    def past(self, seconds: int) -> Iterator[Sample]:
        """What a demo would have shown until now, one sample a second, oldest first.

        Empty without `demo`: a simulated box that only follows real jobs has no past of its own.
        """
        if self._demo and self._sampled_s is None:
            now_s = self._clock()
            for back in range(seconds, 0, -1):
                yield self._sample_at(now_s - back)

    def _sample_at(self, now_s: float) -> Sample:
        first = self._sampled_s is None
        seconds = max(0.0, now_s - (now_s if self._sampled_s is None else self._sampled_s))
        self._sampled_s = now_s
        events = self._begin_faults(now_s)
        jobs = self._jobs.read(self._running(), now_s)
        return Sample(
            time_s=now_s,
            gpus=tuple(_sample_slot(slot, jobs, now_s, seconds, first) for slot in self._slots),
            events=events,
        )

    def _begin_faults(self, now_s: float) -> tuple[Event, ...]:
        events: list[Event] = []
        while self._asked:
            fault, clear = self._asked.popleft()
            slot = self._slots[fault.gpu_index]
            if clear:
                faults.end(fault, slot.card, slot.condition)
                continue
            for number in faults.begin(fault, slot.card, slot.condition, now_s):
                slot.condition.last_xid, slot.condition.last_xid_s = number, now_s
                events.append(_xid_event(slot.info, number, now_s))
        return tuple(events)


def _slots(settings: AgentSettings, box: BoxInfo) -> tuple[_Slot, ...]:
    simulate = settings.simulate
    model = CARDS[simulate.kind]
    slots = tuple(
        _Slot(info, Card(model, random.Random(f"{simulate.kind} {simulate.seed} {info.index}")))
        for info in box.gpus
    )
    if simulate.demo:
        for tenant in tenants(box.gpu_count, simulate.seed):
            slots[tenant.gpu_index].tenants.append(tenant)
        sliced = sliced_gpu(box.gpu_count)
        if sliced is not None:
            slots[sliced].layout = dict(zip(PLACES, model.slice_profiles, strict=True))
    for gpu, layout in parse_mig(simulate.mig, model, box.gpu_count).items():
        slots[gpu].layout = layout
        # The demo's tenant of a whole card has none any more.
        slots[gpu].tenants = []
    return slots


def _sample_slot(
    slot: _Slot, jobs: dict[str, list[Load]], now_s: float, seconds: float, first: bool
) -> Gpu:
    load, slices = _slot_load(slot, jobs, now_s)
    if first:
        slot.card.settle(load)
    else:
        slot.card.step(load, seconds)
    return read(slot.info, slot.card, slot.condition, load, slices)


def _slot_load(
    slot: _Slot, jobs: dict[str, list[Load]], now_s: float
) -> tuple[Load, tuple[Slice, ...]]:
    """Everything asked of this GPU, as one load, and its slices, each under its own."""
    whole = jobs.get(slot.info.uuid, [])
    if not slot.layout:
        return together([*(tenant.load(now_s) for tenant in slot.tenants), *whole]), ()
    by_place = {
        place: together(
            [
                *(tenant.load(now_s) for tenant in slot.tenants if tenant.place == place),
                *jobs.get(slice_uuid(slot.info, place), []),
            ]
        )
        for place in slot.layout
    }
    parts = [part(load, place.share) for place, load in by_place.items()]
    return together([*parts, *whole]), read_slices(
        slot.info, slot.card.model, slot.layout, by_place
    )


def _xid_event(info: GpuInfo, number: int, now_s: float) -> Event:
    known = xids.describe(number)
    return Event(
        id=0,
        time_s=now_s,
        kind="xid",
        severity=known.severity,
        text=xids.sentence(info.index, number),
        advice=known.advice,
        gpu_uuid=info.uuid,
        gpu_index=info.index,
        data={"xid": number},
    )
