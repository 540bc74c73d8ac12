"""What a workload reports: `events.jsonl`, read as it grows."""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from cockpit.agent.jobs.curves import Curve, Stretches, readings_of
from cockpit.model import JobOutput, KernelStat, Progress, Roofline

READ_BYTES = 1 << 20
"""At most so much is read per call, so that a flood of events never stops the agent."""
LINE_BYTES = 1 << 16
"""A longer line is counted as bad and skipped."""
NAMES_KEPT = 256
"""Metrics, kernels or frames kept by name: more is a mistake of the workload."""


@dataclass(frozen=True)
class Picture:
    """The newest picture of a name."""

    path: str
    """As it was told: relative to the job directory, unless it is none of its files."""
    offset: int
    """Where in the event file it was told."""


@dataclass(frozen=True)
class ToldService:
    """What a service said of itself last."""

    state: str
    since_s: float
    models: tuple[str, ...] = ()
    detail: str = ""


class EventTail:
    """Follows one `events.jsonl`. Bad lines are counted in `bad_lines`, never fatal."""

    def __init__(self, path: Path) -> None:
        self.progress: Progress | None = None
        self.metrics: dict[str, float] = {}
        self.curves: dict[str, Curve] = {}
        self.stretches = Stretches()
        self.kernels: dict[str, KernelStat] = {}
        self.roofline: Roofline | None = None
        self.frames: dict[str, str] = {}
        """Name → path relative to the job directory."""
        self.images: dict[str, Picture] = {}
        self.tables: dict[str, int] = {}
        self.texts: dict[str, int] = {}
        """Name → byte in the file at which the newest one is told: the content stays there."""
        self.checkpoint: str | None = None
        self.outputs: dict[str, JobOutput] = {}
        self.service: ToldService | None = None
        self.message = ""
        self.bad_lines = 0
        self._path = path
        self._offset = 0
        self._rest = b""
        self._skipping = False
        self._line = 0, 0
        """Where the line that is taken in begins and ends."""
        self._first: tuple[float, float] | None = None
        self._readers: Mapping[str, Callable[[dict[str, Any]], None]] = {
            "progress": self._on_progress,
            "metrics": self._on_metrics,
            "kernel": self._on_kernel,
            "roofline": self._on_roofline,
            "frame": self._on_frame,
            "image": self._on_image,
            "table": self._on_table,
            "text": self._on_text,
            "checkpoint": self._on_checkpoint,
            "output": self._on_output,
            "service": self._on_service,
            "message": self._on_message,
        }

    def read(self) -> bool:
        """Take in what is new, at most READ_BYTES; True if there was anything."""
        try:
            with self._path.open("rb") as file:
                if os.fstat(file.fileno()).st_size <= self._offset:
                    return False
                file.seek(self._offset)
                data = file.read(READ_BYTES)
        except OSError:
            return False
        start = self._offset - len(self._rest)
        self._offset += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._line = start, start + len(line) + 1
            start = self._line[1]
            if self._skipping:
                self._skipping = False
            elif len(line) > LINE_BYTES:
                self.bad_lines += 1
            elif line.strip():
                self._take(line)
        if len(self._rest) > LINE_BYTES:
            self.bad_lines += not self._skipping
            self._rest, self._skipping = b"", True
        return bool(data)

    def read_all(self) -> None:
        """Take in everything there is."""
        while self.read():
            pass

    def _take(self, line: bytes) -> None:
        try:
            event = _decoded(line)
            reader = self._readers.get(event["type"])
            if reader is not None:
                reader(event)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            self.bad_lines += 1

    def _on_progress(self, event: dict[str, Any]) -> None:
        done, total = _number(event["done"]), _number(event["total"])
        time_s = _number(event.get("time_s", 0.0))
        if self._first is None or done < self._first[1]:
            self._first = (time_s, done)
        begun_s, begun = self._first
        eta_s = None
        if done > begun and time_s > begun_s:
            eta_s = max(0.0, (total - done) * (time_s - begun_s) / (done - begun))
        self.progress = Progress(done, total, eta_s, str(event.get("unit", "")))

    def _on_metrics(self, event: dict[str, Any]) -> None:
        for name, step, time_s, value in readings_of(event):
            if name not in self.curves and len(self.curves) >= NAMES_KEPT:
                continue
            self.curves.setdefault(name, Curve()).append(step, time_s, value)
            self.stretches.note(*self._line, step, time_s)
            if value is not None:
                self.metrics[name] = value

    def _on_kernel(self, event: dict[str, Any]) -> None:
        name, seconds = str(event["name"]), _number(event["seconds"])
        if name not in self.kernels and len(self.kernels) >= NAMES_KEPT:
            return
        moved, computed = _optional(event.get("bytes")), _optional(event.get("flops"))
        count, before = int(_number(event.get("count", 1))), self.kernels.get(name)
        stat = KernelStat(
            *(name, seconds, count, moved, computed),
            total_seconds=seconds + (before.total_seconds or 0.0 if before else 0.0),
            total_count=count + (before.total_count or 0 if before else 0),
        )
        self.kernels[name] = self._against_roof(stat)

    def _on_roofline(self, event: dict[str, Any]) -> None:
        self.roofline = Roofline(
            _optional(event.get("bytes_per_s")),
            _optional(event.get("flops_per_s")),
            event.get("measured") is True,
            str(event.get("device", ""))[:200],
        )
        self.kernels = {name: self._against_roof(stat) for name, stat in self.kernels.items()}

    def _against_roof(self, stat: KernelStat) -> KernelStat:
        """The kernel with its rates, and its share of the roof that it is nearer to.

        The roofline model of Williams, Waterman and Patterson (2009): time at best is the larger of
        bytes over bandwidth and operations over arithmetic peak.
        """
        if stat.seconds <= 0:
            return stat
        bytes_per_s = None if stat.bytes is None else stat.bytes / stat.seconds
        flops_per_s = None if stat.flops is None else stat.flops / stat.seconds
        roof = self.roofline or Roofline()
        memory = _share(bytes_per_s, roof.bytes_per_s)
        arithmetic = _share(flops_per_s, roof.flops_per_s)
        limited_by: Literal["memory", "arithmetic"] | None = None
        if memory is not None or arithmetic is not None:
            limited_by = "memory" if (memory or 0.0) >= (arithmetic or 0.0) else "arithmetic"
        return replace(
            stat,
            bytes_per_s=bytes_per_s,
            flops_per_s=flops_per_s,
            roofline_percent=memory if limited_by == "memory" else arithmetic,
            limited_by=limited_by,
        )

    def _on_frame(self, event: dict[str, Any]) -> None:
        if len(self.frames) < NAMES_KEPT:
            self.frames[str(event["name"])] = str(event["path"])

    def _on_image(self, event: dict[str, Any]) -> None:
        name, path = _name(event), str(event["path"])
        if name in self.images or len(self.images) < NAMES_KEPT:
            self.images[name] = Picture(path, self._line[0])

    def _on_table(self, event: dict[str, Any]) -> None:
        columns, rows = event["columns"], event["rows"]
        if not columns or not all(isinstance(column, str) for column in columns):
            raise ValueError("a table has columns, each with a name")
        if not all(isinstance(row, list) and len(row) == len(columns) for row in rows):
            raise ValueError("each row of a table has a cell for each column")
        if any(isinstance(cell, (list, dict)) for row in rows for cell in row):
            raise ValueError("a cell is a number, a text, true, false or null")
        self._note(self.tables, _name(event))

    def _on_text(self, event: dict[str, Any]) -> None:
        if not isinstance(event["text"], str):
            raise ValueError("a text is text")
        self._note(self.texts, _name(event))

    def _note(self, offsets: dict[str, int], name: str) -> None:
        if name in offsets or len(offsets) < NAMES_KEPT:
            offsets[name] = self._line[0]

    def _on_checkpoint(self, event: dict[str, Any]) -> None:
        self.checkpoint = str(event["path"])

    def _on_output(self, event: dict[str, Any]) -> None:
        name, path = _name(event), str(event["path"])
        told = JobOutput(
            path, str(event.get("kind", ""))[:200], str(event.get("summary", ""))[:500]
        )
        if name in self.outputs or len(self.outputs) < NAMES_KEPT:
            self.outputs[name] = told

    def _on_service(self, event: dict[str, Any]) -> None:
        state, models = event["state"], event.get("models", [])
        if state not in ("ready", "draining", "failed"):
            raise ValueError(f"a service is not {state!r:.60}")
        if not isinstance(models, list) or not all(isinstance(name, str) for name in models):
            raise ValueError("the models of a service are a list of names")
        time_s = _number(event.get("time_s", 0.0))
        before = self.service
        same = before is not None and before.state == state
        self.service = ToldService(
            state,
            before.since_s if before is not None and same else time_s,
            tuple(name[:200] for name in models[:NAMES_KEPT]),
            str(event.get("detail", ""))[:500],
        )

    def _on_message(self, event: dict[str, Any]) -> None:
        self.message = str(event["text"])[:500]


