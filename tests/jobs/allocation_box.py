"""Boxes as the allocation sees them, made of what a snapshot would say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from job_bench import uuid

from cockpit.agent.jobs.allocation import Decision, Waiting, decide
from cockpit.agent.jobs.board import NEVER, Hold
from cockpit.agent.jobs.resources import Resources, Tenancy, Wish, survey
from cockpit.agent.telemetry.simulated.cards import simulated_box
from cockpit.model import BoxInfo, Gpu, Process, Slice, Snapshot
from cockpit.settings import AgentSettings, SimulateSettings

GIB = 1 << 30
NOW_S = 1000.0


def cards(kind: str = "pcie", count: int = 10) -> BoxInfo:
    """A box with the topology of real cards, its UUIDs those of the other tests."""
    settings = AgentSettings(simulate=SimulateSettings(kind=kind, gpu_count=count))  # type: ignore[arg-type]
    box = simulated_box(settings)
    gpus = tuple(replace(info, uuid=uuid(info.index)) for info in box.gpus)
    return replace(box, gpus=gpus)


def resources(
    box: BoxInfo,
    lost: Sequence[int] = (),
    critical: Sequence[int] = (),
    external: Sequence[int] = (),
    slices: Mapping[int, Sequence[str]] | None = None,
    heat_c: Mapping[int, float] | None = None,
    tenancy: Tenancy | None = None,
) -> Resources:
    """The box with this wrong with its GPUs, and these profiles on those that are cut."""
    gpus = []
    for info in box.gpus:
        index = info.index
        profiles = (slices or {}).get(index, ())
        gpus.append(
            Gpu(
                index,
                info.uuid,
                info.name,
                state="lost" if index in lost else "critical" if index in critical else "ok",
                temperature_c=(heat_c or {}).get(index),
                memory_total_bytes=info.memory_total_bytes,
                mig_enabled=bool(profiles),
                slices=tuple(part(index, n, profile) for n, profile in enumerate(profiles)),
                processes=(Process(4242, "someone"),) if index in external else (),
            )
        )
    return survey(box, Snapshot(NOW_S, tuple(gpus)), tenancy)


def part(gpu: int, number: int, profile: str) -> Slice:
    """The slice `MIG-<gpu>-<number>`."""
    memory = int(profile.partition(".")[2].partition("gb")[0]) * GIB
    return Slice(f"MIG-{gpu}-{number}", profile, number + 1, memory_total_bytes=memory)


def held(
    *indices: int, job: str = "9", until_s: float = NEVER, shared_bytes: int | None = None
) -> list[Hold]:
    return [Hold(job, uuid(index), until_s, shared_bytes) for index in indices]


def run(
    wishes: Sequence[Wish], at: Resources, holds: Sequence[Hold] = (), now_s: float = NOW_S
) -> tuple[Decision, ...]:
    """What becomes of jobs 1, 2, … that wait with these wishes."""
    queue = [Waiting(str(number), wish) for number, wish in enumerate(wishes, start=1)]
    return decide(queue, at, holds, now_s)


def indices(decision: Decision) -> list[int] | None:
    """The GPUs of a decision; None while the job waits."""
    return None if decision.devices is None else [device.gpu_index for device in decision.devices]


def uuids(decision: Decision) -> list[str] | None:
    return None if decision.devices is None else [device.uuid for device in decision.devices]
