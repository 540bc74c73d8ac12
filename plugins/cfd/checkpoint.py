"""The state of a run on disk, to go on from exactly.

A checkpoint is a folder of plain NumPy files and one of JSON: the populations of the whole tunnel,
whatever parts it was computed in, and what drag and lift were. NumPy's own format is read and
written piece by piece, so that no host has to hold all populations at once, and it needs no
further package, as HDF5 and Zarr would; populations are noise to a compressor anyway.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = "checkpoints"
KEPT = 2
"""The newest, and the one before in case the disk lost the newest."""
FORMAT = 1
SPARE_BYTES = 1 << 30
"""Left free on the disk."""
CHUNK_CELLS = 1 << 22
"""Cells whose populations are in memory at once while they are written."""
_ABOUT, _POPULATIONS, _LIFT = "about.json", "populations.npy", "drag_and_lift.npy"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What was read; `populations` stay on disk until they are looked at."""

    path: Path
    steps: int
    physics: Mapping[str, Any]
    """What must be the same to go on, by the names of the options."""
    populations: Any
    """19 × nz × ny × nx, as `Flow.populations` gave them."""
    samples: Any
    """Drag and lift, n × 2."""


def save(folder: Path, flow: Any, physics: Mapping[str, Any], samples: Any) -> Path:
    """Write a checkpoint into `folder`, and remove all but the newest two. Returns its path.

    It appears under its name only when it is complete and on the disk. Raises OSError if the disk
    does not take it; nothing half-written stays.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step-{flow.steps:012d}"
    draft = folder / f".{path.name}.{os.getpid()}"
    shutil.rmtree(draft, ignore_errors=True)
    try:
        draft.mkdir()
        _write_populations(draft / _POPULATIONS, flow)
        with (draft / _LIFT).open("wb") as file:
            np.save(file, np.asarray(samples, dtype=np.float64).reshape(-1, 2))
            _to_disk(file)
        about = {
            "format": FORMAT,
            "steps": flow.steps,
            "physics": dict(physics),
            "written_s": time.time(),
        }
        with (draft / _ABOUT).open("w", encoding="utf-8") as file:
            json.dump(about, file, indent=2)
            _to_disk(file)
        shutil.rmtree(path, ignore_errors=True)
        draft.replace(path)
        _sync_folder(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    for old in _complete(folder)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return path


def room_for(folder: Path, cells: int) -> str:
    """Why a checkpoint of so many cells would not fit on the disk, in words; "" if it does."""
    folder.mkdir(parents=True, exist_ok=True)
    needed, free = 19 * 4 * cells, shutil.disk_usage(folder).free
    if free > needed + SPARE_BYTES:
        return ""
    return f"it takes {needed / 1e9:.2g} GB, and the disk has only {free / 1e9:.2g} GB"


def newest(folder: Path) -> Path | None:
    """The newest complete checkpoint in `folder`, None if there is none."""
    found = _complete(folder)
    return found[-1] if found else None


def find(wanted: str, job_directory: Path) -> Path:
    """The checkpoint that `wanted` means: its folder, a job's directory, or the id of a job.

    Raises ValueError, in words for the person, if there is none.
    """
    path = Path(wanted)
    if (path / _ABOUT).exists():
        return path
    named = path if path.exists() else job_directory.parent / path.name
    for folder in (named, named / FOLDER):
        found = newest(folder)
        if found is not None:
            return found
    raise ValueError(
        f"There is no checkpoint at {path}, and job {path.name} has left none. Name the folder of a"
        " checkpoint (step-…) or the id of a job that wrote one."
    )


def load(path: Path) -> Checkpoint:
    """Raises ValueError, in words for the person, if it is damaged or of another format."""
    try:
        about = json.loads((path / _ABOUT).read_text(encoding="utf-8"))
        if about["format"] != FORMAT:
            raise ValueError(f"its format is {about['format']}, and this program reads {FORMAT}")
        return Checkpoint(
            path=path,
            steps=int(about["steps"]),
            physics=dict(about["physics"]),
            populations=np.load(path / _POPULATIONS, mmap_mode="r"),
            samples=np.load(path / _LIFT),
        )
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} cannot be used as a checkpoint: {error}.") from None


def differences(chosen: Mapping[str, Any], kept: Mapping[str, Any]) -> list[str]:
    """Where what is chosen differs from what a checkpoint was made with, in words."""
    names = [*kept, *(name for name in chosen if name not in kept)]
    return [
        f"{name} is {chosen.get(name)} here and was {kept.get(name)}"
        for name in names
        if chosen.get(name) != kept.get(name)
    ]


def _complete(folder: Path) -> list[Path]:
    """The checkpoints in `folder`, the oldest first."""
    return sorted(path.parent for path in folder.glob(f"step-*/{_ABOUT}"))


def _write_populations(path: Path, flow: Any) -> None:
    """All layers of all slabs into one array, some layers at a time."""
    shape = (19, flow.nz, flow.ny, flow.nx)
    target = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
    layers = max(1, CHUNK_CELLS // (flow.ny * flow.nx))
    for first in range(0, flow.nz, layers):
        end = min(first + layers, flow.nz)
        target[:, first:end] = flow.populations(first, end)
    target.flush()
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _to_disk(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
