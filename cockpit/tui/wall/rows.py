"""The GPUs as a table: one line each, every column in its place."""

from __future__ import annotations

from textual.geometry import Region

from cockpit.model import Gpu, reason_line
from cockpit.tui.draw import Line, Run, bar, clip, crop, eighths, shade
from cockpit.tui.phrases import worst
from cockpit.tui.wall.scene import Scene, bridged, power_top
from cockpit.tui.wall.words import gib, mark, number, slice_name, work

_FIXED = 46
"""Cells taken by everything but the bar and the work."""


class GpuRows:
    """A line of titles and a line for each GPU; more GPUs than lines scroll with the selection."""

    def __init__(self, region: Region, scene: Scene) -> None:
        self.region = region
        self._scene = scene
        room = region.width - _FIXED
        self._bar = max(8, min(40, room * 17 // 31))
        self._work = max(0, room - self._bar)

    def lines(self) -> list[Line]:
        """The table."""
        count, room = self._scene.count, self.region.height - 1
        first = first_visible(self._scene.selected, count, room)
        return [self._titles(), *(self._row(first + line) for line in range(room))]

    def _titles(self) -> Line:
        snapshot = self._scene.live.snapshot
        tops = {gpu.power_limit_w for gpu in snapshot.gpus if gpu.power_limit_w} if snapshot else ()
        scale = f"0–{max(tops):.0f} W" if tops else ""
        bar_title = "power".ljust(self._bar - len(scale)) + scale
        text = f"  #  {bar_title[: self._bar]}    W  °C   SM  TC HBM   mem  MHz  state "
        return "background", crop(((text, "muted"), (" work", "muted")), self.region.width)

    def _row(self, position: int) -> Line:
        scene = self._scene
        chosen = position == scene.selected
        back = "selected" if chosen else "background"
        pointer: Run = ("▸" if chosen else " ", "*accent")
        gpu = scene.gpu(position)
        if gpu is None:
            waits = "  waiting for the driver…" if position == 0 and not scene.live.snapshot else ""
            return back, crop(
                (
                    pointer,
                    (f"{position:>2}  ", "muted"),
                    ("·" * self._bar, "faint"),
                    (waits, "foreground"),
                ),
                self.region.width,
            )
        job = scene.live.job_on(gpu)
        word, color = mark(gpu)
        doing, doing_color = work(gpu, job)
        runs: list[Run] = [
            pointer,
            (f"{gpu.index:>2}", "*foreground" if gpu.state != "lost" else "*error"),
            self._bridge(position, gpu),
            *(self._lost(gpu) if gpu.state == "lost" else self._figures(gpu)),
            (f"  {word:<6}", color),
            *(_slices(gpu) if gpu.slices else ()),
            (clip(doing, self._work), doing_color),
        ]
        if not scene.matches(gpu, job):
            runs = [(text, "faint") for text, _ in runs]
        return back, crop(runs, self.region.width)

    def _lost(self, gpu: Gpu) -> list[Run]:
        """Where its figures were: why it is lost, and what to do."""
        reason = worst(gpu)
        text = reason_line(reason) if reason else "does not answer"
        width = self._bar + 33
        return [(f"{clip(text, width - 1):<{width}}", "error")]

    def _figures(self, gpu: Gpu) -> list[Run]:
        info = self._scene.info(gpu)
        top = power_top(gpu, info)
        hot = (info.temperature_slowdown_c if info else None) or 90.0
        sm = gpu.sm_active_percent if gpu.sm_active_percent is not None else gpu.utilization_percent
        return [
            *bar(eighths(gpu.power_w, top, self._bar), self._bar, "power"),
            (number(gpu.power_w, 5), "*foreground"),
            (number(gpu.temperature_c, 4), heat(gpu.temperature_c, hot)),
            (number(sm, 5), level("activity-sm", sm)),
            (
                number(gpu.tensor_active_percent, 4),
                level("activity-tensor", gpu.tensor_active_percent),
            ),
            (number(gpu.dram_active_percent, 4), level("activity-dram", gpu.dram_active_percent)),
            (gib(gpu.memory_used_bytes, 6), "foreground"),
            (number(gpu.sm_clock_mhz, 5), "muted"),
        ]

    def _bridge(self, position: int, gpu: Gpu) -> Run:
        """A bracket that joins the two GPUs of an NVLink bridge."""
        for other, shape in ((position + 1, "╮"), (position - 1, "╯")):
            neighbour = self._scene.gpu(other) if other >= 0 else None
            if neighbour is not None:
                state = bridged(self._scene.live, gpu, neighbour)
                if state:
                    return f"{shape} " if state == "up" else f"{'╷' if shape == '╮' else '╵'} ", (
                        "muted" if state == "up" else "warning"
                    )
        return "  ", "faint"


def first_visible(selected: int, count: int, room: int) -> int:
    """The first GPU of a window of `room` that keeps the selected one inside."""
    if count <= room:
        return 0
    return max(0, min(count - room, selected - room // 2))


def heat(temperature_c: float | None, hot_c: float) -> str:
    """The colour of a temperature: cool at 30 °C, red where the GPU slows itself down."""
    if temperature_c is None:
        return "faint"
    return shade("heat", max(0.0, temperature_c - 30.0), max(1.0, hot_c - 30.0))


def level(front: str, percent: float | None) -> str:
    """The colour of an activity; one that is next to nothing steps back."""
    return "faint" if percent is None or percent < 0.5 else front


def _slices(gpu: Gpu) -> tuple[Run, ...]:
    """MIG slices as up to seven cells, each as high as it is busy."""
    steps = "▁▂▃▄▅▆▇█"
    cells = "".join(
        "·" if part.sm_active_percent is None else steps[min(7, int(part.sm_active_percent / 12.5))]
        for part in gpu.slices[:7]
    )
    names = "+".join(slice_name(part) for part in gpu.slices[:7])
    return (("MIG ", "muted"), (cells, "activity-sm"), (f" {names} ", "muted"))
