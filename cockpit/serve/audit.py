"""The audit log: who came in and what they did, a JSON object a line, kept on this machine."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from cockpit.paths import make_private, state_dir
from cockpit.roles import Person

ROTATE_BYTES = 8 << 20
KEPT = 4
"""Earlier files beside the present one."""
TEXT_MOST = 400
"""Characters of a value: what somebody sends must not fill the disk."""


def serve_dir() -> Path:
    """Host key and audit log; not created."""
    return state_dir() / "serve"


def audit_path() -> Path:
    """Where the newest entries are."""
    return serve_dir() / "audit.jsonl"


class Audit:
    """Appends. What cannot be written is told once by `complain`, and the service goes on."""

    def __init__(
        self,
        path: Path | None = None,
        complain: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path = path or audit_path()
        self._complain = complain
        self._clock = clock
        self._failed = False

    def write(self, event: str, person: Person | None = None, **fields: Any) -> None:
        """One entry, on the disk before anything else happens to it."""
        entry: dict[str, Any] = {"time_s": round(self._clock(), 3), "event": event}
        if person is not None:
            entry |= {"who": person.name, "role": person.role, "from": person.address}
            entry["key"] = person.fingerprint
        entry |= {name: _short(value) for name, value in fields.items() if value not in (None, "")}
        line = json.dumps(entry, ensure_ascii=False) + "\n"
        try:
            make_private(self.path.parent)
            self._rotate()
            descriptor = os.open(
                self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
            try:
                os.write(descriptor, line.encode(errors="backslashreplace"))
            finally:
                os.close(descriptor)
        except OSError as error:
            if not self._failed:
                self._failed = True
                self._complain(f"the audit log {self.path} cannot be written: {error.strerror}")
        else:
            self._failed = False

    def _rotate(self) -> None:
        if not self.path.exists() or self.path.stat().st_size < ROTATE_BYTES:
            return
        for number in range(KEPT, 0, -1):
            older = self.path.with_suffix(f".{number - 1}.jsonl") if number > 1 else self.path
            if older.exists():
                older.replace(self.path.with_suffix(f".{number}.jsonl"))


class AuditReader:
    """Every entry that is kept, oldest first, and then what is added; across rotations."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or audit_path()
        self._file: BinaryIO | None = None
        self._earlier = [
            self._path.with_suffix(f".{number}.jsonl") for number in range(KEPT, 0, -1)
        ]
        self._rest = b""

    def read(self) -> Iterator[Mapping[str, Any]]:
        """What was not read yet; lines that are no entries are passed over."""
        for path in self._earlier:
            with contextlib.suppress(FileNotFoundError):
                yield from _entries(path.read_bytes())
        self._earlier = []
        while True:
            if self._file is None:
                try:
                    self._file = self._path.open("rb")
                except FileNotFoundError:
                    return
            lines, end, self._rest = (self._rest + self._file.read()).rpartition(b"\n")
            yield from _entries(lines + end)
            if not self._rotated():
                return
            self._file.close()
            self._file, self._rest = None, b""

    def _rotated(self) -> bool:
        assert self._file is not None
        try:
            return not os.path.samestat(os.fstat(self._file.fileno()), self._path.stat())
        except FileNotFoundError:
            return False


def _entries(data: bytes) -> Iterator[Mapping[str, Any]]:
    for line in data.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            yield entry


def _short(value: Any) -> Any:
    if isinstance(value, (int, float)):
        return value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= TEXT_MOST else f"{text[:TEXT_MOST]}…"
