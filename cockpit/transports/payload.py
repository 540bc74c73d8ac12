"""What is sent to a bare box: the agent's code as one archive, and folders, each named by its content."""

from __future__ import annotations

import hashlib
import io
import stat
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from cockpit.errors import BoxError, UsageError

PACKAGE = Path(__file__).parents[1]
MODULES = (
    *("__init__", "codec", "errors", "paths", "protocol", "recording", "secret_names", "settings"),
)
PACKAGES = ("agent", "model", "sdk")
"""Of cockpit, what the agent imports; a test runs one from just this."""

MAIN = """\
import sys
from cockpit.agent.main import main
sys.exit(main())
"""

LEFT_OUT = frozenset({"__pycache__", ".git", ".venv", ".mypy_cache", ".ruff_cache", "node_modules"})
FOLDER_BYTES_MOST = 256 << 20
_EPOCH = (2020, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Payload:
    """An archive and the name of its content."""

    digest: str
    data: bytes


@cache
def agent_payload() -> Payload:
    """The agent with what it imports: a part of cockpit, and pynvml."""
    files = [(f"cockpit/{name}.py", PACKAGE / f"{name}.py") for name in MODULES]
    for package in PACKAGES:
        for path in sorted((PACKAGE / package).rglob("*")):
            if path.is_file() and LEFT_OUT.isdisjoint(path.parts):
                files.append((str(Path("cockpit") / path.relative_to(PACKAGE)), path))
    spec = find_spec("pynvml")
    if spec is None or spec.origin is None:
        raise BoxError("pynvml is not installed here", "Install cockpit again: pip install cockpit")
    files.append(("pynvml.py", Path(spec.origin)))
    return _archive(files, {"__main__.py": MAIN})


def folder_payload(folder: Path) -> Payload:
    """A folder with all its files and their modes. Raises UsageError if it is too large to be sent."""
    total = 0
    files = []
    for path in _files(folder):
        total += path.stat().st_size
        if total > FOLDER_BYTES_MOST:
            raise UsageError(
                f"{folder} holds more than {FOLDER_BYTES_MOST >> 20} MiB, too much to be sent",
                "Put what is large on the box itself, and name it by a parameter.",
            )
        files.append((str(path.relative_to(folder)), path))
    return _archive(files, {})


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and LEFT_OUT.isdisjoint(path.relative_to(folder).parts):
            yield path


def _archive(files: Iterable[tuple[str, Path]], texts: dict[str, str]) -> Payload:
    """The same content gives the same bytes: times are left out."""
    digest = hashlib.sha256()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, path in files:
            mode = stat.S_IMODE(path.stat().st_mode)
            _add(archive, digest, name, path.read_bytes(), mode)
        for name, text in texts.items():
            _add(archive, digest, name, text.encode(), 0o600)
    return Payload(digest.hexdigest()[:32], buffer.getvalue())


def _add(
    archive: zipfile.ZipFile, digest: hashlib._Hash, name: str, data: bytes, mode: int
) -> None:
    executable = mode & 0o111
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.external_attr = (0o700 if executable else 0o600) << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(entry, data)
    for part in (name.encode(), str(bool(executable)).encode(), hashlib.sha256(data).digest()):
        digest.update(part + b"\0")
