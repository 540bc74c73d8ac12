"""One tick: a reading becomes a Snapshot with health, totals, history and energy."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from cockpit import __version__
from cockpit.agent.telemetry.energy import Energy
from cockpit.agent.telemetry.history import History
from cockpit.agent.telemetry.source import Sample, Source
from cockpit.model import BoxInfo, Event, Gpu, Snapshot, SourceKind, Totals
from cockpit.settings import AgentSettings

JOULES_PER_KWH = 3.6e6


class Health(Protocol):
    """What turns readings into states."""

    def apply(self, box: BoxInfo, sample: Sample) -> tuple[tuple[Gpu, ...], tuple[Event, ...]]:
        """The GPUs with state and reasons, and what has just changed about them."""


Publish = Callable[[BoxInfo, Snapshot, tuple[Event, ...]], None]


class Pipeline:
    """Everything that happens to a reading in the sampler's thread; `publish` gets the result."""

    def __init__(
        self,
        source: Source,
        settings: AgentSettings,
        history: History,
        energy: Energy,
        health: Health | None,
        publish: Publish,
        past: Callable[[], Iterable[Sample]] = tuple,
    ) -> None:
        self._source = source
        self._past = past
        self._settings = settings
        self._history = history
        self._energy = energy
        self._health = health
        self._publish = publish
        speed = settings.replay_speed if settings.source == "replay" else 1.0
        self._step_s = settings.interval_s * speed
        self._sequence = 0
        self._seen: BoxInfo | None = None
        self._box: BoxInfo | None = None

    def open(self) -> None:
        """Let the source find the GPUs, and take over the past it may know."""
        self._source.open()
        for sample in self._past():
            self._history.add(sample.time_s, sample.gpus)

    def tick(self) -> None:
        """Read the box once and hand the snapshot on."""
        sample = self._source.sample()
        box = self._complete(self._source.box())
        gpus, events = sample.gpus, sample.events
        if self._health is not None:
            gpus, alerts = self._health.apply(box, sample)
            events += alerts
        self._history.add(sample.time_s, gpus, self._step_s)
        today_j = self._energy.add(sample.time_s, gpus)
        self._sequence += 1
        snapshot = Snapshot(
            sample.time_s,
            gpus,
            totals(gpus, today_j, box.price_per_kwh),
            self._sequence,
            box.revision,
            self._settings.interval_s,
        )
        self._publish(box, snapshot, events)

    def _complete(self, box: BoxInfo) -> BoxInfo:
        """The source's facts and those that are the agent's own."""
        if box is not self._seen or self._box is None:
            self._seen, self._box = box, completed(box, self._settings)
        return self._box


def box_name(kind: SourceKind, settings: AgentSettings) -> str:
    """What a person would call the box: its hostname, or what stands in for one."""
    if kind == "replay":
        return Path(settings.replay_file or settings.name).name
    if kind == "simulated":
        return "demo" if settings.simulate.demo else "simulated"
    return socket.gethostname()


def completed(box: BoxInfo, settings: AgentSettings) -> BoxInfo:
    """`box` with what the source leaves open: budget, price, this machine and this program."""
    if box.source == "replay":
        return dataclasses.replace(box, agent_version=__version__)
    return dataclasses.replace(
        box,
        name=box.name or box_name(box.source, settings),
        agent_version=__version__,
        hostname=box.hostname or socket.gethostname(),
        boot_id=box.boot_id or _boot_id(),
        power_budget_w=box.power_budget_w or settings.power_budget_w,
        price_per_kwh=settings.price_per_kwh,
        co2_g_per_kwh=settings.co2_g_per_kwh,
        currency=settings.currency,
    )


def waiting_box(kind: SourceKind, settings: AgentSettings) -> BoxInfo:
    """What can be said of a box whose driver has not answered yet."""
    box = BoxInfo(
        box_name(kind, settings),
        kind,
        None,
        0,
        revision=-1,
        problem="The driver has not answered yet",
        advice="If this lasts, run cockpit doctor.",
    )
    return completed(box, settings)


def totals(gpus: tuple[Gpu, ...], today_j: float | None, price_per_kwh: float | None) -> Totals:
    """Sums over the GPUs that answered; None where none did."""
    powers, limits, used, sizes = [], [], [], []
    for gpu in gpus:
        if gpu.power_w is not None:
            powers.append(gpu.power_w)
        if gpu.power_limit_w is not None:
            limits.append(gpu.power_limit_w)
        if gpu.memory_used_bytes is not None:
            used.append(gpu.memory_used_bytes)
        if gpu.memory_total_bytes is not None:
            sizes.append(gpu.memory_total_bytes)
    cost = None
    if today_j is not None and price_per_kwh is not None:
        cost = today_j / JOULES_PER_KWH * price_per_kwh
    return Totals(
        round(sum(powers), 3) if powers else None,
        round(sum(limits), 3) if limits else None,
        sum(used) if used else None,
        sum(sizes) if sizes else None,
        today_j,
        cost,
    )


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
