"""LogWindow: the part of a log of any size that is at hand, as lines with their byte offsets."""

from __future__ import annotations

import base64
from bisect import bisect_right
from typing import Any

from cockpit.tui.widgets import log_text

WINDOW_BYTES = 256 * 1024
"""How much of the log is kept at once, however large it is."""
CHUNK_BYTES = 64 * 1024


class LogWindow:
    """Bytes `start` to `end` of a log of `size` bytes."""

    def __init__(self) -> None:
        self.start = self.end = self.size = 0
        self.oldest = 0
        """The first byte that rotation has kept."""
        self.lines: list[bytes] = []
        self.offsets: list[int] = []
        """Where each line begins in the log."""
        self._data = b""

    def take(self, answer: dict[str, Any]) -> bool:
        """Put an answer of `job.log` before, after or in place of what is here; whether it is new."""
        offset, data = int(answer["offset"]), base64.b64decode(answer["data"])
        shrunk = int(answer["size"]) < self.end
        self.size, self.oldest = int(answer["size"]), int(answer.get("kept_from", 0))
        if not data and not shrunk:
            return False
        if offset == self.end and self._data and not shrunk:
            kept = self._data + data
            cut = max(len(kept) - WINDOW_BYTES, 0)
            self._data, self.start = kept[cut:], self.start + cut
        elif offset + len(data) == self.start:
            self._data, self.start = (data + self._data)[:WINDOW_BYTES], offset
        else:
            self._data, self.start = data, offset
        self.end = self.start + len(self._data)
        found = log_text.lines(self._data, self.start)
        self.offsets = [at for at, _ in found]
        self.lines = [line for _, line in found]
        return True

    def index(self, offset: int) -> int:
        """The line that has byte `offset`: the first or the last if it lies outside."""
        return max(bisect_right(self.offsets, offset) - 1, 0)

    def holds(self, offset: int) -> bool:
        """Whether that byte is in a line that is here."""
        return bool(self.offsets) and self.offsets[0] <= offset < self.end
