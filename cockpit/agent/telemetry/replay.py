"""A recording as a source: plays at its own pace, shows the times of then, holds at the end."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from cockpit.agent.telemetry.source import Sample
from cockpit.errors import UsageError
from cockpit.model import BoxInfo, Event, Severity, Snapshot
from cockpit.recording import CutRecordingError, Entry, read_recording
from cockpit.settings import AgentSettings

log = logging.getLogger(__name__)


class ReplaySource:
    """Plays `settings.replay_file`, `replay_speed` times as fast as it was recorded.

    Only the entry shown and the next one are held in memory. A file that cannot be played is a box
    with a `problem`; one that breaks off is played up to there.
    """

    def __init__(
        self, settings: AgentSettings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._path = Path(settings.replay_file or "")
        self._speed = max(0.01, settings.replay_speed)
        self._clock = clock
        self._box = BoxInfo(self._path.name or settings.name, "replay", None, 0)
        self._entries: Iterator[Entry] = iter(())
        self._next: Entry | None = None
        self._shown: Snapshot | None = None
        self._started = 0.0
        self._first_s = 0.0
        self._pending: list[Event] = []

    def open(self) -> BoxInfo:
        """Read up to the first snapshot."""
        try:
            self._entries = read_recording(self._path)
        except UsageError as error:
            problem = dataclasses.replace(self._box, problem=error.message, advice=error.advice)
            self._box = dataclasses.replace(problem, revision=self._box.revision + 1)
            return self._box
        self._advance()
        while self._next is not None and self._shown is None:
            self._take()
        self._first_s = self._shown.time_s if self._shown else 0.0
        self._started = self._clock()
        return self._box

    def sample(self) -> Sample:
        """The recorded box at this point of the play."""
        until = self._first_s + (self._clock() - self._started) * self._speed
        while self._next is not None and _time_of(self._next) <= until:
            self._take()
        events, self._pending = tuple(self._pending), []
        if self._shown is None:
            return Sample(time.time(), (), events)
        return Sample(self._shown.time_s, self._shown.gpus, events)

    def box(self) -> BoxInfo:
        """The recorded box, with source `replay`."""
        return self._box

    def close(self) -> None:
        """Let go of the file."""
        self._next = None
        self._entries = iter(())

    def _take(self) -> None:
        """Show the next entry and read the one after it."""
        entry = self._next
        if isinstance(entry, Snapshot):
            self._shown = entry
        elif isinstance(entry, BoxInfo):
            revision = self._box.revision + 1
            self._box = dataclasses.replace(
                entry,
                source="replay",
                recorded_source=entry.recorded_source or entry.source,
                revision=revision,
            )
        elif isinstance(entry, Event):
            self._pending.append(dataclasses.replace(entry, id=0))
        self._advance()

    def _advance(self) -> None:
        try:
            self._next = next(self._entries, None)
            if self._next is None:
                self._tell(
                    "info", f"The recording {self._path.name} ends here; its last moment is held"
                )
        except CutRecordingError as error:
            log.warning("%s", error)
            self._next = None
            self._tell("warning", f"The recording is cut: {error}; its last moment is held")

    def _tell(self, severity: Severity, text: str) -> None:
        time_s = self._shown.time_s if self._shown else time.time()
        self._pending.append(Event(0, time_s, "agent", severity, text))


def _time_of(entry: Entry) -> float:
    """When it is due; a box belongs to whatever follows it."""
    return 0.0 if isinstance(entry, BoxInfo) else entry.time_s
