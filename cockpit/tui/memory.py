"""What the terminal remembers from one start to the next: theme, last GPU, sort orders, tabs."""

from __future__ import annotations

import json
import os
from pathlib import Path

from cockpit.paths import make_private, state_dir

Value = str | int | float | bool


class Memory:
    """A small mapping on disk. It is never worth a failure: what cannot be read or written is told."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or state_dir() / "terminal.json"
        self.notice: str | None = None
        """What went wrong when reading, in words; the terminal shows it once."""
        self._values = self._read()

    def get(self, key: str, default: Value) -> Value:
        """The remembered value, if it is of the same type as `default`."""
        value = self._values.get(key, default)
        return value if type(value) is type(default) else default

    def text(self, key: str, default: str = "") -> str:
        """A remembered text."""
        return str(self.get(key, default))

    def set(self, key: str, value: Value) -> None:
        """Remember at once; quietly for this session only when the disk refuses."""
        if self._values.get(key) == value:
            return
        self._values[key] = value
        try:
            make_private(self.path.parent)
            scratch = self.path.with_suffix(f".{os.getpid()}.tmp")
            scratch.write_text(json.dumps(self._values, indent=1, sort_keys=True) + "\n")
            scratch.replace(self.path)
        except OSError as error:
            self.notice = f"cannot remember choices in {self.path}: {error.strerror}"

    def _read(self) -> dict[str, Value]:
        try:
            document = json.loads(self.path.read_text())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            self.notice = f"ignored {self.path}: {error}"
            return {}
        if not isinstance(document, dict):
            self.notice = f"ignored {self.path}: it holds no table of choices"
            return {}
        return {
            str(key): value
            for key, value in document.items()
            if isinstance(value, (str, int, float, bool))
        }
