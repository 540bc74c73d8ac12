"""What the GPU screen says in rows: processes, links, health and identity. Pure: no widgets."""

from __future__ import annotations

from collections.abc import Sequence

from cockpit.model import BoxInfo, Gpu, GpuInfo, Process
from cockpit.tui import phrases as words
from cockpit.tui.widgets.table import Cell, Column, Row

PROCESS_COLUMNS: tuple[Column, ...] = (
    Column("pid", 8, right=True),
    Column("user", 10),
    Column("GPU memory", 10, right=True),
    Column("kind", 8, drop=3),
    Column("job", 10, drop=1),
    Column("container", 13, drop=2),
    Column("command", 12, flex=True),
)
SORTS: tuple[str, ...] = ("memory", "pid", "user", "command")
"""What processes can be ordered by, in the order that the key goes through."""

FACT_COLUMNS: tuple[Column, ...] = (Column("", 23), Column("", 20, flex=True))
_VALUE_WIDTH = 20

_LINK_STATES: dict[bool | None, tuple[str, str]] = {
    True: ("up", "success"),
    False: ("▲ DOWN", "error"),
    None: (words.NONE, "muted"),
}

TOPOLOGY_WORDS: dict[str, str] = {
    "X": "itself",
    "PIX": "one PCIe switch",
    "PXB": "several PCIe switches",
    "PHB": "a PCIe host bridge",
    "NODE": "within a NUMA node",
    "SYS": "across NUMA nodes",
}


def process_rows(processes: Sequence[Process], sort: str, needle: str) -> list[Row]:
    """The processes that contain `needle` in any column, in order."""
    keys = {
        "memory": lambda process: (-(process.memory_used_bytes or 0), process.pid),
        "pid": lambda process: (process.pid,),
        "user": lambda process: (process.user or "", process.pid),
        "command": lambda process: (process.command or "", process.pid),
    }
    rows = []
    for process in sorted(processes, key=keys[sort]):
        mine = "text" if process.mine else "muted"
        row = Row(
            str(process.pid),
            (
                (str(process.pid), mine),
                (process.user or words.NONE, "text bold" if process.mine else "muted"),
                (words.gib(process.memory_used_bytes), "text"),
                (process.kind, "muted"),
                (process.job or words.NONE, "primary" if process.job else "muted"),
                (process.container or words.NONE, "muted"),
                (process.command or words.NONE, mine),
            ),
        )
        if not needle or needle.lower() in " ".join(_plain(row)).lower():
            rows.append(row)
    return rows


def refusal(process: Process, gpu: Gpu) -> str | None:
    """Why this process cannot be ended from here; None if it can."""
    name = process.command or "a process"
    if not process.mine:
        owner = process.user or "another user"
        return f"pid {process.pid} ({name:.60}) on GPU {gpu.index} belongs to {owner}, not to you."
    if process.job:
        return f"pid {process.pid} is part of job {process.job}: stop the job instead."
    if process.start_ticks is None:
        return f"pid {process.pid} cannot be told apart for certain: its start is not known."
    return None


def link_rows(box: BoxInfo, info: GpuInfo, gpu: Gpu) -> list[Row]:
    """PCIe against its maximum, the NVLinks, and this GPU's way to each of the others."""
    rows = [_section("PCIe"), _pcie(info, gpu)]
    rows.append(_fact("replays", words.number(gpu.pcie_replays), _why(gpu, "pcie_replays")))
    rows.append(_fact("received", words.rate(gpu.pcie_rx_bytes_per_s, "B/s"), ""))
    rows.append(_fact("sent", words.rate(gpu.pcie_tx_bytes_per_s, "B/s"), ""))
    rows += [_blank(), _section("NVLink"), *_nvlinks(gpu)]
    return rows


def _pcie(info: GpuInfo, gpu: Gpu) -> Row:
    def shown(generation: int | None, width: int | None) -> str:
        return f"gen {generation or words.NONE} ×{width or words.NONE}"

    now, most = (
        shown(gpu.pcie_generation, gpu.pcie_width),
        shown(info.pcie_generation_max, info.pcie_width_max),
    )
    narrow = (
        None not in (gpu.pcie_width, info.pcie_width_max) and gpu.pcie_width != info.pcie_width_max
    )
    if narrow:
        note = f"▲ of {most}: lanes are missing, reseat the card"
        return _fact("link now", now, note, "warning", "warning")
    return _fact("link now", now, f"of {most}")


