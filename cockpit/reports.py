"""What a job reported, in words: one line for each event of its `events.jsonl`.

Any language can write these events, so nothing is taken for granted: what is not as `cockpit.sdk`
would have written it is shown as it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

KINDS = (
    "message",
    "checkpoint",
    "output",
    "progress",
    "metrics",
    "kernel",
    "roofline",
    "frame",
    "image",
)
TEXT_MOST = 500


@dataclass(frozen=True)
class Report:
    """One event: when, of what kind, and what it says. `level` is info, warning or error."""

    time_s: float | None
    kind: str
    text: str
    level: str = "info"


def report(event: Mapping[str, Any]) -> Report:
    """An event of a job in words. Never raises."""
    kind = str(event.get("type", "?"))[:40]
    time_s = event.get("time_s")
    known = isinstance(time_s, (int, float)) and not isinstance(time_s, bool)
    level = str(event.get("level", "info"))
    try:
        text = _WORDS[kind](event) if kind in _WORDS else _as_it_is(event)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        text = _as_it_is(event)
    return Report(
        float(time_s) if known and time_s is not None else None,
        kind,
        " ".join(text.split())[:TEXT_MOST],
        level if level in ("warning", "error") else "info",
    )


def _as_it_is(event: Mapping[str, Any]) -> str:
    left = {key: value for key, value in event.items() if key not in ("type", "time_s")}
    return json.dumps(left, ensure_ascii=False, default=str) if left else ""


def _progress(event: Mapping[str, Any]) -> str:
    done, total = event["done"], event["total"]
    share = f" ({done / total:.0%})" if total > 0 else ""
    unit = f" {event['unit']}" if event.get("unit") else ""
    return f"{_count(done)} of {_count(total)}{unit}{share}"


def _count(value: float) -> str:
    """A whole number with its thousands apart, any other in six digits."""
    return f"{value:,.0f}".replace(",", " ") if value == int(value) else f"{value:.6g}"


def _metrics(event: Mapping[str, Any]) -> str:
    step = f"step {event['step']:g}: " if event.get("step") is not None else ""
    values = ((name, _number(value)) for name, value in event["values"].items())
    return step + ", ".join(f"{name} {value}" for name, value in values)


def _number(value: Any) -> str:
    return "—" if value is None else f"{value:.6g}"


def _kernel(event: Mapping[str, Any]) -> str:
    seconds, count = event["seconds"], max(event.get("count", 1), 1)
    parts = [f"{count:g} × {seconds / count * 1e3:.4g} ms"]
    for key, factor, unit in (("bytes", 1e9, "GB/s"), ("flops", 1e12, "TFLOP/s")):
        if event.get(key) is not None and seconds > 0:
            parts.append(f"{event[key] / seconds / factor:.4g} {unit}")
    return f"{event['name']}: {', '.join(parts)}"


def _roofline(event: Mapping[str, Any]) -> str:
    parts = [
        f"{event[key] / factor:.4g} {unit}"
        for key, factor, unit in (("bytes_per_s", 1e9, "GB/s"), ("flops_per_s", 1e12, "TFLOP/s"))
        if event.get(key) is not None
    ]
    how = "measured" if event.get("measured") is True else "by the data sheet"
    device = f" on {event['device']}" if event.get("device") else ""
    return f"{' and '.join(parts) or '—'}, {how}{device}"


def _picture(event: Mapping[str, Any]) -> str:
    name, path = event.get("name"), str(event["path"])
    return f"{name}: {path}" if name else path


_WORDS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "progress": _progress,
    "metrics": _metrics,
    "kernel": _kernel,
    "roofline": _roofline,
    "message": lambda event: str(event["text"]),
    "checkpoint": lambda event: str(event["path"]),
    "output": lambda event: f"{event['name']}: {event['path']}",
    "frame": lambda event: f"{event['name']}: {event['width']:g} × {event['height']:g}",
    "image": _picture,
    "table": lambda event: str(event["name"]),
    "text": lambda event: str(event["name"]),
}
