"""A fake box with a past: believable history, a running flow with kernels, frames and a log."""

from __future__ import annotations

import base64
import math
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from fake_box import GIB, NOW_S, FakeBox, box_info, gpu, job, snapshot, uuid
from textual.pilot import Pilot
from textual.screen import Screen

from cockpit.client import Connected
from cockpit.model import (
    JobImage,
    JobRequest,
    JobTable,
    JobText,
    KernelStat,
    Process,
    Progress,
    Roofline,
    Series,
)
from cockpit.settings import TerminalSettings
from cockpit.tui.app import CockpitApp
from cockpit.tui.widgets.table import Table

VIEWS: tuple[dict[str, Any], ...] = (
    {"type": "field", "name": "speed", "title": "Speed"},
    {"type": "chart", "metrics": ["drag", "lift"], "title": "Drag and lift"},
    {"type": "chart", "metrics": ["mlups"], "title": "Million lattice updates per second"},
)
WAYS = tuple(
    tuple(
        "X" if a == b else "NV12" if a ^ 1 == b else "PHB" if a // 5 == b // 5 else "SYS"
        for b in range(10)
    )
    for a in range(10)
)


def past(metric: str, time_s: float) -> float:
    """A training step every 40 s with a pause for its checkpoint."""
    busy = 0.35 if time_s % 200 < 25 else 1.0
    swing = math.sin(time_s / 9.0)
    level = {
        "power_w": 65 + busy * 255 + 12 * swing,
        "temperature_c": 45 + busy * 33 + 3 * math.sin(time_s / 50),
        "memory_temperature_c": 55 + busy * 32 + 3 * math.sin(time_s / 50 - 0.6),
        "memory_used_bytes": 71.0 * GIB,
        "sm_clock_mhz": 1980 - busy * 220,
        "memory_clock_mhz": 1593.0,
        "sm_active_percent": busy * 95 + 3 * swing,
        "tensor_active_percent": busy * 66 + 5 * swing,
        "dram_active_percent": busy * 58 + 6 * math.cos(time_s / 13),
        "pcie_rx_bytes_per_s": 1.1e9 * busy,
        "pcie_tx_bytes_per_s": 0.3e9 * busy + 1e7,
        "nvlink_rx_bytes_per_s": 38e9 * busy,
        "nvlink_tx_bytes_per_s": 37e9 * busy * (1 + 0.3 * swing),
        "power_limit_w": 350.0,
        "throttle_mask": float((0x4 if busy == 1.0 else 0x1) | (0x20 if time_s % 200 > 170 else 0)),
    }
    return level.get(metric, 0.0)


def flow(width: int = 240, height: int = 80) -> bytes:
    """A wake behind a cylinder, with the cylinder itself as no value."""
    rows = bytearray()
    for y in range(height):
        for x in range(width):
            dx, dy = x - 48, y - height / 2
            if dx * dx + dy * dy < 90:
                rows.append(0)
                continue
            wake = math.exp(-(dy * dy) / (60 + max(dx, 0) * 3)) if dx > 0 else 0.0
            value = 0.62 - 0.5 * wake * (0.7 + 0.3 * math.cos(dx / 9 + dy / 7))
            rows.append(1 + round(254 * min(max(value, 0.0), 1.0)))
    return bytes(rows)


class StoryBox(FakeBox):
    """Ten GPUs whose jobs have something to show."""

    async def history(
        self, gpu_uuid: str, metric: str, since_s: float, until_s: float, points: int = 400
    ) -> Series:
        self.calls.append(("history", gpu_uuid, metric, since_s, until_s, points))
        step = max(1.0, (until_s - since_s) / points)
        times = tuple(since_s + step * n for n in range(int((until_s - since_s) / step)))
        values = tuple(past(metric, time_s) for time_s in times)
        return Series(gpu_uuid, metric, step, times, values, values, values)


def story_box() -> StoryBox:
    """The box of the wall's story, its job 43 a flow on GPU 6."""
    mine = Process(4106, "me", "python probe.py --every 5", 2 * GIB, mine=True, start_ticks=77)
    other = Process(4002, "ana", "python train.py --config big.toml", 71 * GIB, container="a1b2c3")
    cards = [gpu(index) for index in range(10)]
    cards[2] = replace(cards[2], processes=(other, mine), throttle_times_s={"sw_thermal": 113.0})
    box = StoryBox(Connected(box_info(10, topology=WAYS)), snapshot(gpus=cards))
    made = FakeBox.of(10)
    box.known_jobs, box.event_list = made.known_jobs, made.event_list
    collide = KernelStat(
        *("collide_stream", 812.0, 420_000, 8.5e14, 2.1e15, 1.047e12, 2.6e12, 54.8, "memory"),
    )
    probe = KernelStat("forces", 9.0, 42_000)
    sums = KernelStat("sums", 21.0, 42_000, 2.4e12, 9.6e12, 1.14e11, 4.6e11, 6.0, "memory")
    matrix = KernelStat(
        *("matrix", 96.0, 4_200, 1.2e13, 3.6e15, 1.25e11, 3.75e13, 56.0, "arithmetic")
    )
    box.known_jobs["43"] = job(
        *(43, "cfd", (6,)),
        views=VIEWS,
        frames=("speed",),
        kernels=(probe, collide, sums, matrix),
        roofline=Roofline(1.91e12, 6.7e13, True, "NVIDIA H100 PCIe"),
        metrics={"drag": 1.37, "lift": 0.21, "mlups": 6840.0},
        progress=Progress(420_000, 1_000_000, 1310.0, "steps"),
        energy_j=9.4e5,
        gpu_seconds=3600.0,
        co2_g=86.0,
        power_mean_w=261.0,
        power_peak_w=318.0,
        memory_peak_bytes=22 * GIB,
        log_bytes=4000,
        placement="the only idle GPU beside its island",
        images={"wake": "images/wake.png"},
        tables=("grid",),
        texts=("notes",),
        checkpoint="checkpoints/400000.npz",
    )
    _tell(box)
    start = NOW_S - 3600
    box.metric_table["43"] = {
        "drag": [[n, start + n * 9, 1.4 + 0.9 * math.exp(-n / 40)] for n in range(400)],
        "lift": [[n, start + n * 9, 0.3 * math.sin(n / 12) * (n / 400)] for n in range(400)],
        "mlups": [[n, start + n * 9, 6800 + 60 * math.sin(n / 5)] for n in range(400)],
    }
    lines = [f"step {n * 1000:>7}  drag {1.4:.3f}  6.84 GLUPS" for n in range(421)]
    box.logs["43"] = ("\n".join(lines) + "\n").encode()
    box.frame_table["43", "speed"] = {
        "sequence": 12,
        "width": 240,
        "height": 80,
        "low": 0.0,
        "high": 0.21,
        "step": 420_000,
        "time_s": NOW_S - 1,
        "data": base64.b64encode(zlib.compress(flow())).decode(),
    }
    return box


