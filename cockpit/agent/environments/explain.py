"""What an installer said when it failed, in a sentence or two for a person, with what to do."""

from __future__ import annotations

import platform
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

LONGEST = 600
TORCH_INDEX = "download.pytorch.org"


@dataclass(frozen=True)
class Failure:
    """Why an environment could not be built."""

    kind: str
    """space, venv, offline, network, python, conflict, version, compile, requirement, hash, access, other."""
    text: str
    """The sentences."""
    host: str = ""
    """Which index could not be reached."""


class BuildError(Exception):
    """An environment could not be built."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.text)
        self.failure = failure


def explain(lines: Sequence[str], place: Path) -> Failure:
    """The failure that these lines of output tell of; `place` is where it was being built."""
    text = "\n".join(lines)
    for reader in _READERS:
        failure = reader(text, place)
        if failure is not None:
            return failure
    return Failure("other", _cut(_causes(text) or " ".join(lines[-6:]) or "it said nothing"))


def _space(text: str, place: Path) -> Failure | None:
    if not re.search(r"No space left on device|os error 28|Disk quota exceeded", text):
        return None
    existing = next(part for part in (place, *place.parents) if part.exists())
    free = shutil.disk_usage(existing).free / (1 << 20)
    return Failure(
        "space",
        f"the disk is full: {free:.0f} MiB are free for {existing}. Free some space;"
        " `cockpit environments` lists what old environments take, `cockpit environments rm` deletes"
        " them.",
    )


def _offline(text: str, _: Path) -> Failure | None:
    if "network was disabled" not in text and "network connectivity is disabled" not in text:
        return None
    found = re.search(r"Because (\S+) was not found in the cache", text)
    what = found[1] if found else "something that it needs"
    return Failure(
        "offline",
        f"{what} is not in uv's cache, and nothing may be downloaded. Build it once while online"
        " with `cockpit environments build PLUGIN`, or set offline = false under [environments].",
    )


def _network(text: str, _: Path) -> Failure | None:
    signs = (
        r"error sending request|dns error|client error \(Connect\)|operation timed out"
        r"|Failed to establish a new connection|Temporary failure in name resolution"
        r"|ReadTimeoutError|ConnectTimeoutError|Network is unreachable"
    )
    if not re.search(signs, text):
        return None
    address = re.search(r"https?://[^\s)'\"`>]+", text) or re.search(r"host='([^']+)'", text)
    host = (urlsplit(address[0]).hostname if address and "://" in address[0] else "") or (
        address[1] if address and "://" not in address[0] else ""
    )
    causes = re.findall(r"(?:cause|╰─▶):?\s*(.+)", text)
    why = f" ({causes[-1].strip()})" if causes else ""
    return Failure(
        "network",
        f"{host or 'the package index'} cannot be reached{why}. Check the network or the proxy; what"
        " was built once needs none.",
        host,
    )


def _access(text: str, _: Path) -> Failure | None:
    if not re.search(r"\b(401 Unauthorized|403 Forbidden|407 Proxy Authentication)", text):
        return None
    address = re.search(r"https?://[^\s)'\"`]+", text)
    host = urlsplit(address[0]).hostname if address else None
    return Failure(
        "access", f"{host or 'the package index'} wants a name and a password, or others."
    )


def _python(text: str, _: Path) -> Failure | None:
    found = re.search(r"(\S+) (?:requires|depends on) Python\s*([<>=!~][^\s;]*)", text)
    found = found or re.search(
        r"Package '(\S+)' requires a different Python: \S+ not in '([^']+)'", text
    )
    if not found:
        return None
    return Failure(
        "python",
        f"{found[1]} needs Python {found[2]}, and this is Python {platform.python_version()}. Ask for"
        " another version of it in plugin.toml, or install cockpit with another Python.",
    )


def _requirement(text: str, _: Path) -> Failure | None:
    if not re.search(r"Couldn't parse requirement|Invalid requirement", text):
        return None
    return Failure("requirement", f"{_cut(_causes(text))} Mend requires in plugin.toml.")


def _hash(text: str, _: Path) -> Failure | None:
    found = re.search(r"[Hh]ash mismatch for `?([^\s`:]+)", text)
    if not found and "DO NOT MATCH THE HASHES" not in text:
        return None
    what = found[1] if found else "a package"
    return Failure("hash", f"what the index has as {what} is not what the lock was made for.")


def _compile(text: str, _: Path) -> Failure | None:
    found = re.search(r"Failed to build `([^`]+)`|Failed building wheel for (\S+)", text)
    if not found:
        return None
    output = re.split(r"\[std(?:err|out)\]", text)[-1]
    said = [line.strip() for line in output.splitlines() if line.strip()]
    said = [line for line in said if not line.startswith("hint:")]
    errors = [line for line in said if "error" in line.lower()] or said
    why = f": {errors[-1]}" if errors else ""
    return Failure(
        "compile",
        f"{found[1] or found[2]} comes as source for this Python, and could not be built{_cut(why)}."
        " A compiler may be missing (`apt install build-essential python3-dev`); its log says more.",
    )


def _version(text: str, _: Path) -> Failure | None:
    gone = re.search(
        r"there (?:is|are) no versions? of (\S+)|(\S+) was not found in the package registry"
        r"|No matching distribution found for (\S+)|only (\S+?)(?:==\S+)? is available",
        text,
    )
    if not gone:
        return None
    return Failure("version", f"{_cut(_causes(text))} Mend requires in plugin.toml.")


def _conflict(text: str, _: Path) -> Failure | None:
    if not re.search(r"No solution found|ResolutionImpossible|conflicting dependencies", text):
        return None
    return Failure("conflict", f"its requirements exclude each other. {_cut(_causes(text))}")


def _venv(text: str, _: Path) -> Failure | None:
    if "ensurepip is not" not in text:
        return None
    return Failure(
        "venv",
        "this Python cannot make environments: `apt install python3-venv`, or `pip install uv`"
        " beside cockpit.",
    )


_READERS: tuple[Callable[[str, Path], Failure | None], ...] = (
    *(_space, _venv, _offline, _network, _access, _python, _requirement, _hash, _compile, _version),
    _conflict,
)


def _causes(text: str) -> str:
    """What follows "cause:" (or the arrows of older versions) in uv's error, as one line."""
    lines: list[str] = []
    inside = False
    for line in text.splitlines():
        bare = line.strip(" │╰├─▶×")
        if re.match(r"\s*cause:|\s*[╰├]─▶", line):
            inside = True
            lines.append(bare.removeprefix("cause:").strip())
        elif inside and line.startswith(" ") and bare and not set(bare) <= {"^", " "}:
            lines.append(bare)
        elif re.match(r"(error|ERROR): ", line):
            inside = False
            first = line.partition(": ")[2]
            if "No solution found" not in first:
                lines.append(first + ("" if first.endswith((".", ":")) else ":"))
        else:
            inside = False
    return " ".join(lines)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
