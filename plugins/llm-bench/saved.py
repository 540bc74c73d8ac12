"""The result as a file that says all that is needed to measure it again, and two such held together."""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from levels import Cell

SCHEMA = 1
NAME = "bench"
FILE = "bench.json"
COMPARED = ("load", "out tok/s", "then", "ratio", "TTFT p50 ms", "then ", "ratio ", "J/token",
            "then  ", "ratio  ")  # fmt: skip
SAME = (
    "tool", "model", "api", "gpus", "where", "prompt_tokens", "output_tokens", "shared_prefix",
    "forced", "extras", "tokens_by", "goodput_ttft_ms", "goodput_tpot_ms", "goodput_e2e_ms",
)  # fmt: skip
"""What two runs must have in common to be told apart by their speed alone."""


def machine() -> dict[str, Any]:
    """Where the client ran."""
    import aiohttp

    return {
        "python": platform.python_version(),
        "aiohttp": aiohttp.__version__,
        "system": platform.platform(),
        "cores": len(os.sched_getaffinity(0)),
    }


def save(folder: Path, document: Mapping[str, Any], extra: Sequence[Path] = ()) -> None:
    """Write it into `folder`, which appears only when it is whole. Raises OSError."""
    draft = folder.with_name(f".{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    (draft / FILE).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    for file in extra:
        shutil.copy2(file, draft / file.name)
    if folder.exists():
        shutil.rmtree(folder)
    draft.replace(folder)


def load(folder: Path) -> dict[str, Any]:
    """An earlier result. Raises ValueError, in words, if it is none."""
    try:
        found = json.loads((folder / FILE).read_text(encoding="utf-8"))
        known = found["schema"] == SCHEMA and isinstance(found["levels"], list)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{folder} holds no result to compare with: {error}") from None
    if not known:
        raise ValueError(f"{folder} holds a result of another version.")
    return dict(found)


def differences(now: Mapping[str, Any], then: Mapping[str, Any]) -> list[str]:
    """What was not the same, in words: `model: tuned here, base then`."""
    told = []
    for name in SAME:
        here, there = now["setup"].get(name), then["setup"].get(name)
        if here != there:
            told.append(f"{name}: {_told(here)} here, {_told(there)} then")
    return told


def compare(now: Mapping[str, Any], then: Mapping[str, Any]) -> list[list[Cell]]:
    """A row for each level that both have."""
    earlier = {(each["loop"], each["level"]): each for each in then["levels"]}
    rows: list[list[Cell]] = []
    for level in now["levels"]:
        other = earlier.get((level["loop"], level["level"]))
        if other is None:
            continue
        kind = "at once" if level["loop"] == "closed" else "req/s"
        rows.append(
            [
                f"{level['level']:g} {kind}",
                *_pair(level["output_tokens_per_s"], other["output_tokens_per_s"]),
                *_pair(_ms(level["ttft"]["p50_s"]), _ms(other["ttft"]["p50_s"])),
                *_pair(level["joules_per_token"], other["joules_per_token"]),
            ]
        )
    return rows


def _pair(here: float | None, there: float | None) -> list[Cell]:
    ratio = here / there if here is not None and there else None
    return [here, there, None if ratio is None else round(ratio, 3)]


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else 1000.0 * seconds


def _told(value: Any) -> str:
    return "—" if value is None else value if isinstance(value, str) else json.dumps(value)
