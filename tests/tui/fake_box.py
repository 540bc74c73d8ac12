"""A Box without an agent: scripted updates, fixed figures, answers from tables."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import replace
from typing import Any

from fake_readings import FakeReadings

from cockpit.client import Connected, Update
from cockpit.model import (
    BoxInfo,
    Event,
    Gpu,
    GpuInfo,
    Job,
    JobRequest,
    NvLink,
    Process,
    Progress,
    Prospect,
    Reason,
    Series,
    Slice,
    Snapshot,
    Totals,
)

NOW_S = 1_795_528_920.0
"""2026-11-24 14:02:00 UTC."""
GIB = 1 << 30


def uuid(index: int) -> str:
    return f"GPU-{index:08x}-0000-0000-0000-000000000000"


def box_info(count: int = 10, **changes: Any) -> BoxInfo:
    """A simulated PCIe box whose even and odd neighbours are bridged by NVLink."""
    gpus = tuple(
        GpuInfo(
            index=index,
            uuid=uuid(index),
            name="NVIDIA H100 PCIe",
            pci_bus_id=f"00000000:{index + 1:02X}:00.0",
            memory_total_bytes=80 * GIB,
            power_limit_default_w=350.0,
            power_limit_min_w=200.0,
            power_limit_max_w=350.0,
            sm_clock_max_mhz=1980,
            pcie_generation_max=5,
            pcie_width_max=16,
            temperature_slowdown_c=87.0,
            nvlink_count=12,
            nvlink_peers=(index ^ 1,) if (index ^ 1) < count else (),
        )
        for index in range(count)
    )
    info = BoxInfo(
        name="gpubox",
        source="simulated",
        driver_version="590.48.01",
        gpu_count=count,
        gpus=gpus,
        cuda_version="13.1",
        agent_version="0.1.0",
        hostname="gpubox",
        power_budget_w=350.0 * count,
        price_per_kwh=0.30,
        revision=1,
    )
    return replace(info, **changes)


_STORY: tuple[dict[str, Any], ...] = (
    {"p": 318, "t": 64, "sm": 98, "tc": 71, "hbm": 62, "mem": 71, "mhz": 1755, "cap": True},
    {"p": 315, "t": 66, "sm": 98, "tc": 70, "hbm": 61, "mem": 71, "mhz": 1755, "cap": True},
    {"p": 325, "t": 83, "sm": 97, "tc": 68, "hbm": 60, "mem": 71, "mhz": 1410, "hot": True},
    {"p": 305, "t": 63, "sm": 96, "tc": 69, "hbm": 60, "mem": 71, "mhz": 1755},
    {"p": 182, "t": 51, "sm": 64, "tc": 38, "hbm": 81, "mem": 68, "mhz": 1980},
    {"p": 171, "t": 50, "sm": 60, "tc": 35, "hbm": 79, "mem": 68, "mhz": 1980, "link": True},
    {"p": 308, "t": 62, "sm": 95, "tc": 2, "hbm": 92, "mem": 22, "mhz": 1980},
    {"p": 108, "t": 44, "sm": 22, "tc": 0, "hbm": 88, "mem": 40, "mhz": 1980, "x8": True},
    {"p": 69, "t": 38, "sm": 0, "tc": 0, "hbm": 0, "mem": 31, "mhz": 345},
    {"p": 46, "t": 33, "sm": 0, "tc": 0, "hbm": 0, "mem": 0, "mhz": 345},
)


def gpu(index: int, time_s: float = NOW_S) -> Gpu:
    """One believable GPU of the story that the wall's first sketch tells."""
    story = _STORY[index % len(_STORY)]
    busy = story["sm"] > 0
    reasons: tuple[Reason, ...] = ()
    throttle: tuple[str, ...] = () if busy else ("idle",)
    if story.get("cap"):
        throttle = ("power_cap",)
    if story.get("hot"):
        throttle = ("sw_thermal",)
        reasons = (
            Reason(
                "thermal_slowdown",
                "warning",
                "slowed by heat, 0 °C of margin",
                "check the inlet and its neighbours",
                time_s - 113,
            ),
        )
    if story.get("link"):
        reasons = (
            Reason("nvlink", "warning", "NVLink 3 is down", "reseat the bridge", time_s - 900),
        )
    if story.get("x8"):
        reasons = (
            Reason("pcie", "warning", "PCIe runs x8 of x16", "reseat the card", time_s - 9000),
        )
    return Gpu(
        index=index,
        uuid=uuid(index),
        name="NVIDIA H100 PCIe",
        state="warning" if reasons else "ok",
        reasons=reasons,
        power_w=float(story["p"]),
        power_instant_w=float(story["p"]) + 2,
        power_limit_w=350.0,
        energy_j=1.0e9 + index * 1.0e7,
        temperature_c=float(story["t"]),
        memory_temperature_c=float(story["t"]) + 8,
        thermal_margin_c=max(0.0, 83.0 - story["t"]),
        utilization_percent=float(story["sm"]),
        memory_used_bytes=story["mem"] * GIB,
        memory_total_bytes=80 * GIB,
        sm_clock_mhz=story["mhz"],
        memory_clock_mhz=1593,
        throttle_reasons=throttle,
        sm_active_percent=float(story["sm"]),
        sm_occupancy_percent=story["sm"] * 0.6,
        tensor_active_percent=float(story["tc"]),
        dram_active_percent=float(story["hbm"]),
        pcie_rx_bytes_per_s=1.2e9 if busy else 0.0,
        pcie_tx_bytes_per_s=0.4e9 if busy else 0.0,
        nvlink_rx_bytes_per_s=38e9 if busy else 0.0,
        nvlink_tx_bytes_per_s=37e9 if busy else 0.0,
        pcie_generation=5,
        pcie_width=8 if story.get("x8") else 16,
        ecc_corrected=0,
        ecc_uncorrected=0,
        remapped_rows=0,
        mig_enabled=False,
        nvlinks=tuple(
            NvLink(link, not (story.get("link") and link == 3), index ^ 1) for link in range(12)
        ),
        processes=(
            Process(4000 + index, "ana", "python train.py", story["mem"] * GIB, kind="compute"),
        )
        if story["mem"]
        else (),
    )


