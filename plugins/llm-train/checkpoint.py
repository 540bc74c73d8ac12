"""The state of a training on disk, to go on from exactly: weights, optimizer, place in the data, dice.

A checkpoint is a folder that appears under its name only when it is whole and on the disk.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = "checkpoints"
KEPT = 2
"""The newest, and the one before in case the disk lost the newest."""
FORMAT = 1
_ABOUT, _STATE = "about.json", "state.pt"


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint says of itself; its state is read by `state`."""

    path: Path
    step: int
    recipe: Mapping[str, Any]
    """What must be the same to go on, by the names of the options."""

    def state(self) -> dict[str, Any]:
        """All that was saved, on the CPU. Raises ValueError if the file is damaged."""
        import torch

        try:
            state: dict[str, Any] = torch.load(
                self.path / _STATE, map_location="cpu", weights_only=True
            )
        except Exception as error:  # torch raises what its file formats raise
            raise ValueError(f"{self.path} cannot be used as a checkpoint: {error}") from None
        return state


def save(
    folder: Path, step: int, recipe: Mapping[str, Any], state: Mapping[str, Any], tokenizer: Path
) -> Path:
    """Write a checkpoint into `folder` and remove all but the newest two. Returns its path.

    The file `tokenizer` is copied into it, so that another job can go on with the same.

    Raises OSError if the disk does not take it; nothing half-written stays.
    """
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step-{step:09d}"
    draft = folder / f".{path.name}.{os.getpid()}"
    shutil.rmtree(draft, ignore_errors=True)
    try:
        draft.mkdir()
        with (draft / _STATE).open("wb") as file:
            try:
                torch.save(dict(state), file)
            except RuntimeError as error:  # what torch makes of a full disk
                raise OSError(str(error).partition("\n")[0]) from None
            _to_disk(file)
        shutil.copyfile(tokenizer, draft / tokenizer.name)
        with (draft / _ABOUT).open("w", encoding="utf-8") as about:
            json.dump({"format": FORMAT, "step": step, "recipe": dict(recipe)}, about, indent=2)
            _to_disk(about)
        shutil.rmtree(path, ignore_errors=True)
        draft.replace(path)
        sync_folder(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    for old in _complete(folder)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return path


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
    named = path if path.exists() else job_directory.parent / path.name.removeprefix("job:")
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
        return Checkpoint(path, int(about["step"]), dict(about["recipe"]))
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


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` outlive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _complete(folder: Path) -> list[Path]:
    """The checkpoints in `folder`, the oldest first."""
    return sorted(path.parent for path in folder.glob(f"step-*/{_ABOUT}"))


def _to_disk(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())