def _nvlinks(gpu: Gpu) -> list[Row]:
    if not gpu.nvlinks:
        return [_fact("links", words.NONE, _why(gpu, "nvlinks") or "this card has no NVLink up")]
    rows = [
        _fact("received", words.rate(gpu.nvlink_rx_bytes_per_s, "B/s"), ""),
        _fact("sent", words.rate(gpu.nvlink_tx_bytes_per_s, "B/s"), ""),
    ]
    for link in gpu.nvlinks:
        shown, ink = _LINK_STATES[link.active]
        peer = f"to GPU {link.peer}" if link.peer is not None else "to a switch, or not known"
        errors = f", {link.errors} errors" if link.errors else ""
        rows.append(
            _fact(f"link {link.link}", shown, peer + errors, ink, "warning" if errors else "muted")
        )
    return rows


def topology_rows(box: BoxInfo, index: int) -> tuple[list[Column], list[Row]]:
    """The matrix of the ways between the GPUs, this GPU's row and column lit."""
    size = len(box.topology)
    columns = [Column("", 6), *(Column(f"{number}", 4, right=True) for number in range(size))]
    rows = []
    for number, ways in enumerate(box.topology):
        lit = number == index
        cells: list[Cell] = [(f"GPU {number}", "primary bold" if lit else "muted")]
        for other, way in enumerate(ways):
            fast = way.startswith("NV")
            ink = "success" if fast else "text" if lit or other == index else "faint"
            if number == other:
                way, ink = "·", "muted"
            cells.append((way, f"{ink} bold" if lit else ink))
        rows.append(Row("", tuple(cells)))
    return columns, rows


def topology_legend(box: BoxInfo) -> str:
    """The ways that occur, in words."""
    present = {way for ways in box.topology for way in ways}
    known = [
        f"{way} {meaning}" for way, meaning in TOPOLOGY_WORDS.items() if way in present - {"X"}
    ]
    if any(way.startswith("NV") for way in present):
        known.insert(0, "NV# that many NVLinks")
    return " · ".join(known)


def health_rows(gpu: Gpu, now_s: float) -> list[Row]:
    """Memory errors, remaps, XIDs, the driver's own verdict, and how long it was slowed by what."""
    rows = _reasons(gpu, now_s)
    rows.append(_section("Memory errors"))
    for label, name, bad in (
        ("corrected", "ecc_corrected", False),
        ("uncorrected", "ecc_uncorrected", True),
        ("remapped rows", "remapped_rows", False),
    ):
        value: int | None = getattr(gpu, name)
        ink = "error" if bad and value else "warning" if value else "text"
        rows.append(_fact(label, words.number(value), _why(gpu, name), ink))
    for label, name, advice in (
        ("remap pending", "remap_pending", "reset the GPU to let it take effect"),
        ("remap failed", "remap_failed", "the card has no spare rows left: replace it"),
    ):
        flag: bool | None = getattr(gpu, name)
        shown = words.NONE if flag is None else "yes" if flag else "no"
        rows.append(
            _fact(label, shown, advice if flag else _why(gpu, name), "error" if flag else "text")
        )
    rows += [_blank(), _section("Driver")]
    action = gpu.recovery_action
    calm = action in (None, "none")
    rows.append(
        _fact(
            "recovery needed",
            (action or words.NONE).replace("_", " "),
            _why(gpu, "recovery_action") if calm else "▲ what the driver itself asks for",
            "text" if calm else "error",
        )
    )
    xid = "none seen" if gpu.last_xid is None else f"XID {gpu.last_xid}"
    when = "" if gpu.last_xid_s is None else f"at {words.clock(gpu.last_xid_s, now_s)}"
    rows.append(_fact("last XID", xid, when, "text" if gpu.last_xid is None else "error"))
    rows += [_blank(), _section("Time slowed since the driver was loaded")]
    if not gpu.throttle_times_s:
        rows.append(_fact("by any reason", words.NONE, _why(gpu, "throttle_times_s")))
    for name, seconds in sorted(gpu.throttle_times_s.items()):
        rows.append(_fact(name.replace("_", " "), words.length(seconds), ""))
    if gpu.errors:
        rows += [_blank(), _section("Not readable")]
        rows += [
            _fact(name.replace("_", " "), words.NONE, reason)
            for name, reason in sorted(gpu.errors.items())
        ]
    return rows