def lost(index: int, time_s: float = NOW_S) -> Gpu:
    """GPU `index`, fallen off the bus a minute ago."""
    return Gpu(
        index=index,
        uuid=uuid(index),
        name="NVIDIA H100 PCIe",
        state="lost",
        reasons=(
            Reason(
                "lost",
                "critical",
                "fell off the bus (XID 79)",
                "check power and seating, then reboot",
                time_s - 60,
            ),
        ),
        last_xid=79,
        last_xid_s=time_s - 60,
        errors={"power_w": "NVML_ERROR_GPU_IS_LOST"},
        lost_since_s=time_s - 60,
    )


def sliced(index: int) -> Gpu:
    """GPU `index` in MIG mode, with four slices of which one is idle."""
    profiles = [("3g.40gb", 0, 4, 91.0), ("2g.20gb", 4, 2, 40.0), ("1g.10gb", 6, 1, 0.0)]
    slices = tuple(
        Slice(
            uuid=f"MIG-{index:04d}-{number}",
            profile=profile,
            gpu_instance=number + 1,
            placement_start=start,
            placement_size=size,
            memory_used_bytes=2 * GIB,
            memory_total_bytes=10 * GIB * size,
            sm_active_percent=active,
        )
        for number, (profile, start, size, active) in enumerate(profiles)
    )
    return replace(
        gpu(index),
        mig_enabled=True,
        slices=slices,
        sm_active_percent=None,
        utilization_percent=None,
        errors={"utilization_percent": "NVML_ERROR_NOT_SUPPORTED"},
    )