def _tell(box: StoryBox) -> None:
    """What job 43 shows beside its field and its figures, and the jobs it can be compared with."""
    start = NOW_S - 3600
    box.image_table["43", "wake"] = JobImage(1, "png", picture())
    box.sheet_table["43", "grid"] = JobTable(
        1,
        ("level", "cells", "share", "fluid"),
        (("coarse", 1_200_000, 0.25, True), ("fine", 3_600_000, 0.75, None)),
    )
    box.sheet_table["43", "notes"] = JobText(1, "Steady until \x1b[2Jstep 40.\nThen it sheds.")
    box.told_events["43"] = [
        {"type": "message", "time_s": start, "text": "Viscosity 0.0384, 192 rows"},
        {"type": "progress", "time_s": start + 9, "done": 1000, "total": 1e6, "unit": "steps"},
        {"type": "metrics", "time_s": start + 9, "step": 1, "values": {"drag": 2.3, "lift": 0}},
        {"type": "checkpoint", "time_s": start + 900, "path": "checkpoints/200000.npz"},
        {"type": "message", "time_s": start + 950, "text": "The time step is near its limit",
         "level": "warning"},
        {"type": "checkpoint", "time_s": start + 1800, "path": "checkpoints/400000.npz"},
        {"type": "metrics", "time_s": NOW_S - 9, "step": 399, "values": {"drag": 1.37}},
    ]  # fmt: skip
    box.requests["43"] = JobRequest("cfd", ("python",), parameters={"reynolds": 200, "rows": 192})


def earlier_run(box: StoryBox) -> StoryBox:
    """The same box with a job 40: the flow of job 43 at another Reynolds number, completed."""
    start = NOW_S - 3600
    box.known_jobs["40"] = replace(
        box.known_jobs["43"],
        id="40",
        state="COMPLETED",
        submitted_s=start - 9000,
        started_s=start - 9000,
        ended_s=start - 6000,
        exit_code=0,
        metrics={"drag": 1.52, "lift": 0.11, "mlups": 6120.0},
        energy_j=7.9e5,
        gpu_seconds=3000.0,
        power_mean_w=263.0,
    )
    box.metric_table["40"] = {
        "drag": [[n, start - 9000 + n * 8, 1.5 + 0.7 * math.exp(-n / 60)] for n in range(350)],
        "lift": [[n, start - 9000 + n * 8, 0.2 * math.sin(n / 15) * (n / 400)] for n in range(350)],
        "mlups": [[n, start - 9000 + n * 8, 6120 + 30 * math.sin(n / 4)] for n in range(350)],
    }
    box.requests["40"] = JobRequest("cfd", ("python",), parameters={"reynolds": 100, "rows": 192})
    return box


def picture(width: int = 96, height: int = 48) -> bytes:
    """A PNG of rings on a slope, made without a library."""
    rows = bytearray()
    for y in range(height):
        rows.append(0)
        for x in range(width):
            ring = math.hypot(x - width / 2, (y - height / 2) * 1.4) / 5
            rows += bytes((x * 255 // width, round(127 + 127 * math.sin(ring)), y * 255 // height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(bytes(rows), 9)), (b"IEND", b""))
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def story_app(box: FakeBox | None = None, theme: str = "midnight", **changes: Any) -> CockpitApp:
    """The terminal on that box, at a fixed time."""
    settings = TerminalSettings(theme=theme)
    return CockpitApp(box or story_box(), settings, clock=lambda: NOW_S, **changes)


async def until(pilot: Pilot[Any], condition: Callable[[], bool], what: str = "") -> None:
    """Let the app work until `condition` holds."""
    for _ in range(1000):
        if condition():
            await pilot.pause()
            return
        await pilot.pause(0.005)
    raise AssertionError(f"did not happen: {what or condition}")


async def settle(pilot: Pilot[Any]) -> None:
    """Until the box has said what it is asked at the start, and the history is there."""
    await pilot.pause()
    app = pilot.app
    await until(
        pilot,
        lambda: (
            not any(
                worker.group in ("fill", "history") and not worker.is_finished
                for worker in app.workers
            )
        ),
    )
    await pilot.pause()


def rows_of(screen: Screen[Any], table: str) -> list[str]:
    """The text of a table, by its id."""
    return screen.query_one(f"#{table}", Table).plain_rows()


__all__ = [
    "StoryBox",
    "earlier_run",
    "flow",
    "past",
    "rows_of",
    "settle",
    "story_app",
    "story_box",
    "until",
    "uuid",
]