def about_rows(box: BoxInfo, info: GpuInfo, gpu: Gpu) -> list[Row]:
    """Identity and limits."""
    number = words.number
    limits = [
        _section("Limits"),
        _fact("power limit", number(gpu.power_limit_w, "W"), _range(info)),
        _fact("default power limit", number(info.power_limit_default_w, "W"), ""),
        _fact("slows down at", number(info.temperature_slowdown_c, "°C"), ""),
        _fact("shuts down at", number(info.temperature_shutdown_c, "°C"), ""),
        _fact("memory may reach", number(info.temperature_memory_max_c, "°C"), ""),
        _fact("SM clock at most", number(info.sm_clock_max_mhz, "MHz"), ""),
        _fact("memory clock at most", number(info.memory_clock_max_mhz, "MHz"), ""),
        _fact("energy so far", words.energy(gpu.energy_j), "since the driver was loaded"),
    ]
    identity = [
        _section("Identity"),
        _fact("name", info.name, ""),
        _fact("uuid", info.uuid, ""),
        _fact("serial number", info.serial or words.NONE, ""),
        _fact("PCI bus", info.pci_bus_id or words.NONE, ""),
        _fact("architecture", info.architecture or words.NONE, ""),
        _fact("compute capability", info.compute_capability or words.NONE, ""),
        _fact("memory", words.gib(info.memory_total_bytes), ""),
        _fact("VBIOS", info.vbios_version or words.NONE, ""),
        _fact("near CPUs", info.cpu_affinity or words.NONE, _numa(info)),
        _fact("MIG", _mig(gpu), ""),
        _blank(),
        _section("Box"),
        _fact("name", box.name, "SIMULATED" if box.source == "simulated" else box.source),
        _fact("driver", box.driver_version or words.NONE, f"CUDA {box.cuda_version or words.NONE}"),
    ]
    return [*identity, _blank(), *limits]


def _reasons(gpu: Gpu, now_s: float) -> list[Row]:
    """Everything that is wrong, each with its advice; nothing when all is well."""
    if not gpu.reasons:
        return []
    rows = [_section("What is wrong")]
    for reason in gpu.reasons:
        mark, word, ink = words.SEVERITY_MARKS[reason.severity]
        since = "" if reason.since_s is None else f" for {words.length(now_s - reason.since_s)}"
        rows.append(Row("", ((f"  {mark} {word}", ink), ((reason.text + since, "text"),))))
        if reason.advice:
            rows.append(Row("", ("", (reason.advice, "muted"))))
    return [*rows, _blank()]


def _mig(gpu: Gpu) -> str:
    if gpu.mig_enabled is None:
        return words.NONE
    if not gpu.mig_enabled:
        return "off"
    return "on: " + (", ".join(part.profile for part in gpu.slices) or "no slices yet")


def _numa(info: GpuInfo) -> str:
    return "" if info.numa_node is None else f"NUMA node {info.numa_node}"


def _range(info: GpuInfo) -> str:
    if info.power_limit_min_w is None or info.power_limit_max_w is None:
        return ""
    return f"can be {info.power_limit_min_w:.0f} to {info.power_limit_max_w:.0f} W"


def _why(gpu: Gpu, name: str) -> str:
    return gpu.errors.get(name, "")


def _section(title: str) -> Row:
    return Row("", ((title, "text bold"), ""))


def _fact(label: str, value: str, note: str, ink: str = "text", note_ink: str = "muted") -> Row:
    return Row(
        "", (("  " + label, "muted"), ((f"{value:<{_VALUE_WIDTH}} ", ink), (note, note_ink)))
    )


def _blank() -> Row:
    return Row("", ("", ""))


def _plain(row: Row) -> list[str]:
    return [cell if isinstance(cell, str) else str(cell[0]) for cell in row.cells]
