"""The line at the top of every place: which box, how it is, the time."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from textual.geometry import Region

from cockpit.model import BoxInfo
from cockpit.tui.draw import Line, Run, clip, spread, width_of
from cockpit.tui.live import Live
from cockpit.tui.phrases import span, time_of_day
from cockpit.tui.wall.scene import budget
from cockpit.tui.wall.words import KWH, gib, kilowatts
from cockpit.tui.widgets.board import Board

if TYPE_CHECKING:
    from cockpit.tui.app import CockpitApp


class Header(Board):
    """One line from the live state; items of little weight are left out where there is no room."""

    app: CockpitApp

    def on_resize(self) -> None:
        """Lay the line out for this width."""
        region = Region(0, 0, self.size.width, 1)
        role = "" if self.app.role == "admin" else self.app.role
        stations = self.app.stations
        place = f"{stations.position + 1}/{len(stations.all)}" if stations.several else ""
        self.lay_out([_HeaderLine(region, self.app.live, role, place)], 1)


class _HeaderLine:
    def __init__(self, region: Region, live: Live, role: str, place: str) -> None:
        self.region = region
        self._live, self._role, self._place = live, role, place

    def lines(self) -> list[Line]:
        width, live = self.region.width, self._live
        left = _identity(live, width, self._role, self._place)
        right: tuple[Run, ...] = ()
        for item in _figures(live, width):
            if width_of(left) + width_of(right) + width_of(item) < width:
                right = (*item, *right)
        return [("panel", spread(left, right, width))]


def _identity(live: Live, width: int, role: str, place: str) -> tuple[Run, ...]:
    box = live.box
    if box is None:
        return ((" cockpit ", "*foreground"), (" waiting for the box…", "muted"))
    runs: list[Run] = [(f" {clip(box.name, max(8, width // 5))} ", "*foreground")]
    if place:
        runs.append((f"{place} ", "accent"))
    runs.append((f" {models(box)} ", "muted"))
    if box.source == "replay":
        runs.append((" REPLAY ", "*accent"))
    if box.simulated:
        runs.append((" SIMULATED ", "*accent"))
    if role:
        runs.append((f" {role.upper()} ", "*accent"))
    age = live.age_s()
    if live.disconnected is not None:
        runs.append((" DISCONNECTED ", "*error"))
    if live.stale and age is not None and age >= 1.0:
        runs.append((f" {span(age)} old ", "*warning"))
    return tuple(runs)


def _figures(live: Live, width: int) -> list[tuple[Run, ...]]:
    """From the right edge leftwards, the weightiest first."""
    snapshot = live.snapshot
    items: list[tuple[Run, ...]] = [((f"  {time_of_day(live.clock(), seconds=False)} ", "muted"),)]
    if snapshot is None:
        return items
    totals = snapshot.totals
    alerts = sum(1 for gpu in snapshot.gpus for r in gpu.reasons if r.severity != "info")
    critical = any(r.severity == "critical" for gpu in snapshot.gpus for r in gpu.reasons)
    if alerts:
        items.append(((f"  ▲ {alerts}", "*error" if critical else "*warning"),))
    power: tuple[Run, ...] = (
        (f"  {kilowatts(totals.power_w)}", "*foreground"),
        (f" of {kilowatts(budget(live.box, snapshot))} kW", "muted"),
    )
    rest: list[tuple[Run, ...]] = []
    if totals.energy_today_j is not None:
        energy = totals.energy_today_j / KWH
        rest.append(
            (
                (f"  {energy:.{1 if energy >= 10 else 2}f}", "foreground"),
                (" kWh today" if width >= 100 else " kWh", "muted"),
            )
        )
    if totals.cost_today is not None and live.box is not None:
        rest.append(((f"  {totals.cost_today:.2f} {live.box.currency}", "foreground"),))
    hottest = max(
        (gpu for gpu in snapshot.gpus if gpu.temperature_c is not None),
        key=lambda gpu: gpu.temperature_c or 0.0,
        default=None,
    )
    if hottest is not None:
        rest.append((("  hottest ", "muted"), (f"{hottest.temperature_c:.0f} °C", "foreground")))
    if totals.memory_used_bytes is not None:
        used = gib(totals.memory_used_bytes).rstrip("G")
        rest.append(
            (("  memory ", "muted"), (f"{used} of {gib(totals.memory_total_bytes)}", "foreground"))
        )
    return [*items, power, *rest]


def models(box: BoxInfo) -> str:
    """`10 × H100 PCIe`, or what there is of each kind."""
    names = Counter(info.name.removeprefix("NVIDIA ") for info in box.gpus)
    if not names:
        return f"{box.gpu_count} GPUs" if box.gpu_count else "no GPUs"
    return " + ".join(f"{count} × {name}" for name, count in names.items())
