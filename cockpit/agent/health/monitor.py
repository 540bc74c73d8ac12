"""From readings to states: which reasons stand, since when, and the events of their coming and going."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from cockpit.agent.health.budget import PowerBudget
from cockpit.agent.health.codes import CODES
from cockpit.agent.health.rules import RULES, no_answer
from cockpit.agent.health.watch import Held, Watch
from cockpit.agent.telemetry.source import Sample
from cockpit.model import BoxInfo, Event, Gpu, GpuState, Reason
from cockpit.settings import Thresholds

_RANK = {"info": 0, "warning": 1, "critical": 2}
_ORDER = {code: place for place, code in enumerate(CODES)}


class HealthMonitor:
    """Judges every reading of a box. Not thread-safe: it belongs to the sampler's thread."""

    def __init__(self, thresholds: Thresholds) -> None:
        self._thresholds = thresholds
        self._budget = PowerBudget(thresholds)
        self._watches: dict[str, Watch] = {}
        self._box: BoxInfo | None = None

    def apply(self, box: BoxInfo, sample: Sample) -> tuple[tuple[Gpu, ...], tuple[Event, ...]]:
        """The sample's GPUs with state and reasons, and what has just changed.

        A GPU that is ok is the same object as in the sample. The events are this monitor's own; the
        sample's are not among them.
        """
        if box is not self._box:
            self._meet(box, sample.time_s)
        for event in sample.events:
            self._note_xid(event)
        events: list[Event] = []
        gpus = tuple(self._judge(gpu, box, sample.time_s, events) for gpu in sample.gpus)
        events.extend(self._budget.apply(box, sample.gpus, sample.time_s))
        return gpus, tuple(events)

    def _meet(self, box: BoxInfo, now_s: float) -> None:
        self._box = box
        for info in box.gpus:
            self._watches.setdefault(info.uuid, Watch(info, now_s)).info = info

    def _note_xid(self, event: Event) -> None:
        number = event.data.get("xid") if event.kind == "xid" else None
        watch = self._watches.get(event.gpu_uuid or "")
        if isinstance(number, int) and watch is not None:
            watch.xids[number] = event.time_s

    def _judge(self, gpu: Gpu, box: BoxInfo, now_s: float, events: list[Event]) -> Gpu:
        watch = self._watches.get(gpu.uuid)
        if watch is None:
            watch = self._watches[gpu.uuid] = Watch(None, now_s)
        silent = no_answer(gpu, box)
        if silent is not None:
            found = [silent, *_unchanged(watch, silent, now_s)]
        else:
            watch.note_xid(gpu, now_s)
            found = []
            for rule in RULES:
                reason = rule(gpu, watch, self._thresholds, now_s)
                if reason is not None:
                    found.append(reason)
        if not found and not watch.standing:
            if watch.coming:
                watch.coming.clear()
            return gpu
        events.extend(_update(watch, gpu, found, now_s))
        return _with_reasons(gpu, [held.reason for held in watch.standing.values()])


def _unchanged(watch: Watch, silent: Reason, now_s: float) -> list[Reason]:
    """What else stands for a GPU that does not answer: as it was, or nothing if it is lost."""
    if silent.code == "lost":
        watch.standing = {
            code: held for code, held in watch.standing.items() if code == silent.code
        }
        watch.coming.clear()
        return []
    return [held.reason for code, held in watch.standing.items() if code != silent.code]


def _update(watch: Watch, gpu: Gpu, found: list[Reason], now_s: float) -> Iterator[Event]:
    """Let reasons begin, change and end; yields the events of it."""
    codes = {reason.code for reason in found}
    watch.coming = {code: since for code, since in watch.coming.items() if code in codes}
    for reason in found:
        held = watch.standing.get(reason.code)
        if held is not None:
            yield from _go_on(held, reason, gpu, now_s)
            continue
        since_s = watch.coming.setdefault(reason.code, now_s)
        if now_s - since_s >= CODES[reason.code].begins_after_s:
            del watch.coming[reason.code]
            reason = _since(reason, since_s)
            watch.standing[reason.code] = Held(reason, now_s, now_s)
            yield from _began(reason, gpu, now_s)
    for code, held in list(watch.standing.items()):
        if code not in codes and now_s - held.seen_s >= CODES[code].ends_after_s:
            del watch.standing[code]
            yield from _ended(held.reason, gpu, now_s)


def _go_on(held: Held, reason: Reason, gpu: Gpu, now_s: float) -> Iterator[Event]:
    """A reason still stands: it gets worse at once, and better only when it has been for a while."""
    held.seen_s = now_s
    worse = _RANK[reason.severity] - _RANK[held.reason.severity]
    if worse < 0 and now_s - held.severe_s < CODES[reason.code].ends_after_s:
        return
    held.severe_s = now_s
    if reason is not held.reason:
        held.reason = _since(reason, held.reason.since_s)
    if worse > 0:
        yield from _began(held.reason, gpu, now_s)


def _since(reason: Reason, since_s: float | None) -> Reason:
    return reason if reason.since_s is not None else replace(reason, since_s=since_s)


def _began(reason: Reason, gpu: Gpu, now_s: float) -> Iterator[Event]:
    code = CODES[reason.code]
    if code.event is None or reason.severity == "info":
        return
    yield Event(
        id=0,
        time_s=now_s,
        kind=code.event,
        severity=reason.severity,
        text=f"GPU {gpu.index} {code.begun}" if code.begun else reason.text,
        advice=reason.advice,
        gpu_uuid=gpu.uuid,
        gpu_index=gpu.index,
        data={"code": reason.code},
    )


def _ended(reason: Reason, gpu: Gpu, now_s: float) -> Iterator[Event]:
    code = CODES[reason.code]
    if code.event is None:
        return
    data = {"code": reason.code, "over": True}
    if reason.since_s is not None:
        data["seconds"] = round(now_s - reason.since_s, 1)
    yield Event(
        id=0,
        time_s=now_s,
        kind="back" if code.event == "lost" else code.event,
        severity="info",
        text=f"GPU {gpu.index} {code.over}",
        gpu_uuid=gpu.uuid,
        gpu_index=gpu.index,
        data=data,
    )


def _with_reasons(gpu: Gpu, reasons: list[Reason]) -> Gpu:
    if not reasons:
        return gpu
    reasons.sort(key=lambda reason: (-_RANK[reason.severity], _ORDER[reason.code]))
    return replace(gpu, state=_state(reasons), reasons=tuple(reasons))


def _state(reasons: list[Reason]) -> GpuState:
    if any(reason.code == "lost" for reason in reasons):
        return "lost"
    worst = reasons[0].severity
    return "ok" if worst == "info" else worst
