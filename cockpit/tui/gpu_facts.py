"""What the GPU screen says in rows: processes, links, health and identity. Pure: no widgets."""

from __future__ import annotations

from collections.abc import Sequence

from cockpit.model import BoxInfo, Gpu, GpuInfo, Process
from cockpit.tui import phrases
from cockpit.tui.widgets.table import Column, Row, Span

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

ONE_COLUMN: tuple[Column, ...] = (Column("", flex=True),)
_LABEL_WIDTH, _VALUE_WIDTH = 23, 20

_LINK_STATES: dict[bool | None, tuple[str, str]] = {
    True: ("up", "success"),
    False: ("▲ DOWN", "error"),
    None: (phrases.NONE, "muted"),
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
    """The processes that have every word of `needle`, in order."""
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
                (process.user or phrases.NONE, "text bold" if process.mine else "muted"),
                (phrases.gib(process.memory_used_bytes), "text"),
                (process.kind, "muted"),
                (process.job or phrases.NONE, "primary" if process.job else "muted"),
                (process.container or phrases.NONE, "muted"),
                (process.command or phrases.NONE, mine),
            ),
        )
        if row.matches(needle):
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


def pcie_rows(info: GpuInfo, gpu: Gpu) -> list[Row]:
    """PCIe against its maximum."""
    return [
        _section("PCIe"),
        _pcie(info, gpu),
        _fact("replays", phrases.number(gpu.pcie_replays), _why(gpu, "pcie_replays")),
        _fact("received", phrases.rate(gpu.pcie_rx_bytes_per_s, "B/s"), ""),
        _fact("sent", phrases.rate(gpu.pcie_tx_bytes_per_s, "B/s"), ""),
        _blank(),
    ]


def _pcie(info: GpuInfo, gpu: Gpu) -> Row:
    def shown(generation: int | None, width: int | None) -> str:
        return f"gen {generation or phrases.NONE} ×{width or phrases.NONE}"

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


def nvlink_rows(gpu: Gpu) -> list[Row]:
    """The NVLinks, each with its state and where it leads."""
    title = _section("NVLink")
    if not gpu.nvlinks:
        return [
            title,
            _fact("links", phrases.NONE, _why(gpu, "nvlinks") or "this card has no NVLink up"),
        ]
    rows = [
        title,
        _fact("received", phrases.rate(gpu.nvlink_rx_bytes_per_s, "B/s"), ""),
        _fact("sent", phrases.rate(gpu.nvlink_tx_bytes_per_s, "B/s"), ""),
    ]
    for link in gpu.nvlinks:
        shown, ink = _LINK_STATES[link.active]
        peer = f"to GPU {link.peer}" if link.peer is not None else "to a switch, or not known"
        errors = f", {link.errors} errors" if link.errors else ""
        rows.append(
            _fact(f"link {link.link}", shown, peer + errors, ink, "warning" if errors else "muted")
        )
    return rows


def topology_rows(box: BoxInfo, index: int) -> list[Row]:
    """The matrix of the ways between the GPUs, this GPU's row and column lit."""
    if not box.topology:
        return [_section("Ways to the other GPUs"), _spans((("  not known", "muted"),)), _blank()]
    rows = [_section("Ways to the other GPUs")]
    head = "".join(f"{number:>5}" for number in range(len(box.topology)))
    rows.append(_spans(((f"{'':<8}{head}", "muted"),)))
    for number, ways in enumerate(box.topology):
        lit = number == index
        spans: list[Span] = [(f"  GPU {number:<2}", "primary bold" if lit else "muted")]
        for other, way in enumerate(ways):
            ink = "success" if way.startswith("NV") else "text"
            if not lit and other != index:
                ink = "success" if way.startswith("NV") else "faint"
            shown = "·" if number == other else way
            spans.append((f"{shown:>5}", f"{ink} bold" if lit else ink))
        rows.append(_spans(tuple(spans)))
    rows += [_spans(((f"  {line}", "muted"),)) for line in _ways_in_words(box)]
    return [*rows, _blank()]


