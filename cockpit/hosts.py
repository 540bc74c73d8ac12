"""The boxes a person can name: `[hosts]` of cockpit.toml and the names in ~/.ssh/config."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cockpit.errors import UsageError

SSH_CONFIG = Path("~/.ssh/config")
INCLUDES_MOST = 64
Change = Callable[[str], str]
"""From the text of a file to its new text."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Host:
    """A box by name, and what to connect to."""

    name: str
    target: str
    """A name of ssh_config, or `[user@]host[:port]`."""
    origin: Literal["cockpit.toml", "ssh_config", "command line"]


@dataclass(frozen=True)
class Target:
    """The parts of `[user@]host[:port]`."""

    host: str
    user: str | None = None
    port: int | None = None


def split_target(target: str) -> Target:
    """`[user@]host[:port]`, an IPv6 address in brackets. Raises UsageError."""
    user, at, rest = target.rpartition("@")
    host, port = rest, ""
    if rest.startswith("["):
        host, _, port = rest[1:].partition("]")
        port = port.removeprefix(":")
    elif rest.count(":") == 1:
        host, _, port = rest.partition(":")
    if not host or (at and not user) or host.startswith("-") or re.search(r"\s", target):
        raise UsageError(
            f"{target!r} names no host", "Write [user@]host[:port], or a name of ~/.ssh/config."
        )
    if port and not (port.isdecimal() and 0 < int(port) < 65536):
        raise UsageError(f"{target!r}: {port!r} is no port from 1 to 65535")
    return Target(host, user or None, int(port) if port else None)


def find(name: str, configured: Mapping[str, str]) -> Host:
    """The host of that name; one that nobody has configured is its own target. Raises UsageError."""
    if name in configured:
        return Host(name, configured[name], "cockpit.toml")
    split_target(name)
    return Host(name, name, "command line")


def find_all(names: str, configured: Mapping[str, str]) -> tuple[Host, ...]:
    """Hosts by comma-separated names, each once, in that order. Raises UsageError."""
    parts = [part.strip() for part in names.split(",")]
    if not all(parts):
        raise UsageError(f"--host: {names!r} holds an empty name", "Write one, or a,b,c.")
    return tuple(find(name, configured) for name in dict.fromkeys(parts))


def known(configured: Mapping[str, str], ssh_config: Path = SSH_CONFIG) -> tuple[Host, ...]:
    """Every host that has a name: the configured ones first, then those of ssh_config."""
    found = {name: Host(name, target, "cockpit.toml") for name, target in configured.items()}
    for name in _ssh_names(ssh_config.expanduser(), []):
        found.setdefault(name, Host(name, name, "ssh_config"))
    return tuple(found.values())


def _ssh_names(path: Path, seen: list[Path]) -> Iterator[str]:
    """The names of `Host` lines without patterns, `Include`s followed."""
    if path in seen or len(seen) >= INCLUDES_MOST:
        return
    seen.append(path)
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        words = line.replace("=", " ", 1).split()
        if len(words) < 2 or words[0].startswith("#"):
            continue
        if words[0].lower() == "host":
            yield from (word for word in words[1:] if not set(word) & set("*?!"))
        elif words[0].lower() == "include":
            for pattern in words[1:]:
                place = Path(pattern.strip('"')).expanduser()
                base = Path("/") if place.is_absolute() else Path("~/.ssh").expanduser()
                relative = str(place.relative_to("/")) if place.is_absolute() else str(place)
                for included in sorted(base.glob(relative)):
                    yield from _ssh_names(included, seen)


# Editing [hosts] of a cockpit.toml, everything else in it left as it is


def with_host(text: str, name: str, target: str) -> str:
    """The file with `name = "target"` in its [hosts]."""
    lines = without_host(text, name).splitlines()
    entry = (
        f"{name if re.fullmatch(r'[A-Za-z0-9_-]+', name) else _quoted(name)} = {_quoted(target)}"
    )
    header = _section(lines)
    if header is None:
        return "\n".join([*lines, *([""] if lines else []), "[hosts]", entry]) + "\n"
    return "\n".join([*lines[: header + 1], entry, *lines[header + 1 :]]) + "\n"


def without_host(text: str, name: str) -> str:
    """The file without `name` in its [hosts]."""
    lines = text.splitlines()
    header = _section(lines)
    if header is None:
        return text
    kept = lines[: header + 1]
    inside = True
    for line in lines[header + 1 :]:
        inside = inside and not line.lstrip().startswith("[")
        key = line.partition("=")[0].strip().strip("\"'")
        if not (inside and key == name and "=" in line):
            kept.append(line)
    return "\n".join(kept) + "\n"


def _section(lines: Sequence[str]) -> int | None:
    for number, line in enumerate(lines):
        if re.fullmatch(r"\s*\[\s*hosts\s*\]\s*(#.*)?", line):
            return number
    return None


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
