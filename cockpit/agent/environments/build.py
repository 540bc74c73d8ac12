"""Builds the environment of a workload, as a stage of the first job that needs it.

`main` is run in a process of its own, standard library only. Its output is the job's log, so that
the progress of a long download is seen; `building.json` in the job's directory says how far it is,
and `explanation.txt` why it failed. Two jobs that need the same environment at once: the second
waits for the lock.

An environment is whole when it holds the file `environment.json`, written last and after everything
else is on the disk. It is built where it will stay, because the scripts in its `bin` name their
interpreter by path; one without that file is a leftover of a build that was cut off, and is thrown
away.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from cockpit.agent.environments import catalogue
from cockpit.agent.environments.explain import BuildError, Failure
from cockpit.agent.environments.families import DIVIDING, divide, share
from cockpit.agent.environments.installer import Installer, Wishes
from cockpit.agent.environments.need import Need, key
from cockpit.agent.environments.order import EXPLANATION, BuildOrder, say_progress, settle
from cockpit.agent.environments.requirements import missing, normal_name

FREEZE = (
    "import importlib.metadata as m, json\n"
    "print(json.dumps({d.metadata['Name'] or '': d.version for d in m.distributions()}))"
)
PROGRESS_EVERY_S = 0.2
_PACKAGE = re.compile(r"^[A-Za-z0-9].*(==| @ )", re.M)


class Builder:
    """One order, from its requirements to the job's link."""

    def __init__(self, order: BuildOrder) -> None:
        self._order = order
        self._root, self._job = Path(order.root), Path(order.job)
        self._told_s = 0.0
        wishes = Wishes(order.offline, order.need.torch_backend)
        self._installer = Installer(wishes, say, self._progress, self._root)

    def run(self) -> None:
        """Have the environment there and the job led to it. Raises BuildError or OSError."""
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        catalogue.sweep(self._root)
        whole = self._order.need
        while True:
            apart = catalogue.apart(self._root, key(whole)) if whole.members else {}
            need = share(whole, apart)
            if whole.plugin in apart:
                say(f"It has an environment of its own, not that of {whole.family}:")
                say(f"  {apart[whole.plugin]}")
            directory = self._root / key(need)
            try:
                self._have(need, directory, apart)
            except BuildError as error:
                if len(need.members) < 2 or error.failure.kind not in DIVIDING:
                    raise
                self._divide(whole, directory, error)
                continue
            settle(directory, self._job, need.plugin)
            return

    def _have(self, need: Need, directory: Path, apart: dict[str, str]) -> None:
        with catalogue.held(directory, wait=False) as free:
            if free:
                self._build(need, directory, apart)
                return
        say("Another job is building this environment; waiting for it")
        self._progress("another job is building it")
        with catalogue.held(directory):
            self._build(need, directory, apart)

    def _build(self, need: Need, directory: Path, apart: dict[str, str]) -> None:
        """Build it unless it is there. What fails leaves nothing behind."""
        if catalogue.is_whole(directory):
            return
        shutil.rmtree(directory, ignore_errors=True)
        try:
            say(f"Building an environment for {_wishes(need)}")
            self._installer.make(directory)
            lock = directory / catalogue.LOCK
            if need.lock is not None:
                shutil.copyfile(need.lock, lock)
                self._installer.fill(directory, lock)
            elif self._installer.uv is None:
                lock.write_text(self._installer.fill_unlocked(directory, need.everything))
            else:
                lock.write_text(self._resolve(directory, need.everything))
                self._installer.fill(directory, lock)
            self._complete(need, directory, apart)
        except BaseException:
            shutil.rmtree(directory, ignore_errors=True)
            raise

    def _resolve(self, directory: Path, requires: Sequence[str]) -> str:
        try:
            return self._installer.resolve(directory, requires)
        except BuildError as error:
            host = error.failure.host
            if not host.endswith("pytorch.org") or self._installer.torch_backend != "auto":
                raise
            say(f"{host} cannot be reached: PyTorch comes from the usual index, whichever that has")
            self._installer.torch_backend = "index"
            return self._installer.resolve(directory, requires)

    def _complete(self, need: Need, directory: Path, apart: dict[str, str]) -> None:
        lock = (directory / catalogue.LOCK).read_text()
        facts = {
            "python": platform.python_version(),
            "requires": need.everything,
            "family": need.family,
            "plugins": sorted(need.members) or [need.plugin],
            "packages": len(_PACKAGE.findall(lock)),
            "size_bytes": _size(directory),
            "built_s": time.time(),
            "installer": self._installer.name,
            "notes": self._notes(need, apart),
        }
        spare = directory / f".{catalogue.FACTS}"
        spare.write_text(json.dumps(facts))
        # A power cut must not leave the mark without what it stands for.
        os.sync()
        spare.replace(directory / catalogue.FACTS)

    def _notes(self, need: Need, apart: dict[str, str]) -> list[str]:
        notes = [f"not for {why}" for why in apart.values()] if need.members else []
        if self._installer.torch_backend != need.torch_backend:
            notes.append("PyTorch's own index could not be reached: the usual one has chosen")
        return notes

    def _divide(self, need: Need, directory: Path, error: BuildError) -> None:
        """Find out which plugins of a family cannot share. Raises `error` if that cannot be."""
        say(f"The plugins of the family {need.family} cannot all share one environment")
        with catalogue.held(directory):
            try:
                self._installer.make(directory)
                apart = divide(need.members, lambda some: self._installer.check(directory, some))
            finally:
                shutil.rmtree(directory, ignore_errors=True)
        if not apart:
            raise error
        for why in apart.values():
            say(f"  {why}")
        catalogue.keep_apart(self._root, key(need), apart)

    def _progress(self, text: str) -> None:
        if time.monotonic() - self._told_s >= PROGRESS_EVERY_S:
            self._told_s = time.monotonic()
            with contextlib.suppress(OSError):
                say_progress(self._job, text)