def snapshot(
    count: int = 10, time_s: float = NOW_S, gpus: Iterable[Gpu] | None = None, **changes: Any
) -> Snapshot:
    """All GPUs with their totals."""
    cards = tuple(gpus) if gpus is not None else tuple(gpu(index, time_s) for index in range(count))
    totals = Totals(
        power_w=sum(card.power_w or 0.0 for card in cards),
        power_limit_w=sum(card.power_limit_w or 0.0 for card in cards),
        memory_used_bytes=sum(card.memory_used_bytes or 0 for card in cards),
        memory_total_bytes=sum(card.memory_total_bytes or 0 for card in cards),
        energy_today_j=41.2 * 3.6e6,
        cost_today=12.36,
    )
    made = Snapshot(time_s, cards, totals, sequence=1, box_revision=1)
    return replace(made, **changes)


def job(number: int, name: str, gpus: Iterable[int], **changes: Any) -> Job:
    """A running job on those GPUs."""
    made = Job(
        id=str(number),
        name=name,
        plugin=name,
        command=("python", "workload.py"),
        state="RUNNING",
        box="gpubox",
        gpus=tuple(uuid(index) for index in gpus),
        submitted_s=NOW_S - 4000 + number,
        started_s=NOW_S - 3600,
        progress=Progress(63.0, 100.0, 2400.0, "steps"),
    )
    return replace(made, **changes)


def jobs() -> tuple[Job, ...]:
    """The jobs of the story."""
    return (
        job(41, "llm-train", (0, 1, 2, 3)),
        job(42, "llm-serve", (4, 5), progress=None),
        job(43, "cfd", (6,), progress=Progress(120.0, 1000.0, 900.0, "steps")),
        job(
            44,
            "embed",
            (),
            state="PENDING",
            reason="waits for 1 GPU",
            started_s=None,
            progress=None,
        ),
    )


def events(time_s: float = NOW_S) -> tuple[Event, ...]:
    """The last events of the story, oldest first."""
    return (
        Event(1, time_s - 3600, "job", "info", "llm-train started on GPU 0 to 3", job="41"),
        Event(2, time_s - 900, "alert", "warning", "GPU 5: NVLink 3 is down", "reseat the bridge",
              uuid(5), 5),
        Event(3, time_s - 113, "throttle", "warning", "GPU 2: slowed by heat, 0 °C of margin",
              "check the inlet and its neighbours", uuid(2), 2),
    )  # fmt: skip


def wave(metric: str, time_s: float, index: int) -> float:
    """A smooth made-up past."""
    level = float(_STORY[index % len(_STORY)]["t" if metric == "temperature_c" else "p"])
    return level * (0.86 + 0.12 * math.sin(time_s / 70.0 + index) - 0.02 * math.sin(time_s / 9.0))


