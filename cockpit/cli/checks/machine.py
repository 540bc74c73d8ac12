"""Checks of the machine around cockpit: directories, terminal, clock, tools."""

from __future__ import annotations

import os
import platform
import shutil
import stat
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from cockpit import __file__ as package_file
from cockpit import __version__, paths
from cockpit.cli.checks import Check

LITTLE_SPACE, NO_SPACE = 2 << 30, 200 << 20
SOCKET_PATH_BYTES = 107


def check_machine() -> Iterator[Check]:
    """Python, surroundings, directories, terminal, clock and uv."""
    yield Check("Python", "ok", f"{platform.python_version()} ({sys.executable})")
    yield from surroundings(Path("/"))
    yield _runtime_variable()
    yield directory("Runtime directory", paths.runtime_dir())
    yield from socket_length(paths.socket_path("simulated-pcie-demo"))
    yield directory("State directory", paths.state_dir())
    yield space(paths.state_dir())
    yield from terminal()
    yield clock(time.time())
    yield _uv()


def surroundings(root: Path) -> Iterator[Check]:
    """A container or WSL, with what that means for what is shown."""
    version = root / "proc/version"
    if version.exists() and "microsoft" in version.read_text(errors="replace").lower():
        yield Check(
            "WSL", "warning", "this is WSL: processes, power limits and MIG may not be readable"
        )
    if any((root / mark).exists() for mark in (".dockerenv", "run/.containerenv")):
        yield Check(
            "Container",
            "warning",
            "this is a container: processes outside it have no user and command here",
            "Start it with --pid=host to see them.",
        )


def _runtime_variable() -> Check:
    value = os.environ.get("XDG_RUNTIME_DIR", "")
    used = paths.runtime_dir()
    if value and used.parent == Path(value):
        return Check("XDG_RUNTIME_DIR", "ok", value)
    why = f"{value} cannot be used" if value else "not set"
    return Check("XDG_RUNTIME_DIR", "ok", f"{why}, so sockets are in {used}")


def directory(name: str, path: Path) -> Check:
    """Whether a directory is, or can become, a private one of this user."""
    try:
        facts = path.lstat()
    except FileNotFoundError:
        return _can_be_made(name, path)
    except OSError as error:
        return Check(name, "problem", f"{path}: {error.strerror}")
    if not stat.S_ISDIR(facts.st_mode) and not path.is_dir():
        return Check(name, "problem", f"{path} is no directory", "Move it out of the way.")
    if path.stat().st_uid != os.getuid():
        return Check(
            name,
            "problem",
            f"{path} belongs to uid {path.stat().st_uid}, not to you",
            "Set XDG_RUNTIME_DIR or XDG_STATE_HOME to a directory of your own.",
        )
    if not os.access(path, os.W_OK | os.X_OK):
        return Check(name, "problem", f"{path} is not writable", f"`chmod 700 {path}`")
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        text = f"{path} is open to others (mode {mode:o}); cockpit closes it at its next start"
        return Check(name, "warning", text, f"`chmod 700 {path}`")
    return Check(name, "ok", f"{path} (mode {mode:o})")


def _can_be_made(name: str, path: Path) -> Check:
    parent = next(parent for parent in path.parents if parent.exists())
    if os.access(parent, os.W_OK | os.X_OK):
        return Check(name, "ok", f"{path} (made when it is first needed)")
    return Check(
        name, "problem", f"{path} cannot be made: {parent} is not writable", "Change its owner."
    )


def socket_length(longest: Path) -> Iterator[Check]:
    """Linux takes no longer path for a socket than 107 bytes."""
    length = len(os.fsencode(longest))
    if length > SOCKET_PATH_BYTES:
        yield Check(
            "Sockets",
            "problem",
            f"{longest} is {length} bytes long, and a socket's path at most {SOCKET_PATH_BYTES}",
            "Set XDG_RUNTIME_DIR to a shorter directory of your own.",
        )


def space(path: Path) -> Check:
    """Free space where history and jobs are kept."""
    existing = next(part for part in (path, *path.parents) if part.exists())
    free = shutil.disk_usage(existing).free
    text = f"{free / (1 << 30):.1f} GiB free for {path}"
    if free >= LITTLE_SPACE:
        return Check("Disk space", "ok", text)
    advice = "Free some: `du -xh --max-depth=2 ~ | sort -h | tail` shows what is large."
    return Check("Disk space", "problem" if free < NO_SPACE else "warning", text, advice)


def terminal() -> Iterator[Check]:
    """What the terminal can show, as far as the environment says it."""
    encoding = (getattr(sys.stdout, "encoding", None) or "ascii").lower()
    if encoding.replace("-", "") == "utf8":
        yield Check("Characters", "ok", "UTF-8")
    else:
        yield Check(
            "Characters", "warning", f"{encoding}: charts need UTF-8", "`export LANG=C.UTF-8`"
        )
    yield colour(os.environ)
    if not sys.stdout.isatty():
        yield Check("Terminal", "ok", "output goes to no terminal just now: pages are plain")
        return
    size = os.get_terminal_size(sys.stdout.fileno())
    text = f"{size.columns}×{size.lines}"
    if size.columns < 80 or size.lines < 24:
        yield Check("Terminal", "warning", text, "Ten GPUs need 80×24; 200×60 shows everything.")
    else:
        yield Check("Terminal", "ok", text)


def colour(environment: Mapping[str, str]) -> Check:
    """How many colours the terminal says it has."""
    term = environment.get("TERM", "")
    if environment.get("NO_COLOR"):
        return Check("Colour", "ok", "none, as NO_COLOR asks")
    if environment.get("COLORTERM", "").lower() in ("truecolor", "24bit"):
        return Check("Colour", "ok", "16 million")
    advice = "If yours shows all colours: `export COLORTERM=truecolor`."
    if "256color" in term:
        return Check("Colour", "ok", "256", advice)
    return Check("Colour", "warning", f"16 at most (TERM is {term or 'empty'})", advice)


def clock(now_s: float) -> Check:
    """A clock that is behind the installation makes a mess of every history."""
    installed_s = Path(package_file).stat().st_mtime
    shown = time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(now_s))
    if now_s < installed_s - 86400:
        return Check(
            "Clock",
            "problem",
            f"{shown}, which is before this cockpit was installed",
            "Set it: `sudo timedatectl set-ntp true`.",
        )
    return Check("Clock", "ok", shown)


def _uv() -> Check:
    from cockpit.agent.environments.installer import find_uv

    if found := find_uv():
        return Check("uv", "ok", found)
    return Check(
        "uv",
        "ok",
        "not found; the environments of plugins are built with pip, which takes longer",
    )


def cockpit_version() -> Check:
    """Which cockpit this is, and where."""
    return Check("cockpit", "ok", f"{__version__} ({Path(package_file).parent})")
