"""Recordings of a box: gzip JSON lines that anyone can read.

The first line is `{"cockpit_recording": 1, "version": …}`; each further one is an object with one
key: `box` (BoxInfo), `snapshot` (Snapshot) or `event` (Event). The stream is flushed with every
FLUSH_EVERY lines, so that a recording that was cut off can be played up to there.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path

from cockpit import __version__, codec
from cockpit.errors import UsageError
from cockpit.model import BoxInfo, Event, Snapshot

FORMAT = 1
FLUSH_EVERY = 10

Entry = BoxInfo | Snapshot | Event
_KEYS: dict[type, str] = {BoxInfo: "box", Snapshot: "snapshot", Event: "event"}
_CLASSES: dict[str, type] = {key: cls for cls, key in _KEYS.items()}


class CutRecordingError(Exception):
    """The recording ends in the middle of something; what came before is whole."""


class Recorder:
    """Writes a new recording. UsageError when `path` exists already or cannot be written."""

    def __init__(self, path: Path) -> None:
        try:
            self._raw = path.open("xb")
        except FileExistsError:
            raise UsageError(
                f"{path} exists already", "Choose another name or delete it."
            ) from None
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {error.strerror}") from None
        self._file = gzip.GzipFile(fileobj=self._raw, mode="wb", compresslevel=6)
        self._lines = 0
        self._line({"cockpit_recording": FORMAT, "version": __version__})
        self._file.flush()

    def write(self, entry: object) -> bool:
        """Add what `Box.follow` yielded; False for what is not part of a recording."""
        key = _KEYS.get(type(entry))
        if key is None:
            return False
        self._line({key: entry})
        if self._lines % FLUSH_EVERY == 0:
            self._file.flush()
        return True

    def _line(self, value: dict[str, object]) -> None:
        self._file.write(codec.dumps(value).encode() + b"\n")
        self._lines += 1

    def close(self) -> None:
        """Finish the file. Safe to call twice."""
        try:
            self._file.close()
        finally:
            self._raw.close()


def read_recording(path: Path) -> Iterator[Entry]:
    """The entries of a recording in order, read as they are needed.

    UsageError at once when it is not a recording; CutRecordingError where a broken one stops
    making sense.
    """
    try:
        lines = gzip.GzipFile(path, "rb")
        header = json.loads(lines.readline(4096))
        version = header["cockpit_recording"]
    except OSError as error:
        reason = error.strerror or "it is not gzip"
        raise UsageError(f"{path} cannot be played: {reason}", _ADVICE) from None
    except (EOFError, zlib.error, ValueError, KeyError, TypeError):
        raise UsageError(f"{path} is not a recording", _ADVICE) from None
    if version != FORMAT:
        raise UsageError(
            f"{path} is a recording of format {version}, this cockpit plays format {FORMAT}",
            "Play it with the cockpit that recorded it, or a newer one.",
        )
    return _entries(path, lines)


_ADVICE = "A recording is made with: cockpit record FILE"


def _entries(path: Path, lines: gzip.GzipFile) -> Iterator[Entry]:
    number = 1
    with lines:
        while True:
            number += 1
            try:
                line = lines.readline()
                if not line:
                    return
                for key, value in json.loads(line).items():
                    if key in _CLASSES:
                        yield codec.loads(_CLASSES[key], value)
            except (OSError, EOFError, zlib.error, ValueError, AttributeError) as error:
                raise CutRecordingError(f"{path} breaks off at line {number}: {error}") from None