class FakeBox(FakeReadings):
    """Speaks like `cockpit.client.Box`. `push` an update to have `follow` yield it."""

    def __init__(self, *updates: Update, past: bool = False) -> None:
        self.name = "gpubox"
        self.info: BoxInfo | None = None
        super().__init__()
        self.known_jobs: dict[str, Job] = {}
        self.event_list: list[Event] = []
        self.past = past
        self.energy_days: list[dict[str, Any]] = []
        self.submitted: list[JobRequest] = []
        self.requests: dict[str, JobRequest] = {}
        self._queue: asyncio.Queue[Update] = asyncio.Queue()
        for update in updates:
            self._queue.put_nowait(update)

    @classmethod
    def of(cls, count: int = 10, **kwargs: Any) -> FakeBox:
        """Connected, with one snapshot of `count` GPUs, and (for ten) the story's jobs and events."""
        box = cls(Connected(box_info(count)), snapshot(count), **kwargs)
        if count == 10:
            box.known_jobs = {entry.id: entry for entry in jobs()}
            box.event_list = list(events())
        return box

    def push(self, *updates: Update) -> None:
        for update in updates:
            self._queue.put_nowait(update)

    async def connect(self) -> BoxInfo:
        assert self.info is not None
        return self.info

    async def close(self) -> None:
        self.calls.append(("close",))

    async def follow(
        self, topics: Iterable[str] = ("snapshot", "event", "job"), interval_s: float = 1.0
    ) -> AsyncIterator[Update]:
        while True:
            update = await self._queue.get()
            if isinstance(update, Connected):
                self.info = update.box
            yield update

    async def box(self) -> BoxInfo:
        assert self.info is not None
        return self.info

    async def history(
        self, gpu_uuid: str, metric: str, since_s: float, until_s: float, points: int = 400
    ) -> Series:
        self.calls.append(("history", gpu_uuid, metric, since_s, until_s, points))
        if not self.past:
            return Series(gpu_uuid, metric, 1.0)
        index = int(gpu_uuid.split("-")[1], 16)
        step = max(1.0, (until_s - since_s) / points)
        times = tuple(since_s + step * number for number in range(points))
        values = tuple(wave(metric, time_s, index) for time_s in times)
        return Series(gpu_uuid, metric, step, times, values, values, values)

    async def energy(self, since_s: float, until_s: float) -> list[dict[str, Any]]:
        return self.energy_days

    async def events(
        self, since_s: float = 0.0, after_id: int = 0, limit: int = 500
    ) -> tuple[Event, ...]:
        found = [e for e in self.event_list if e.time_s >= since_s and e.id > after_id]
        return tuple(found[-limit:])

    async def stop_process(self, pid: int, start_ticks: int, force: bool = False) -> None:
        self.calls.append(("stop_process", pid, start_ticks, force))

    async def submit(self, request: JobRequest, secrets: Mapping[str, str] | None = None) -> Job:
        self.submitted.append(request)
        made = job(100 + len(self.submitted), request.name, ())
        self.known_jobs[made.id] = made
        return made

    async def jobs(self) -> tuple[Job, ...]:
        return tuple(reversed(self.known_jobs.values()))

    async def job(self, job_id: str) -> Job:
        return self.known_jobs[job_id]

    async def prospect(self, request: JobRequest) -> Prospect:
        self.calls.append(("prospect", request))
        wanted = request.gpus if isinstance(request.gpus, int) else len(request.gpus)
        free = (uuid(9),)
        if isinstance(request.gpus, tuple):
            return Prospect("starts", "the GPUs named", request.gpus)
        if wanted > 10:
            return Prospect("never", "this box has 10 GPUs: ask for at most 10")
        if wanted > len(free):
            return Prospect("waits", f"waiting for {wanted} GPUs: 1 of 10 free (7 held by jobs)")
        builds = bool(request.requires)
        where = "GPU 9: its neighbour is busy" if wanted else ""
        return Prospect("starts", where, free[:wanted], (), builds)

    async def job_request(self, job_id: str) -> JobRequest:
        known = self.known_jobs[job_id]
        return self.requests.get(job_id) or JobRequest(known.name, known.command, known.plugin)

    async def requeue_job(self, job_id: str, token: str | None = None) -> Job:
        self.calls.append(("requeue_job", job_id))
        old = self.known_jobs[job_id]
        number = max(int(key) for key in self.known_jobs) + 1
        made = job(number, old.name, (), state="PENDING", started_s=None, requeued_from=old.id)
        self.known_jobs[made.id] = made
        return made

    async def remove_job(self, job_id: str) -> None:
        self.calls.append(("remove_job", job_id))
        del self.known_jobs[job_id]

    async def stop_job(self, job_id: str, grace_s: float = 10.0) -> Job:
        self.calls.append(("stop_job", job_id, grace_s))
        return replace(self.known_jobs[job_id], state="CANCELLED", ended_s=NOW_S)
