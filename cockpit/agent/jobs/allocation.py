"""Which GPUs a job gets: whole ones, all or nothing, by UUID. Pure functions over what is known."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from cockpit.model import BoxInfo, Gpu, Snapshot

Wanted = int | tuple[str, ...]
"""A count, or the UUIDs themselves."""


@dataclass(frozen=True)
class Card:
    """A GPU as the queue sees it."""

    uuid: str
    index: int
    obstacle: str = ""
    """Why it is not handed out to a job that only asks for a number of GPUs: EXTERNAL, critical, lost."""
    lost: bool = False


@dataclass(frozen=True)
class Waiting:
    """A job in the queue, in the order of submission."""

    job: str
    gpus: Wanted


@dataclass(frozen=True)
class Decision:
    """What becomes of a waiting job now: its GPUs, or None and the reason why it waits."""

    job: str
    gpus: tuple[str, ...] | None
    reason: str = ""


def inventory(box: BoxInfo, snapshot: Snapshot) -> tuple[Card, ...]:
    """Every GPU of the box, in index order, with what speaks against handing it out."""
    known = {gpu.uuid: gpu for gpu in snapshot.gpus}
    return tuple(_card(info.index, info.uuid, known.get(info.uuid)) for info in box.gpus)


def _card(index: int, uuid: str, gpu: Gpu | None) -> Card:
    if gpu is None or gpu.state == "lost":
        return Card(uuid, index, "lost", lost=True)
    strangers = [p for p in gpu.processes if p.job is None and p.kind != "graphics"]
    if strangers:
        who = ", ".join(f"pid {p.pid} of {p.user or 'unknown'}" for p in strangers[:3])
        return Card(uuid, index, f"EXTERNAL ({who})")
    return Card(uuid, index, "critical" if gpu.state == "critical" else "")


def refusal(wanted: Wanted, cards: Sequence[Card]) -> str:
    """Why this can never run here, and what would; empty if it could."""
    count = len(cards)
    if isinstance(wanted, int):
        if wanted < 0:
            return f"{wanted} GPUs make no sense: ask for 0 to {count}"
        if wanted > count:
            return f"it asks for {_gpus(wanted)} and this box has {count}: ask for at most {count}"
        return ""
    unknown = sorted(set(wanted) - {card.uuid for card in cards})
    if unknown:
        return f"this box has no GPU {', '.join(unknown)}: see `cockpit status`"
    if len(set(wanted)) != len(wanted):
        return "it names the same GPU twice: name each once"
    return ""


def decide(
    queue: Sequence[Waiting], cards: Sequence[Card], taken: Mapping[str, str]
) -> tuple[Decision, ...]:
    """What becomes of every waiting job, first come first served.

    `taken` says which job holds a UUID. A job that waits for a number of GPUs lets no later one
    past it; one that waits for named GPUs keeps only those for itself.
    """
    held: dict[str, str] = dict(taken)
    blocker = ""
    decisions = []
    for waiting in queue:
        decision = _decide(waiting, cards, held, blocker)
        decisions.append(decision)
        if decision.gpus is not None:
            held.update(dict.fromkeys(decision.gpus, waiting.job))
        elif isinstance(waiting.gpus, int):
            blocker = blocker or waiting.job
        else:
            for uuid in waiting.gpus:
                held.setdefault(uuid, waiting.job)
    return tuple(decisions)


def _decide(
    waiting: Waiting, cards: Sequence[Card], held: Mapping[str, str], blocker: str
) -> Decision:
    if waiting.gpus in (0, ()):
        return Decision(waiting.job, ())
    if not cards:
        return Decision(waiting.job, None, "waiting until the GPUs have been read")
    if blocker:
        return Decision(waiting.job, None, f"waiting behind job {blocker}")
    if isinstance(waiting.gpus, int):
        return _decide_count(waiting.job, waiting.gpus, cards, held)
    return _decide_named(waiting.job, waiting.gpus, cards, held)


def _decide_count(job: str, count: int, cards: Sequence[Card], held: Mapping[str, str]) -> Decision:
    free = [card.uuid for card in cards if not card.obstacle and card.uuid not in held]
    if len(free) >= count:
        return Decision(job, tuple(free[:count]))
    busy = [f"{len(held)} held by jobs"] if held else []
    kinds = [card.obstacle.split(" ")[0] for card in cards if card.uuid not in held]
    busy += [f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds) if kind]
    details = f" ({', '.join(busy)})" if busy else ""
    return Decision(
        job, None, f"waiting for {_gpus(count)}: {len(free)} of {len(cards)} free{details}"
    )


def _decide_named(
    job: str, uuids: Collection[str], cards: Sequence[Card], held: Mapping[str, str]
) -> Decision:
    by_uuid = {card.uuid: card for card in cards}
    for uuid in uuids:
        card = by_uuid.get(uuid)
        if card is None or card.lost:
            name = uuid if card is None else str(card.index)
            return Decision(job, None, f"waiting for GPU {name}: it is lost")
        if uuid in held:
            return Decision(job, None, f"waiting for GPU {card.index}: job {held[uuid]} has it")
    return Decision(job, tuple(uuids))


def _gpus(count: int) -> str:
    return "1 GPU" if count == 1 else f"{count} GPUs"
