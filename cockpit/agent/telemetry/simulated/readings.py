"""From a card's state to the reading that NVML would give."""

from __future__ import annotations

from functools import lru_cache

from cockpit.agent.telemetry.simulated.card import Card
from cockpit.agent.telemetry.simulated.cards import MIB
from cockpit.agent.telemetry.simulated.faults import Condition
from cockpit.agent.telemetry.simulated.load import Load
from cockpit.agent.telemetry.source import METRICS
from cockpit.model import Gpu, GpuInfo, NvLink, Slice

_EMPTY_BYTES = 4 * MIB
_PCIE_X16_BYTES_PER_S = 55e9
_IDLE_PCIE_GENERATION = 1
_NOT_SUPPORTED = "NVML_ERROR_NOT_SUPPORTED"
_LOST = "NVML_ERROR_GPU_IS_LOST"
LOST_ERRORS = dict.fromkeys(METRICS, _LOST)
_NO_ERRORS: dict[str, str] = {}
_NO_UTILIZATION = {"utilization_percent": _NOT_SUPPORTED}
"""With MIG enabled NVML has no utilization for the whole GPU."""
_NO_NVLINK = dict.fromkeys(("nvlink_rx_bytes_per_s", "nvlink_tx_bytes_per_s"), _NOT_SUPPORTED)


def read(
    info: GpuInfo, card: Card, condition: Condition, load: Load, slices: tuple[Slice, ...]
) -> Gpu:
    """What this card answers under this load."""
    if condition.lost_since_s is not None:
        return read_lost(info, condition)
    busy = load.busy > 0.0
    linked = bool(info.nvlink_count) and not slices
    width = 8 if card.slow else 16
    pcie_most = _PCIE_X16_BYTES_PER_S * width / 16
    return Gpu(
        index=info.index,
        uuid=info.uuid,
        name=info.name,
        power_w=round(card.power_w, 2),
        power_instant_w=round(card.power_instant_w, 2),
        power_limit_w=card.power_limit_w,
        energy_j=round(card.energy_j, 3),
        temperature_c=float(round(card.temperature_c)),
        memory_temperature_c=float(round(card.memory_temperature_c(load))),
        thermal_margin_c=float(round(card.margin_c)),
        utilization_percent=None if slices else float(round(100 * load.busy)),
        memory_used_bytes=min(_EMPTY_BYTES + load.memory_bytes, card.model.memory_bytes),
        memory_total_bytes=card.model.memory_bytes,
        sm_clock_mhz=card.sm_clock_mhz,
        memory_clock_mhz=card.model.memory_clock_mhz,
        throttle_reasons=card.throttle_reasons,
        throttle_times_s=card.throttle_times_s,
        sm_active_percent=round(100 * load.sm, 1),
        sm_occupancy_percent=round(100 * load.occupancy, 1),
        tensor_active_percent=round(100 * load.tensor, 1),
        dram_active_percent=round(100 * load.dram, 1),
        pcie_rx_bytes_per_s=min(load.pcie_rx, pcie_most),
        pcie_tx_bytes_per_s=min(load.pcie_tx, pcie_most),
        nvlink_rx_bytes_per_s=load.nvlink_rx if linked else None,
        nvlink_tx_bytes_per_s=load.nvlink_tx if linked else None,
        pcie_generation=info.pcie_generation_max if busy else _IDLE_PCIE_GENERATION,
        pcie_width=width,
        pcie_replays=0,
        ecc_corrected=condition.ecc_corrected,
        ecc_uncorrected=condition.ecc_uncorrected,
        remapped_rows=condition.remapped_rows,
        remap_pending=condition.remap_pending,
        remap_failed=False,
        recovery_action=condition.recovery_action,
        last_xid=condition.last_xid,
        last_xid_s=condition.last_xid_s,
        mig_enabled=bool(slices),
        slices=slices,
        nvlinks=read_links(
            info.nvlink_count or 0,
            info.nvlink_peers[0] if len(info.nvlink_peers) == 1 else None,
            condition.dead_link,
            condition.link_errors,
        ),
        processes=load.processes,
        errors=_errors(linked, bool(slices)),
    )


def read_lost(info: GpuInfo, condition: Condition) -> Gpu:
    """A card that no longer answers: who it is, since when, and nothing else."""
    return Gpu(
        index=info.index,
        uuid=info.uuid,
        name=info.name,
        last_xid=condition.last_xid,
        last_xid_s=condition.last_xid_s,
        lost_since_s=condition.lost_since_s,
        errors=LOST_ERRORS,
    )


def _errors(linked: bool, sliced: bool) -> dict[str, str]:
    if linked:
        return _NO_ERRORS
    return {**_NO_NVLINK, **_NO_UTILIZATION} if sliced else _NO_NVLINK


@lru_cache(maxsize=256)
def read_links(
    count: int, peer: int | None, dead_link: int | None, errors: int
) -> tuple[NvLink, ...]:
    """Every link of a card; the same tuple for as long as nothing changes."""
    return tuple(
        NvLink(
            link,
            active=link != dead_link,
            peer=peer,
            errors=errors if link == 0 else 0,
        )
        for link in range(count)
    )
