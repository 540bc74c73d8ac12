"""The JSON documents that cockpit prints."""

from __future__ import annotations

from typing import Any

from cockpit.model.box import BoxInfo, Reason, Snapshot

SCHEMA = 1
"""Version of every JSON document that cockpit prints."""


def status_document(box: BoxInfo, snapshot: Snapshot) -> dict[str, Any]:
    """The `cockpit status --json` contract (schema 1) as plain values."""
    gpus = []
    for gpu in snapshot.gpus:
        row = dict(vars(gpu))
        row["reasons"] = [reason_line(reason) for reason in gpu.reasons]
        gpus.append(row)
    return {
        "schema": SCHEMA,
        "box": {
            "name": box.name,
            "source": box.source,
            "simulated": box.simulated,
            "driver_version": box.driver_version,
            "gpu_count": box.gpu_count,
            "problem": box.problem,
        },
        "time_s": snapshot.time_s,
        "gpus": gpus,
        "totals": snapshot.totals,
    }


def reason_line(reason: Reason) -> str:
    """A reason as one sentence: what is wrong, then what to do."""
    return f"{reason.text}: {reason.advice}" if reason.advice else reason.text
