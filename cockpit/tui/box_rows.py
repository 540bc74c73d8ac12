"""Boxes as rows of a table: one for each, and below it one for each of its GPUs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from cockpit.model import Gpu, Job
from cockpit.tui import phrases
from cockpit.tui.draw import bar, eighths
from cockpit.tui.layout import Column, Row, Span
from cockpit.tui.stations import Station
from cockpit.tui.wall.rows import heat
from cockpit.tui.wall.scene import power_top
from cockpit.tui.wall.words import mark, number, work

COLUMNS: tuple[Column, ...] = (
    Column("box", 13),
    Column("state", 13),
    Column("GPUs", 16, gap=2),
    Column("power", 8, right=True),
    Column("°C", 4, right=True),
    Column("SM %", 5, right=True, drop=2),
    Column("memory", 8, right=True, drop=3),
    Column("work", 14, flex=1, gap=2),
)
BAR_CELLS = 16
_STEPS = "▁▂▃▄▅▆▇█"
_HOT_C = 87.0


def rows_of(stations: Sequence[Station], unfolded: Iterable[str], needle: str) -> list[Row]:
    """Every box that has all words of `needle`, or a GPU that has them; folded or not."""
    rows: list[Row] = []
    open_boxes = set(unfolded)
    for position, station in enumerate(stations):
        head = box_row(position, station)
        gpus = list(gpu_rows(position, station))
        found = [row for row in gpus if row.matches(needle)]
        if needle and not head.matches(needle) and not found:
            continue
        rows.append(head)
        if str(position) in open_boxes:
            rows += found if needle and not head.matches(needle) else gpus
    return rows


def position_of(key: str) -> int:
    """The box that a row is about."""
    return int(key.partition("/")[0])


def gpu_of(key: str) -> str:
    """The UUID of the GPU that a row is about; empty for a box."""
    return key.partition("/")[2]


def box_row(position: int, station: Station) -> Row:
    """A box as a whole."""
    live = station.live
    snapshot = live.snapshot
    gpus = snapshot.gpus if snapshot else ()
    faded = live.stale
    ink = "faint" if faded else "text"
    hottest = max(
        (gpu.temperature_c for gpu in gpus if gpu.temperature_c is not None), default=None
    )
    active = [gpu.sm_active_percent for gpu in gpus if gpu.sm_active_percent is not None]
    sm = sum(active) / len(active) if active else None
    totals = snapshot.totals if snapshot else None
    return Row(
        str(position),
        (
            (station.name, "text bold"),
            _state(station),
            _strip(gpus, faded),
            (phrases.power(totals.power_w if totals else None), f"{ink} bold"),
            (number(hottest), "faint" if faded else _tone(hottest)),
            (number(sm), ink),
            (phrases.gib(totals.memory_used_bytes if totals else None), ink),
            _doing(station),
        ),
    )


def gpu_rows(position: int, station: Station) -> Iterator[Row]:
    """Its GPUs, as they were last heard of."""
    live = station.live
    infos = {info.uuid: info for info in live.box.gpus} if live.box else {}
    for gpu in live.snapshot.gpus if live.snapshot else ():
        word, color = mark(gpu)
        doing, doing_color = work(gpu, live.job_on(gpu))
        top = power_top(gpu, infos.get(gpu.uuid))
        level = eighths(gpu.power_w, top, BAR_CELLS)
        faded = live.stale
        ink = "faint" if faded else "text"
        yield Row(
            f"{position}/{gpu.uuid}",
            (
                (f"  └ {gpu.index}", "muted"),
                (word, "faint" if faded else color.replace("*", "")),
                bar(level, BAR_CELLS, "faint" if faded else "power"),
                (phrases.power(gpu.power_w), ink),
                (number(gpu.temperature_c), "faint" if faded else _tone(gpu.temperature_c)),
                (number(gpu.sm_active_percent), ink),
                (phrases.gib(gpu.memory_used_bytes), ink),
                (doing, "faint" if faded else doing_color),
            ),
        )


def _state(station: Station) -> Span:
    """How a box is, in a mark and a word."""
    live = station.live
    if live.disconnected is not None:
        return ("✗ UNREACHABLE", "error")
    if live.snapshot is None:
        return ("○ connecting", "muted")
    if live.stale:
        return ("▲ LATE", "warning")
    reasons = [reason for gpu in live.snapshot.gpus for reason in gpu.reasons]
    critical = sum(reason.severity == "critical" for reason in reasons)
    warnings = sum(reason.severity == "warning" for reason in reasons)
    if critical:
        return (f"✗ {critical} critical", "error")
    if warnings:
        return (f"▲ {warnings} warning" + ("s" if warnings > 1 else ""), "warning")
    return ("ok", "success")


def _strip(gpus: Sequence[Gpu], faded: bool) -> tuple[Span, ...]:
    """A cell for each GPU, as high as it is busy; ✗ for one that is lost or critical."""
    cells: list[Span] = []
    for gpu in gpus[:BAR_CELLS]:
        busy = gpu.sm_active_percent
        if busy is None:
            busy = gpu.utilization_percent
        if gpu.state in ("lost", "critical"):
            cells.append(("✗", "error"))
        elif busy is None:
            cells.append(("·", "faint"))
        else:
            ink = "warning" if gpu.state == "warning" else "primary"
            cells.append((_STEPS[min(7, int(busy / 12.5))], "faint" if faded else ink))
    if len(gpus) > BAR_CELLS:
        cells[-1] = ("…", "muted")
    return tuple(cells) or (("", "faint"),)


def _doing(station: Station) -> Span:
    """Its jobs; of one that is away, since when and why."""
    live = station.live
    if live.disconnected is not None:
        since = phrases.clock(live.disconnected.since_s, live.clock())
        return (f"since {since}: {live.disconnected.reason}", "error")
    source = "SIMULATED  " if live.box is not None and live.box.simulated else ""
    jobs = live.open_jobs()
    running = sum(_runs(job) for job in jobs)
    words = [f"{running} running"] if running else []
    words += [f"{len(jobs) - running} waiting"] if len(jobs) > running else []
    return (source + (", ".join(words) or "no jobs"), "text" if jobs else "muted")


def _runs(job: Job) -> bool:
    return job.started_s is not None


def _tone(temperature_c: float | None) -> str:
    return heat(temperature_c, _HOT_C)


def sums(stations: Sequence[Station]) -> tuple[Span, ...]:
    """All boxes together; what is away does not count, and is told."""
    here = [each for each in stations if each.live.snapshot and not each.live.stale]
    gpus = [gpu for each in here if each.live.snapshot for gpu in each.live.snapshot.gpus]
    watts = [
        each.live.snapshot.totals.power_w
        for each in here
        if each.live.snapshot and each.live.snapshot.totals.power_w is not None
    ]
    jobs = sum(_runs(job) for each in here for job in each.live.open_jobs())
    away = sum(each.live.disconnected is not None for each in stations)
    spans: list[Span] = [
        (f"{len(stations)} boxes", "text bold"),
        (f"   {len(gpus)} GPUs", "text"),
        (f"   {phrases.power(sum(watts) if watts else None)}", "text bold"),
        (f"   {jobs} running", "muted"),
    ]
    if away:
        spans.append((f"   ✗ {away} UNREACHABLE", "error"))
    return tuple(spans)
