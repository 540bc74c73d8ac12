"""A GPU as a card: its last minutes of power under the limit, its temperature, its figures."""

from __future__ import annotations

from textual.geometry import Region

from cockpit.model import Gpu, GpuInfo, Job, Process
from cockpit.tui.draw import (
    Line,
    Run,
    area,
    blank,
    clip,
    crop,
    eighths,
    gauge,
    spread,
    width_of,
    wrap,
)
from cockpit.tui.phrases import NONE, remaining, span, time_of_day, worst
from cockpit.tui.wall.rows import heat, level
from cockpit.tui.wall.scene import Scene, Trails, power_top
from cockpit.tui.wall.words import all_processes, gib, mark, number, rate, work

COOL_C, HOT_C = 20.0, 90.0
"""The fixed scale of temperatures."""
_SCALE = 5
"""Cells for the scale at the left of a chart."""
_WITH_HEADLINE = 6
"""From this many lines below the title the power and heat have a line of their own."""
_ROOMY = 8
"""From this many lines below the title a card also has links and a second line of temperature."""


class Card:
    """One GPU in a rectangle of at least 46 by 5 cells."""

    def __init__(self, region: Region, scene: Scene, position: int) -> None:
        self.region = region
        self._scene = scene
        self._position = position
        self._body = region.height - 1
        width = region.width
        self._figures = 30 if width >= 66 else 24 if width >= 56 else 19
        self._chart = width - self._figures - _SCALE - 2
        self._heat_rows = max(2, self._body // 4) if self._body >= _ROOMY else 1
        self._foot_rows = 1 if self._body >= _ROOMY else 0
        self._power_rows = self._body - self._heat_rows - self._foot_rows

    def lines(self) -> list[Line]:
        """The card, title first."""
        gpu = self._scene.gpu(self._position)
        if gpu is None:
            return self._waiting()
        info = self._scene.info(gpu)
        job = self._scene.live.job_on(gpu)
        body = self._lost(gpu) if gpu.state == "lost" else self._alive(gpu, info)
        if gpu.state != "lost" and gpu.slices:
            body[-1] = self._slices(gpu)
        lines = [self._title(gpu, job), *body]
        if not self._scene.matches(gpu, job):
            return [(back, tuple((text, "faint") for text, _ in runs)) for back, runs in lines]
        return lines

    def _title(self, gpu: Gpu, job: Job | None) -> Line:
        chosen = self._position == self._scene.selected
        word, color = mark(gpu)
        doing, doing_color = work(gpu, job)
        width = self.region.width
        left: list[Run] = [
            ("▌" if chosen else " ", "*accent"),
            (f"{gpu.index:<2} ", "*foreground" if gpu.state != "lost" else "*error"),
        ]
        if self._body < _WITH_HEADLINE and gpu.state != "lost":
            left += [
                (f"{number(gpu.power_w, 3)} W", "*foreground"),
                (f"{number(gpu.temperature_c, 4)} °C ", heat(gpu.temperature_c, HOT_C)),
            ]
            if width >= 56:
                left.append((f"{number(gpu.sm_clock_mhz, 5)} MHz ", "muted"))
        if word:
            left.append((f" {word} ", color))
        room = width - width_of(left) - 2
        rest = room - len(doing) - 2
        if gpu.state == "lost":
            pace = f"  #{job.id} {clip(job.name, 20)}" if job else ""
        else:
            pace = _pace(job, rest) if job else _command(gpu, rest)
        right: list[Run] = [
            (clip(doing, max(4, room)), doing_color),
            (pace, "muted"),
            (" ", "faint"),
        ]
        reason = worst(gpu)
        spare = width - width_of(left) - width_of(right) - 1
        if reason is not None and self._body >= _ROOMY and gpu.state != "lost" and spare > 12:
            left.append((clip(reason.text, spare), color.lstrip("*")))
        return "selected" if chosen else "panel", spread(left, right, width)

    def _alive(self, gpu: Gpu, info: GpuInfo | None) -> list[Line]:
        charts = self._charts(gpu, info, self._scene.trail(gpu.uuid))
        figures = self._figure_rows(gpu, info)
        lines: list[Line] = []
        empty = ((" " * self._figures, "faint"),)
        for row, chart in enumerate(charts):
            right = figures[row] if row < len(figures) else empty
            lines.append(("surface", (*chart, ("  ", "faint"), *right)))
        if self._foot_rows:
            lines.append(("surface", crop(self._foot(gpu), self.region.width)))
        return lines

    def _charts(self, gpu: Gpu, info: GpuInfo | None, trails: Trails) -> list[tuple[Run, ...]]:
        top, height, width = power_top(gpu, info), self._power_rows, self._chart
        levels = trails.power_w.levels(width, height, top)
        rows = area(levels, height, "power", eighths(gpu.power_limit_w, top, height))
        labels = [""] * height
        labels[0] = f"{top:.0f}W"
        if height > 2:
            labels[-1] = "0"
        if height > 5:
            labels[height // 2] = f"{top / 2:.0f}"
        power = [((f"{label:>4} ", "muted"), *row) for label, row in zip(labels, rows, strict=True)]
        height = self._heat_rows
        levels = trails.temperature_c.levels(width, height, HOT_C, COOL_C)
        labels = [f"{HOT_C:.0f}°", *[""] * (height - 2), f"{COOL_C:.0f}°"] if height > 1 else ["°C"]
        warmth = [
            ((f"{label:>4} ", "muted"), *row)
            for label, row in zip(labels, area(levels, height, "heat"), strict=True)
        ]
        return power + warmth

    def _figure_rows(self, gpu: Gpu, info: GpuInfo | None) -> list[tuple[Run, ...]]:
        sm = gpu.sm_active_percent if gpu.sm_active_percent is not None else gpu.utilization_percent
        rows = [
            self._gauge("SM", sm, "activity-sm"),
            self._gauge("TC", gpu.tensor_active_percent, "activity-tensor"),
            self._gauge("HBM", gpu.dram_active_percent, "activity-dram"),
            self._memory(gpu),
        ]
        if self._body < _WITH_HEADLINE:
            return rows
        hot = (info.temperature_slowdown_c if info else None) or HOT_C
        headline: tuple[Run, ...] = (
            (number(gpu.power_w, 4), "*foreground"),
            (" W", "foreground"),
            (f" of {number(gpu.power_limit_w)}" if self._figures >= 24 else "", "muted"),
        )
        warmth: tuple[Run, ...] = (
            (f"{number(gpu.temperature_c)} °C ", "*" + heat(gpu.temperature_c, hot)),
        )
        rows.insert(0, spread(headline, warmth, self._figures))
        of = f" of {info.sm_clock_max_mhz}" if info and info.sm_clock_max_mhz else ""
        clocks: tuple[Run, ...] = (
            (number(gpu.sm_clock_mhz, 4), "foreground"),
            (f"{of} MHz", "muted"),
        )
        vram: tuple[Run, ...] = ((f"HBM {number(gpu.memory_temperature_c)}° ", "muted"),)
        rows.append(spread(clocks, vram if self._figures >= 28 else (), self._figures))
        if self._body >= _ROOMY:
            rows.append(self._traffic("PCIe", gpu.pcie_rx_bytes_per_s, gpu.pcie_tx_bytes_per_s))
            rows.append(
                self._traffic("NVLink", gpu.nvlink_rx_bytes_per_s, gpu.nvlink_tx_bytes_per_s)
            )
        if self._body > len(rows) + 2:
            rows += [
                crop((), self._figures),
                *(self._process(process) for process in all_processes(gpu)),
            ]
        return rows

    def _process(self, process: Process) -> tuple[Run, ...]:
        who = f"{process.user or NONE} {process.command or process.pid}"
        size = gib(process.memory_used_bytes)
        room = self._figures - len(size) - 2
        return spread(((clip(who, room), "muted"),), ((f" {size} ", "foreground"),), self._figures)

    def _gauge(self, name: str, percent: float | None, front: str) -> tuple[Run, ...]:
        width = self._figures - 9
        return (
            (f"{name:<4}", "muted"),
            *gauge(eighths(percent, 100.0, width), width, front),
            (number(percent, 4), level("foreground", percent)),
            (" ", "faint"),
        )

    def _memory(self, gpu: Gpu) -> tuple[Run, ...]:
        width = self._figures - 9
        used, total = gpu.memory_used_bytes, gpu.memory_total_bytes
        figure = gib(used)
        return (
            ("mem ", "muted"),
            *gauge(eighths(used, total or 0, width), width, "activity-memory"),
            (figure.rjust(4), "foreground"),
            (" ", "faint"),
        )

    def _traffic(self, name: str, received: float | None, sent: float | None) -> tuple[Run, ...]:
        if received is None and sent is None:
            return ((f"{name:<7}{NONE}".ljust(self._figures), "faint"),)
        quiet = (received or 0) + (sent or 0) < 5e7
        return (
            (f"{name:<7}", "muted"),
            (f"↓{rate(received):<5}↑{rate(sent):<5}", "faint" if quiet else "foreground"),
            ("GB/s".ljust(self._figures - 19), "muted"),
        )

    def _foot(self, gpu: Gpu) -> tuple[Run, ...]:
        """Ten minutes below their chart, and what keeps the GPU from running free."""
        axis = f"{'10 min':<{self._chart - 3}}now"
        limits = [name.replace("_", " ") for name in gpu.throttle_reasons if name != "idle"]
        if gpu.thermal_margin_c is not None:
            limits.append(f"margin {gpu.thermal_margin_c:.0f}°")
        return (
            (" " * _SCALE + axis + "  ", "faint"),
            (clip(" · ".join(limits), self._figures), "muted"),
        )

    def _slices(self, gpu: Gpu) -> Line:
        """MIG slices as a strip of cells, as wide as their share of the GPU."""
        room = self.region.width - 6
        runs: list[Run] = [(" MIG ", "muted")]
        for number_, part in enumerate(
            sorted(gpu.slices, key=lambda part: part.placement_start or 0)
        ):
            width = max(3, room * (part.placement_size or 1) // 8 - 1)
            busy = part.sm_active_percent
            text = part.profile if width > len(part.profile) + 5 else part.profile.split(".")[0]
            figure = NONE if busy is None else f"{busy:.0f}%"
            label = clip(f"{text} {figure}" if width >= len(text) + 5 else text, width - 1)
            front = "activity-sm" if busy and busy >= 0.5 else "muted"
            runs += [("▕" if number_ else "▐", front), (f"{label:<{width}}", front)]
        return "surface", crop(runs, self.region.width)

    def _lost(self, gpu: Gpu) -> list[Line]:
        """When it was lost, why, and what to do, where its charts were."""
        reason = worst(gpu)
        width = self.region.width - 6
        ago = ""
        if gpu.lost_since_s is not None:
            now = self._scene.live.snapshot.time_s if self._scene.live.snapshot else 0.0
            ago = f"lost at {time_of_day(gpu.lost_since_s)}, {span(now - gpu.lost_since_s)} ago"
        texts: list[Run] = []
        if reason is not None:
            texts += [(text, "*error") for text in wrap(reason.text, width, 2)]
            texts += [(text, "foreground") for text in wrap(reason.advice, width, 2)]
        if ago:
            texts.append((ago, "muted"))
        start = max(0, (self._body - len(texts)) // 2)
        lines = [blank(self.region.width, "surface") for _ in range(self._body)]
        for offset, run in enumerate(texts[: self._body]):
            lines[start + offset] = ("surface", crop((("   ", "faint"), run), self.region.width))
        return lines

    def _waiting(self) -> list[Line]:
        chosen = self._position == self._scene.selected
        title = (("▌" if chosen else " ", "*accent"), (f"{self._position:<2}", "muted"))
        lines: list[Line] = [("selected" if chosen else "panel", crop(title, self.region.width))]
        lines += [blank(self.region.width, "surface") for _ in range(self._body)]
        if self._position == 0:
            text = (("   waiting for the driver…", "muted"),)
            lines[self._body // 2] = ("surface", crop(text, self.region.width))
        return lines


def _pace(job: Job, room: int) -> str:
    """How far a job is, as much of it as there is room for."""
    progress = job.progress
    if progress is None or progress.total <= 0:
        return ""
    done = f"  {100 * progress.done / progress.total:.0f} %"
    left = f", {remaining(progress.eta_s)} left" if progress.eta_s else ""
    if len(done + left) <= room:
        return done + left
    return done if len(done) <= room else ""


def _command(gpu: Gpu, room: int) -> str:
    """What a process of nobody's job is called, when there is room to say it."""
    commands = [process.command for process in all_processes(gpu) if process.command]
    if not commands or gpu.state == "lost" or room < 12:
        return ""
    return "  " + clip(commands[0], min(room - 2, 32))