def read_events(path: Path, offset: int, limit: int) -> tuple[list[Any], int]:
    """Up to `limit` events from byte `offset`, and the offset after them; bad lines are left out.

    It ends early at READ_BYTES, so that they fit into one message. NaN and infinities become None.
    """
    events: list[Any] = []
    start = offset
    try:
        with path.open("rb") as file:
            file.seek(start)
            while len(events) < limit and offset - start < READ_BYTES:
                line = file.readline(LINE_BYTES)
                # A line that is too long is passed over in pieces, none of which is an object.
                if not line.endswith(b"\n") and len(line) < LINE_BYTES:
                    break
                offset += len(line)
                with contextlib.suppress(ValueError, RecursionError):
                    event = _decoded(line, parse_constant=lambda _: None)
                    if isinstance(event, dict):
                        events.append(event)
    except OSError:
        pass
    return events, offset


def read_event(path: Path, offset: int) -> dict[str, Any]:
    """The event at byte `offset`. Raises OSError or ValueError if none can be read there."""
    with path.open("rb") as file:
        file.seek(offset)
        event = json.loads(file.readline(LINE_BYTES + 1), parse_constant=lambda _: None)
    if not isinstance(event, dict):
        raise ValueError("there is no event at that place")
    return event


def _decoded(line: bytes, **options: Any) -> Any:
    """One line of JSON. Raises ValueError also for half a letter (a lone surrogate): it is valid
    there, and can be sent to nobody."""
    event = json.loads(line, **options)
    if b"\\u" in line:
        json.dumps(event, ensure_ascii=False).encode()
    return event


def _name(event: dict[str, Any]) -> str:
    name = event["name"]
    if not isinstance(name, str) or not name:
        raise ValueError(f"no name: {name!r:.60}")
    return name[:200]


def _number(value: Any) -> float:
    """`value` as a finite float. Raises ValueError: JSON from Python may hold NaN."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"not a number: {value!r}")
    return float(value)


def _optional(value: Any) -> float | None:
    return None if value is None else _number(value)


def _share(rate: float | None, roof: float | None) -> float | None:
    return None if rate is None or not roof else 100.0 * rate / roof
