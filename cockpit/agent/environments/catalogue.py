"""The environments that were built here: a directory each, named by what it was built from.

`ROOT/<key>/` is an environment; it is whole if it holds `environment.json`, which is written last.
`ROOT/<key>.lock` is held while it is built or removed, `ROOT/<key>/uses/<plugin>` tells by its time
when a plugin last ran in it. `ROOT/families/<key>.json` remembers which plugins of a family could
not share one. Everything may be looked at and changed by several agents at once.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FACTS = "environment.json"
LOCK = "requirements.lock"
GIVEN_JUST_NOW_S = 10.0
"""So long after an environment was given to a job, that job may not be seen running in it yet."""
_REMOVED = ".removed"


@dataclass(frozen=True)
class Built:
    """One environment that is whole."""

    id: str
    path: str
    python: str
    """Its version."""
    requires: tuple[str, ...]
    family: str | None
    plugins: tuple[str, ...]
    """Those that it was built for or that ran in it."""
    packages: int
    size_bytes: int
    """Files shared with uv's cache count too."""
    built_s: float
    used_s: float
    in_use: bool = False
    notes: tuple[str, ...] = ()
    """Such as why a plugin of the family is not in it."""


class InUseError(Exception):
    """The environment cannot be removed now; the text says why."""


def is_whole(directory: Path) -> bool:
    """True if an environment was built here to its end, and its Python is still there."""
    return (directory / FACTS).is_file() and os.access(directory / "bin" / "python", os.X_OK)


def note_use(directory: Path, plugin: str) -> None:
    """Remember that a plugin runs in it from now on. A disk that takes nothing does not matter."""
    with contextlib.suppress(OSError):
        uses = directory / "uses"
        uses.mkdir(exist_ok=True)
        (uses / plugin).touch()
        os.utime(uses / plugin)


@contextlib.contextmanager
def held(directory: Path, wait: bool = True) -> Iterator[bool]:
    """Hold the lock of an environment; yields whether it was had, which only `wait` makes sure of."""
    path = Path(f"{directory}.lock")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
                return
            # Whoever removed the environment has removed the file too: another one counts now.
            if not _is_at(descriptor, path):
                continue
            yield True
            return
        finally:
            os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def everything(root: Path) -> tuple[Built, ...]:
    """Every environment that is whole, the last used one first."""
    running = _in_use()
    found = [_read(path, running) for path in root.glob(f"*/{FACTS}")]
    return tuple(sorted((each for each in found if each), key=lambda each: -each.used_s))


def find(root: Path, identity: str) -> Built | None:
    """The environment whose id begins so, if there is exactly one."""
    found = [each for each in everything(root) if identity and each.id.startswith(identity)]
    return found[0] if len(found) == 1 else None


def _read(file: Path, running: frozenset[str]) -> Built | None:
    directory = file.parent
    try:
        facts = json.loads(file.read_text())
        uses = {path.name: path.stat().st_mtime for path in (directory / "uses").glob("*")}
        return Built(
            id=directory.name,
            path=str(directory),
            python=facts["python"],
            requires=tuple(facts["requires"]),
            family=facts["family"],
            plugins=tuple(sorted({*facts["plugins"], *uses})),
            packages=facts["packages"],
            size_bytes=facts["size_bytes"],
            built_s=facts["built_s"],
            used_s=max(uses.values(), default=facts["built_s"]),
            in_use=os.path.realpath(directory) in running,
            notes=(*facts["notes"], *(() if is_whole(directory) else ("its Python is gone",))),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def remove(root: Path, identity: str) -> None:
    """Delete an environment. Raises InUseError, or OSError if it cannot be deleted."""
    directory = root / identity
    with held(directory, wait=False) as free:
        if not free:
            raise InUseError("a job is building it")
        last_s = max((each.stat().st_mtime for each in (directory / "uses").glob("*")), default=0.0)
        if os.path.realpath(directory) in _in_use() or time.time() - last_s < GIVEN_JUST_NOW_S:
            raise InUseError("a job runs in it")
        aside = Path(f"{directory}{_REMOVED}")
        shutil.rmtree(aside, ignore_errors=True)
        directory.rename(aside)
        Path(f"{directory}.lock").unlink(missing_ok=True)
        shutil.rmtree(aside)


def sweep(root: Path) -> None:
    """Delete what builds and removals that were cut off have left."""
    for path in root.glob(f"*{_REMOVED}"):
        shutil.rmtree(path, ignore_errors=True)
    for directory in root.glob("*/pyvenv.cfg"):
        leftover = directory.parent
        if not (leftover / FACTS).exists():
            with held(leftover, wait=False) as free:
                if free and not (leftover / FACTS).exists():
                    shutil.rmtree(leftover, ignore_errors=True)
                    Path(f"{leftover}.lock").unlink(missing_ok=True)


def _in_use() -> frozenset[str]:
    """The environments that processes of this user run in, by the path that their job's leads to."""
    found = set()
    for entry in os.scandir("/proc"):
        if not entry.name.isdecimal():
            continue
        with contextlib.suppress(OSError):
            for variable in Path(entry.path, "environ").read_bytes().split(b"\0"):
                if variable.startswith(b"VIRTUAL_ENV="):
                    found.add(os.path.realpath(os.fsdecode(variable[12:])))
    return frozenset(found)


def apart(root: Path, family_key: str) -> dict[str, str]:
    """Plugin → why it cannot share the environment of its family, as found out before."""
    try:
        value = json.loads((root / "families" / f"{family_key}.json").read_text())
    except (OSError, ValueError):
        return {}
    return {str(name): str(why) for name, why in value.items()} if isinstance(value, dict) else {}


def keep_apart(root: Path, family_key: str, reasons: dict[str, str]) -> None:
    """Remember what `apart` tells. Raises OSError."""
    path = root / "families" / f"{family_key}.json"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    spare = path.with_suffix(f".{os.getpid()}")
    spare.write_text(json.dumps(reasons))
    spare.replace(path)
