"""NVLink bridges between cards that stand side by side."""

from __future__ import annotations

from textual.geometry import Region

from cockpit.tui.draw import Line, blank
from cockpit.tui.wall.scene import Scene, bridged


class Bridge:
    """The gap between two cards: joined when NVLink joins their GPUs, broken when a link is dead."""

    def __init__(self, region: Region, scene: Scene, left: int) -> None:
        self.region = region
        self._scene = scene
        self._left = left

    def lines(self) -> list[Line]:
        """Two cells wide, as high as the cards."""
        lines = [blank(self.region.width) for _ in range(self.region.height)]
        first, second = self._scene.gpu(self._left), self._scene.gpu(self._left + 1)
        if first is None or second is None:
            return lines
        state = bridged(self._scene.live, first, second)
        if state:
            text, front = ("━━", "secondary") if state == "up" else ("╺╸", "*warning")
            lines[0] = ("background", ((text, front),))
        return lines
