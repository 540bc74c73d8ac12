"""Events on their way out of a workload: to cockpit's event file, or to the terminal.

Nothing here ever raises for a full disk, a directory that vanished or a closed terminal: telling
how a computation goes must not end it.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
from collections.abc import Callable, Hashable
from typing import Any, Protocol

Event = dict[str, Any]


class Outlet(Protocol):
    """Where events go."""

    def write(self, event: Event) -> None:
        """Deliver one event; never raises OSError."""


class EventFile:
    """JSON lines appended to a file, one `write` each, so that several processes can share it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._torn = False
        self._warned = False

    def write(self, event: Event) -> None:
        """Append `event`; after a failure the next event is tried again."""
        line = json.dumps(event, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        try:
            if self._descriptor is None:
                flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
                self._descriptor = os.open(self._path, flags, 0o600)
            # A line cut off by a full disk is ended first, so that it spoils itself only.
            if self._torn:
                line = b"\n" + line
            self._torn = os.write(self._descriptor, line) < len(line)
        except OSError as error:
            self._warn(error)

    def _warn(self, error: OSError) -> None:
        if self._warned:
            return
        self._warned = True
        with contextlib.suppress(OSError, ValueError):
            print(
                f"Events cannot be written to {self._path}: {error.strerror}."
                " The workload goes on without them.",
                file=sys.stderr,
                flush=True,
            )


class Printer:
    """Events as short lines on standard output, for a workload started by hand."""

    def write(self, event: Event) -> None:
        """Print `event`, if there is something to say about it."""
        text = describe(event)
        if text:
            with contextlib.suppress(OSError, ValueError):
                print(text, flush=True)


class Throttle:
    """Passes events on, merging those of one key that come faster than one per `interval_s`.

    The last one is never lost: it leaves when the interval is over, or at `flush`.
    """

    def __init__(
        self,
        outlet: Outlet,
        interval_s: float,
        clock: Callable[[], float],
        later: Callable[[float, Callable[[], None]], None],
    ) -> None:
        """`clock` is in seconds and never goes back; `later(seconds, f)` calls f once, later."""
        self._outlet = outlet
        self._interval_s = interval_s
        self._clock = clock
        self._later = later
        self._lock = threading.Lock()
        self._pending: dict[Hashable, Event] = {}
        self._written_s: dict[Hashable, float] = {}
        self._scheduled = False
        # A forked child must neither inherit a lock held by a thread it does not have, nor write
        # its parent's pending events a second time.
        os.register_at_fork(after_in_child=self._forget_pending)

    def send(self, event: Event) -> None:
        """Write `event` now, after those that wait."""
        with self._lock:
            self._write_pending()
            self._outlet.write(event)

    def offer(self, key: Hashable, event: Event, merge: Callable[[Event, Event], Event]) -> None:
        """Write `event` now or soon; `merge(waiting, event)` makes one of two of the same key."""
        with self._lock:
            waiting = self._pending.pop(key, None)
            if waiting is not None:
                event = merge(waiting, event)
            now = self._clock()
            if now - self._written_s.get(key, -self._interval_s) >= self._interval_s:
                self._written_s[key] = now
                self._outlet.write(event)
                return
            self._pending[key] = event
            if not self._scheduled:
                self._scheduled = True
                self._later(self._interval_s, self.flush)

    def flush(self) -> None:
        """Write everything that waits."""
        with self._lock:
            self._scheduled = False
            self._write_pending()

    def _write_pending(self) -> None:
        pending, self._pending = self._pending, {}
        now = self._clock()
        for key, event in pending.items():
            self._written_s[key] = now
            self._outlet.write(event)

    def _forget_pending(self) -> None:
        self._lock = threading.Lock()
        self._pending = {}
        self._scheduled = False


def run_later(seconds: float, function: Callable[[], None]) -> None:
    """Call `function` on a thread of its own that does not keep the process alive."""
    timer = threading.Timer(seconds, function)
    timer.daemon = True
    timer.start()


def describe(event: Event) -> str:
    """An event in words, or nothing for one that only a screen can show."""
    writer = _WRITERS.get(event["type"])
    return writer(event) if writer else ""


def _progress(event: Event) -> str:
    share = f" ({event['done'] / event['total']:.0%})" if event["total"] > 0 else ""
    unit = f" {event['unit']}" if event["unit"] else ""
    return f"{event['done']:g} of {event['total']:g}{unit}{share}"


def _metrics(event: Event) -> str:
    step = [] if event["step"] is None else [f"step {event['step']}"]
    return " · ".join(step + [f"{name} {value:.4g}" for name, value in event["values"].items()])


def _kernel(event: Event) -> str:
    count = max(event["count"], 1)
    parts = [f"{event['seconds'] / count * 1e3:.3g} ms"]
    if event["seconds"] > 0 and event["bytes"] is not None:
        parts.append(f"{event['bytes'] / event['seconds'] / 1e9:.3g} GB/s")
    if event["seconds"] > 0 and event["flops"] is not None:
        parts.append(f"{event['flops'] / event['seconds'] / 1e12:.3g} TFLOP/s")
    return f"kernel {event['name']}: {', '.join(parts)}"


def _roofline(event: Event) -> str:
    parts = []
    if event["bytes_per_s"] is not None:
        parts.append(f"memory {event['bytes_per_s'] / 1e9:.3g} GB/s")
    if event["flops_per_s"] is not None:
        parts.append(f"arithmetic {event['flops_per_s'] / 1e12:.3g} TFLOP/s")
    how = "measured" if event["measured"] else "by the data sheet"
    return f"roofline of {event['device']} ({how}): {', '.join(parts)}"


def _table(event: Event) -> str:
    lines = [event["columns"], *([_shown(cell) for cell in row] for row in event["rows"])]
    widths = [max(len(line[at]) for line in lines) for at in range(len(event["columns"]))]
    told = [
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    ]
    return "\n".join([f"table {event['name']}:", *told])


def _shown(cell: Any) -> str:
    if cell is None:
        return "—"
    return f"{cell:.6g}" if isinstance(cell, float) else str(cell)


def _message(event: Event) -> str:
    text: str = event["text"]
    return text if event["level"] == "info" else f"{event['level']}: {text}"


_WRITERS: dict[str, Callable[[Event], str]] = {
    "progress": _progress,
    "metrics": _metrics,
    "kernel": _kernel,
    "roofline": _roofline,
    "message": _message,
    "checkpoint": lambda event: f"checkpoint {event['path']}",
    "output": lambda event: f"output {event['name']} in {event['path']}",
    "image": lambda event: f"image {event['name']}",
    "table": _table,
    "text": lambda event: f"{event['name']}:\n{event['text']}",
}