def take_prebuilt(order: BuildOrder, python: str) -> None:
    """Make sure that somebody else's environment has it all. Raises BuildError."""
    family = order.need.family
    what = f"the pre-built environment of {family}, {python},"
    where = "[environments] prebuilt of cockpit.toml names it."
    try:
        done = subprocess.run(
            [python, "-I", "-c", FREEZE], capture_output=True, text=True, check=True, timeout=120
        )
        versions = {normal_name(name): text for name, text in json.loads(done.stdout).items()}
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        why = getattr(error, "strerror", None) or "it does not answer as a Python does"
        raise BuildError(Failure("prebuilt", f"{what} cannot be used: {why}. {where}")) from None
    lacks = missing(order.need.requires, versions.get)
    if lacks:
        have = (f"{each} (it has {versions.get(_name(each), 'none')})" for each in lacks)
        text = f"{what} lacks {', '.join(have)}. Install that there, or take it out: {where}"
        raise BuildError(Failure("prebuilt", text))
    lock = "".join(f"{name}=={version}\n" for name, version in sorted(versions.items()) if name)
    (Path(order.job) / catalogue.LOCK).write_text(lock)


def _name(requirement: str) -> str:
    return normal_name(re.split(r"[^A-Za-z0-9._-]", requirement.strip(), maxsplit=1)[0])


def _wishes(need: Need) -> str:
    if need.lock is not None:
        return f"{need.plugin}, as its {catalogue.LOCK} has it"
    requires = ", ".join(need.everything)
    if not need.members:
        return requires
    return f"the family {need.family} ({', '.join(sorted(need.members))}): {requires}"


def _size(directory: Path) -> int:
    """Bytes of the files, each counted once."""
    sizes: dict[int, int] = {}
    for folder, _, names in os.walk(directory):
        for name in names:
            status = os.lstat(os.path.join(folder, name))  # noqa: PTH118
            sizes[status.st_ino] = status.st_size
    return sum(sizes.values())


def say(line: str) -> None:
    """One line of the job's log."""
    print(line, flush=True)


def main(text: str) -> int:
    """Exit code 0 when the environment is there, 1 with an explanation when it could not be built."""
    # As an exception, so that what was half built is deleted.
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        return _build(BuildOrder.loads(text))
    finally:
        signal.signal(signal.SIGTERM, before)


def _build(order: BuildOrder) -> int:
    try:
        if order.prebuilt is not None:
            take_prebuilt(order, order.prebuilt)
        else:
            Builder(order).run()
    except (BuildError, OSError) as error:
        reason = f"its environment could not be built: {error}"
        if order.prebuilt is not None:
            reason = str(error)
        say(reason)
        (Path(order.job) / EXPLANATION).write_text(reason)
        return 1
    return 0
