"""What an installer draws on a terminal, read as lines for a log and a count of packages."""

from __future__ import annotations

import re
from collections.abc import Iterator

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07")
_PREPARING = re.compile(r"Preparing packages\.\.\. \((\d+)/(\d+)\)")
_BUILDING = re.compile(r"\bBuilding ([A-Za-z0-9][\w.-]*(?:==\S+)?)")
_DOWNLOADING = re.compile(r"([A-Za-z0-9][\w.-]*) +-{20,} *([\d.]+ \w+)/([\d.]+ [MG]iB)")
REST_MOST = 20_000


class Drawn:
    """Follows the output of one program. What is drawn over and over is told of once."""

    def __init__(self) -> None:
        self.progress = ""
        """How far it is, in words; empty before anything is known."""
        self._rest = ""
        self._told: set[str] = set()

    def feed(self, text: str) -> Iterator[str]:
        """Take in more; the lines that are there to stay, and one for each thing that began."""
        *lines, self._rest = (self._rest + text).split("\n")
        self._rest = self._rest[-REST_MOST:]
        for line in lines:
            yield from self._begun(line)
            if stays := _last_drawn(line):
                yield stays
        yield from self._begun(self._rest)

    def close(self) -> Iterator[str]:
        """What was not ended by a newline."""
        if stays := _last_drawn(self._rest):
            yield stays

    def _begun(self, line: str) -> Iterator[str]:
        """Read one line with everything that was drawn over it."""
        plain = _CONTROL.sub("", line)
        counts = _PREPARING.findall(plain)
        if not counts:
            return
        building, downloading = _BUILDING.findall(plain), _DOWNLOADING.findall(plain)
        news = [f"Building {name} from its source" for name in building]
        news += [f"Downloading {name} ({size})" for name, _, size in downloading]
        for text in dict.fromkeys(news):
            if text not in self._told:
                self._told.add(text)
                yield text
        done, total = counts[-1]
        if int(total):
            self.progress = f"{done} of {total} packages{_now(plain)}"


def _now(plain: str) -> str:
    """What is being done in the newest picture."""
    newest = plain.rpartition("\r")[2]
    if downloading := _DOWNLOADING.findall(newest):
        name, done, size = downloading[-1]
        return f", {name} {done} of {size}"
    if building := _BUILDING.findall(newest):
        return f", building {building[-1]}"
    return ""


def _last_drawn(line: str) -> str:
    """What is to be seen of a line in the end."""
    pieces = [piece for piece in _CONTROL.sub("", line).split("\r") if piece.strip()]
    return pieces[-1].rstrip() if pieces else ""