def _ways_in_words(box: BoxInfo) -> list[str]:
    """The ways that occur, in phrases."""
    present = {way for ways in box.topology for way in ways}
    known = [
        f"{way} {meaning}" for way, meaning in TOPOLOGY_WORDS.items() if way in present - {"X"}
    ]
    if any(way.startswith("NV") for way in present):
        known.insert(0, "NV# that many NVLinks")
    return [" · ".join(known[at : at + 3]) for at in range(0, len(known), 3)]


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
        rows.append(_fact(label, phrases.number(value), _why(gpu, name), ink))
    for label, name, advice in (
        ("remap pending", "remap_pending", "reset the GPU to let it take effect"),
        ("remap failed", "remap_failed", "the card has no spare rows left: replace it"),
    ):
        flag: bool | None = getattr(gpu, name)
        shown = phrases.NONE if flag is None else "yes" if flag else "no"
        rows.append(
            _fact(label, shown, advice if flag else _why(gpu, name), "error" if flag else "text")
        )
    rows += [_blank(), _section("Driver")]
    action = gpu.recovery_action
    calm = action in (None, "none")
    rows.append(
        _fact(
            "recovery needed",
            (action or phrases.NONE).replace("_", " "),
            _why(gpu, "recovery_action") if calm else "▲ what the driver itself asks for",
            "text" if calm else "error",
        )
    )
    xid = "none seen" if gpu.last_xid is None else f"XID {gpu.last_xid}"
    when = "" if gpu.last_xid_s is None else f"at {phrases.clock(gpu.last_xid_s, now_s)}"
    rows.append(_fact("last XID", xid, when, "text" if gpu.last_xid is None else "error"))
    rows += [_blank(), _section("Time spent slowed")]
    if not gpu.throttle_times_s:
        rows.append(_fact("by any reason", phrases.NONE, _why(gpu, "throttle_times_s")))
    for name, seconds in sorted(gpu.throttle_times_s.items()):
        rows.append(_fact(name.replace("_", " "), phrases.length(seconds), ""))
    if gpu.errors:
        rows += [_blank(), _section("Not readable")]
        rows += [
            _fact(name.replace("_", " "), phrases.NONE, reason)
            for name, reason in sorted(gpu.errors.items())
        ]
    return rows


def about_rows(box: BoxInfo, info: GpuInfo, gpu: Gpu) -> list[Row]:
    """Identity and limits."""
    number = phrases.number
    limits = [
        _section("Limits"),
        _fact("power limit", number(gpu.power_limit_w, "W"), _range(info)),
        _fact("default power limit", number(info.power_limit_default_w, "W"), ""),
        _fact("slows down at", number(info.temperature_slowdown_c, "°C"), ""),
        _fact("shuts down at", number(info.temperature_shutdown_c, "°C"), ""),
        _fact("memory may reach", number(info.temperature_memory_max_c, "°C"), ""),
        _fact("SM clock at most", number(info.sm_clock_max_mhz, "MHz"), ""),
        _fact("memory clock at most", number(info.memory_clock_max_mhz, "MHz"), ""),
        _fact("energy so far", phrases.energy(gpu.energy_j), "since the driver was loaded"),
    ]
    identity = [
        _section("Identity"),
        _fact("name", info.name, ""),
        _fact("uuid", info.uuid, ""),
        _fact("serial number", info.serial or phrases.NONE, ""),
        _fact("PCI bus", info.pci_bus_id or phrases.NONE, ""),
        _fact("architecture", info.architecture or phrases.NONE, ""),
        _fact("compute capability", info.compute_capability or phrases.NONE, ""),
        _fact("memory", phrases.gib(info.memory_total_bytes), ""),
        _fact("VBIOS", info.vbios_version or phrases.NONE, ""),
        _fact("near CPUs", info.cpu_affinity or phrases.NONE, _numa(info)),
        _fact("MIG", _mig(gpu), ""),
        _blank(),
        _section("Box"),
        _fact("name", box.name, "SIMULATED" if box.simulated else box.source),
        _fact(
            "driver", box.driver_version or phrases.NONE, f"CUDA {box.cuda_version or phrases.NONE}"
        ),
    ]
    return [*identity, _blank(), *limits]


def _reasons(gpu: Gpu, now_s: float) -> list[Row]:
    """Everything that is wrong, each with its advice; nothing when all is well."""
    if not gpu.reasons:
        return []
    rows = [_section("What is wrong")]
    for reason in gpu.reasons:
        mark, word, ink = phrases.SEVERITY_MARKS[reason.severity]
        since = "" if reason.since_s is None else f" for {phrases.length(now_s - reason.since_s)}"
        rows.append(
            _spans(
                (
                    (f"  {mark} {word:<{_LABEL_WIDTH - 4}} ", ink),
                    (reason.text, "text"),
                    (since, "muted"),
                )
            )
        )
        if reason.advice:
            rows.append(_spans(((" " * (_LABEL_WIDTH + 1) + reason.advice, "muted"),)))
    return [*rows, _blank()]


def _mig(gpu: Gpu) -> str:
    if gpu.mig_enabled is None:
        return phrases.NONE
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
    return _spans(((title, "text bold"),))


def _fact(label: str, value: str, note: str, ink: str = "text", note_ink: str = "muted") -> Row:
    return _spans(
        (
            (f"  {label:<{_LABEL_WIDTH - 2}} ", "muted"),
            (f"{value:<{_VALUE_WIDTH}} ", ink),
            (note, note_ink),
        )
    )


def _blank() -> Row:
    return _spans((("", ""),))


def _spans(spans: tuple[Span, ...]) -> Row:
    return Row("", (spans,))
